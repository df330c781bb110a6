"""The names of all keys that MLQ uses in Redis.

All keys of a namespace share the hash tag `{namespace}`, so that every script works on Redis Cluster and namespaces
can't see each other. An attribute whose value ends in a colon is a prefix: what follows is a job's id, or the name of a
worker or caller.

    counter         string   the last id assigned; survives `clear`
    epoch           string   `<random> <run of server>`, new when data may have been lost; posts name it
    skipped-ids     zset     ranges of ids skipped after a loss: the id before each, by its last id; survives `clear`
    post:<id>       string   the record: what was posted; only a post that replaces it changes it (job.py has the bytes)
    job:<id>        hash     what became of the job; created by the first claim or cancellation
    job:<id>:next   zset     jobs that come after this one, until they have succeeded; it is kept as long
    job:<id>:ready  string   when a model's job came back into its lane; for a minute
    job:<id>:bad    set      of those that it came after, or of its parts, the ones that ended badly and were counted
    job:<id>:steps  zset     the jobs that a pipeline posted for this one, as ranges `<first>-<last>` of ids
    job:<id>:held   list     ranges of the parts of a split that are not open yet; its join is job <id>
    job:<id>:<token>:plan  list  ranges of the parts that an attempt has posted for a split that has not begun
    expiring        zset     ids of jobs that are cancelled unless they begin, by the time until when; some have begun
    low-priority    string   exists once a job with a priority below 0 was posted: others may come before it in its lane
    blocked         zset     ids of jobs that wait for other jobs, by the time since when
    chores          list     what is left to do after the end of a job that concerns many others (shared/work.lua)
    lane:<lane>     zset     ids of waiting jobs by place (place_of in shared/part.lua); a lane is a queue and a
                             set of functions
    lane:<lane>|    zset     the ring of jobs with shares: the shares whose jobs may begin, by virtual time
                             (shared/ring.lua); `lane:<lane>|<share>` are their lanes
    lane:<lane>||times  zset  virtual times of shares that are away, and the clock of the ring under the empty name
    lane:<lane>||means  hash  seconds that a job takes, by share; that of all under the empty name
    lane:||weights  hash     weights of shares, where they are not 1
    lanes           set      the lanes in which jobs wait
    classes         zset     classes of workers by the time until which they are registered; workers that serve the same
                             queues and functions are one class
    class:<class>:serves  set     what the class serves, as in serves:<what>
    class:<class>:ready   zset    its index: the lanes of `lanes` that it serves, by the place of their first job; last
                             an empty name, and a colon while the index is incomplete
    class:<class>:ready:<gates>  zset  the index of the lanes that have these gates; one entry stands for all of
                             them in the index above while the gates are open
    class:<class>:groups  set     which of these there are
    class:<class>:gates   string  the value of `gates` for which the index was made
    class:<class>:wake    list    at most one token: there is work for an idle worker of the class
    class:<class>:cursor  string  how far building the index has come
    serves:<what>   set      classes that serve <what>: jobs of queue q that name no functions (`q`), jobs of q that
                             do (`q:`), jobs that name function f (`:f`). The classes in all sets of a lane serve it
    leases          zset     `<id>:<token>` of every running attempt by deadline
    scheduled       zset     ids of jobs that wait for a time, that of their post or of a retry, by it; and of jobs that
                             wait to run apart from others, by 1e11 plus the time since when they wait
    schedules       hash     declarations of schedules, by their names (schedule.py)
    schedule:<name>  hash    lane and body of its jobs, who declared it, and what became of it: last tick, last job, ...
    schedule-due    zset     names of schedules by when they are due; 0 once the clock was set back. Not those that are
                             paused
    apart-turn      string   the worker whose turn it is to pause claiming until it can run a job apart
    lost:<name>     string   how many attempts a worker lost a moment ago
    dead            zset     dead letters by time of failure
    workers         zset     workers by the time until which they count as alive
    worker:<name>   hash     what a worker reports about itself
    gates           string   exists while there are limits or pauses; has another value whenever lanes are grouped anew
    limits          hash     limits (limit.py) by gate: `queue:gpu`, `function:embed`, `resource:openai` or `share:a`
    paused          hash     since when and by whom a gate is paused, by gate
    room:<queue>    string   how many jobs more a queue with a limited length takes (room.lua)
    uses            hash     what else a job counts for, as gates with commas: the resources of a function (`:embed`),
                             and the functions and resources of those for a queue's jobs without functions (`gpu`)
    running:<gate>  set      `<id>:<token>` of the attempts that hold a place at a gate whose running jobs are limited
    starts:<gate>   zset     attempts that began within the time of a gate's rate, by when
    parked:<gate>   set      `<class>:<gates>` of the groups of lanes that wait until the gate opens; for a share, lanes
    opening         zset     gates by the time when to look whether they are open; 1e11 more if an end opens them
    reaping         hash     when somebody last looked for expired leases, and from when on it is safe to take them back
    replay:<name>   string   a caller's last call and its reply, so that a call that is sent twice takes effect once
    waiters:<id>    set      inboxes to notify when the job ends
    followers       string   exists while somebody follows a job; otherwise claims notify nobody
    stream:<id>     stream   partial results and logs, as `<attempt>-<number>`; expires a day after the last
    inbox:<name>    list     messages to a waiting client or to a worker
    deliveries:<kind>  zset  ids of jobs whose callback or webhook (the kind) is to be sent, by due time
    delivery:<kind>:<id>  hash  its URL, content, and tries so far
    staged:<call>:<i>  string  the record of a large job until `post` names it, without the time; for 60 s at most
    unique:<name>   string   which job took a key last; the name is its functions and the key, on two lines
                             (shared/unique.lua). Goes with the end of that job, or expires
    data:<key>      string   what `store_data` stored
    uploads         hash     heads of uploaded listeners by name (uploads/sealed.py describes the bytes)
    upload:<name>   string   the code of one
    uploads-version string   when `uploads` last changed
    holders:<function>  zset  workers that hold a model (it is loaded there, or about to be), by the time until which
                             that counts if they live
    models          set      names of the models that were ever hosted
    model:<name>    hash     what each version of a model tells of itself, by version (model.py); how requests are
                             spread over them, under `#traffic` (versions.py)
    shadows         hash     the shadow of each model, by its name (shadow.py)
    shadow:<function>  hash  how often the outputs of a shadow were alike, different, ...
    shadow:<function>:waiting  list  predictions for a shadow to repeat; for ten minutes
    shadow:<function>:last  list  the last ones whose outputs differed; for a day
    metrics         hash     counts, as `<queue>:<what>`; see ops/stats.py
    format          string   version of this layout
"""

from mlq.core.checks import check_namespace

FORMAT = "2"


class Keys:
    """The key names of one namespace."""

    __slots__ = (
        "apart_turn", "blocked", "chores", "class_", "classes", "counter", "data", "dead", "deliveries", "delivery",
        "epoch", "expiring", "followers", "format", "gates", "holders", "inbox", "job", "lane", "lanes", "leases",
        "limits", "lost", "low_priority", "metrics", "model", "models", "namespace", "paused", "post", "reaping",
        "replay", "room", "root", "schedule", "schedule_due", "scheduled", "schedules", "serves", "shadow", "shadows",
        "skipped_ids", "staged", "stream", "unique", "upload", "uploads", "uploads_version", "uses", "waiters",
        "weights", "worker", "workers",
    )  # fmt: skip

    def __init__(self, namespace: str) -> None:
        """Raises InputError if `namespace` is not a valid name."""
        self.namespace = check_namespace(namespace)
        self.root = root = f"{{{namespace}}}:"
        self.counter = root + "counter"
        self.epoch = root + "epoch"
        self.skipped_ids = root + "skipped-ids"
        self.post = root + "post:"
        self.job = root + "job:"
        self.lane, self.lanes, self.low_priority = root + "lane:", root + "lanes", root + "low-priority"
        self.weights = self.lane + "||weights"
        self.classes, self.class_ = root + "classes", root + "class:"
        self.serves = root + "serves:"
        self.blocked, self.chores = root + "blocked", root + "chores"
        self.leases = root + "leases"
        self.scheduled, self.expiring = root + "scheduled", root + "expiring"
        self.schedules, self.schedule, self.schedule_due = root + "schedules", root + "schedule:", root + "schedule-due"
        self.apart_turn, self.lost = root + "apart-turn", root + "lost:"
        self.dead = root + "dead"
        self.workers = root + "workers"
        self.worker = root + "worker:"
        self.gates, self.limits = root + "gates", root + "limits"
        self.paused, self.uses = root + "paused", root + "uses"
        self.reaping, self.room = root + "reaping", root + "room:"
        self.replay = root + "replay:"
        self.waiters = root + "waiters:"
        self.followers, self.stream = root + "followers", root + "stream:"
        self.inbox = root + "inbox:"
        self.deliveries, self.delivery = root + "deliveries:", root + "delivery:"
        self.staged, self.unique = root + "staged:", root + "unique:"
        self.data = root + "data:"
        self.uploads = root + "uploads"
        self.upload = root + "upload:"
        self.uploads_version = root + "uploads-version"
        self.holders = root + "holders:"
        self.models, self.model = root + "models", root + "model:"
        self.shadows, self.shadow = root + "shadows", root + "shadow:"
        self.metrics = root + "metrics"
        self.format = root + "format"
