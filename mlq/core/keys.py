"""The names of everything that MLQ keeps in Redis.

All keys of a namespace share the hash tag `{namespace}`, so that every script works on Redis Cluster and no namespace
can see another's. A name that ends in a colon is a stem: the scripts append a job's id, a worker's or a caller's
name.

    counter         string   the last id given out; survives `clear`
    epoch           string   `<random> <run of server>`, new when data may be lost: posts name it
    leaps           zset     ids left out after a loss: the id before them by the last of them; survives `clear`
    post:<id>       string   what was posted; never changes (job.py describes the bytes)
    job:<id>        hash     what became of it; made by the first claim or cancellation
    lane:<lane>     zset     waiting ids by place; a lane is a queue and a set of functions
    lanes           set      the lanes in which jobs wait
    classes         zset     classes of workers by the time until which they are known; workers that serve the same
                             things are one class
    class:<class>:serves  set     what it serves, as in serves:<what>
    class:<class>:ready   zset    the lanes of `lanes` that it serves, by the place of their first job; then an empty
                             name, and a colon while that index is not complete
    class:<class>:wake    list    at most one token: something waits for an idle worker of the class
    class:<class>:cursor  string  how far it is
    serves:<what>   set      classes that serve <what>: jobs of queue q that name no functions (`q`), jobs of q that
                             do (`q:`), jobs that name function f (`:f`). A lane is served by those in all its sets
    leases          zset     `<id>:<token>` of every running attempt by deadline
    scheduled       zset     ids of jobs that wait for the time of their retry, by that time; and of those that wait to
                             run apart from others, by 1e11 and the time since when
    apart-turn      string   the worker whose turn it is to make room for one of those
    lost:<name>     string   how many attempts a worker lost a moment ago
    dead            zset     dead letters by time of death
    workers         zset     workers by the time until which they count as alive
    worker:<name>   hash     what a worker says of itself
    reaping         hash     when somebody last looked for lapsed leases, and since when it is safe to take them
    replay:<name>   string   a caller's last call and its reply, so that a repeated call has the effect of one
    waiters:<id>    set      inboxes to tell when the job ends
    followers       string   there while somebody follows a job: claims tell them only then
    stream:<id>     stream   partial results and logs, as `<attempt>-<number>`; lapses a day after the last
    inbox:<name>    list     what a waiting client or a worker is told
    deliveries:<kind>  zset  ids whose callback or webhook (the kind) is to be sent, by due time
    delivery:<kind>:<id>  hash  its URL, what to say, tries so far
    data:<key>      string   what `store_data` stored
    uploads         hash     heads of uploaded listeners by name (uploads/sealed.py describes the bytes)
    upload:<name>   string   the code of one
    uploads-version string   when `uploads` last changed
    metrics         hash     what was counted, as `<queue>:<what>`; see ops/stats.py
    format          string   version of this layout
"""

from mlq.core.checks import check_namespace

FORMAT = "2"


class Keys:
    """The key names of one namespace."""

    __slots__ = (
        "apart_turn", "class_", "classes", "counter", "data", "dead", "deliveries", "delivery", "epoch", "followers",
        "format", "inbox", "job", "lane", "lanes", "leaps", "leases", "lost", "metrics", "namespace", "post", "reaping",
        "replay", "root", "scheduled", "serves", "stream", "upload", "uploads", "uploads_version", "waiters", "worker",
        "workers",
    )  # fmt: skip

    def __init__(self, namespace: str) -> None:
        """Raises InputError for a namespace that can't be one."""
        self.namespace = check_namespace(namespace)
        self.root = root = f"{{{namespace}}}:"
        self.counter = root + "counter"
        self.epoch = root + "epoch"
        self.leaps = root + "leaps"
        self.post = root + "post:"
        self.job = root + "job:"
        self.lane = root + "lane:"
        self.lanes = root + "lanes"
        self.classes = root + "classes"
        self.class_ = root + "class:"
        self.serves = root + "serves:"
        self.leases = root + "leases"
        self.scheduled = root + "scheduled"
        self.apart_turn = root + "apart-turn"
        self.lost = root + "lost:"
        self.dead = root + "dead"
        self.workers = root + "workers"
        self.worker = root + "worker:"
        self.reaping = root + "reaping"
        self.replay = root + "replay:"
        self.waiters = root + "waiters:"
        self.followers = root + "followers"
        self.stream = root + "stream:"
        self.inbox = root + "inbox:"
        self.deliveries = root + "deliveries:"
        self.delivery = root + "delivery:"
        self.data = root + "data:"
        self.uploads = root + "uploads"
        self.upload = root + "upload:"
        self.uploads_version = root + "uploads-version"
        self.metrics = root + "metrics"
        self.format = root + "format"
