"""Each reason why a job does not run, from real states; asking changes nothing."""

import json
import time

import pytest
import redis

from mlq import server
from mlq.client.reasons import answer
from mlq.client.seen import Seen
from mlq.core import codec
from mlq.core.identity import JobId
from mlq.core.keys import Keys
from mlq.core.limit import Gate, Limit
from mlq.core.states import State
from mlq.errors import JobLost, Undecodable, UnknownJob
from mlq.ops import gates as gate_ops
from mlq.ops import jobs as job_ops
from mlq.ops import presence as presence_ops
from mlq.ops import shares as share_ops
from mlq.ops import stats as stats_ops
from mlq.ops import why as why_ops
from mlq.ops import work as work_ops
from mlq.ops.work import WorkerClass


@pytest.fixture
def why(world):
    """The answer for a job, as clients make it."""

    def ask(job_id="1"):
        with world.unchanged():
            facts = world.run(why_ops.facts(world.keys, job_id))
            beneath = world.run(why_ops.facts(world.keys, facts.blocker)) if facts.blocker else None
            workers = world.run(presence_ops.workers(world.keys))
        return answer(Seen(facts, workers, world.keys.namespace, beneath))

    return ask


@pytest.fixture
def lives(world):
    """Has a worker say that it lives, and what it is."""

    def say(name="w", slots=1, busy=0, functions="f,g,train", **about):
        told = {"queues": "default", "open": "default", "functions": functions, "slots": slots, "busy": busy}
        world.run(presence_ops.alive(world.keys, name, 10, told | about))

    return say


def loads(state, why="", seconds=5.0):
    """What a worker tells of its model."""
    return json.dumps({"iris@1": [[state, time.time() - seconds, 1.0, why, 0, "cpu"]]})


def claim_as(world, kind):
    """Claim a job as that class."""
    assert world.run(work_ops.claim(world.keys, "worker", world.number(), kind.name, 60, 1))


# Ended


def test_succeeded(world, why):
    world.settle(world.running())
    told = why()
    assert (told.reason, told.facts["state"], told.facts["attempts"]) == ("succeeded", "succeeded", 1)
    assert told.text.startswith("It succeeded ")


def test_failed(world, why):
    """With the error, and what to do."""
    world.failed()
    told = why()
    assert (told.reason, told.facts["why"], told.facts["error"]) == ("failed", "error", "ValueError: boom")
    assert "(error): ValueError: boom. mlq job 1 shows more; mlq dead requeue runs it again." in told.text


@pytest.mark.parametrize(
    ("reason", "words"),
    [("cancelled", r"ago\."), ("expired", "no worker had begun it"), ("purged", "purged"), ("step", "pipeline")],
)
def test_cancelled(world, why, reason, words):
    world.post()
    world.run(job_ops.cancel(world.keys, "1"))
    world.raw.hset(world.keys.job + "1", "reason", reason)
    told = why()
    assert (told.reason, told.facts["why"]) == ("cancelled", reason)
    assert words.replace("\\", "") in told.text


def test_gone(world, keys, why):
    """As everywhere else; and another job that has the id now."""
    with pytest.raises(UnknownJob, match="no job 7"):
        why("7")
    world.post()
    world.run(job_ops.delete(keys, "1"))
    with pytest.raises(UnknownJob, match="no job 1"):
        why()
    world.post()
    with pytest.raises(JobLost):
        world.run(why_ops.facts(keys, JobId("2", "1.000000")))


# Running


def test_running(world, why):
    claimed = world.running()
    told = why()
    assert (told.reason, told.facts["worker"], told.facts["attempt"]) == ("running", "worker", 1)
    assert told.text.startswith("It has been running on worker worker for ")
    world.lapse(claimed)
    world.watched()
    world.reap()
    world.claim()
    assert why().text.endswith(", in attempt 2.")


def test_its_worker_is_cut_off(world, why, lives):
    """Late is by how much the lease is over; whether anybody is there to take it back."""
    world.lapse(world.running())
    told = why()
    assert (told.reason, told.facts["worker"]) == ("lost", "worker")
    assert "no worker is alive to take it back: start one" in told.text
    assert 0.9 < told.facts["late"] < 20
    lives()
    assert "another worker takes it back" in why().text


def test_its_listener_waits(world, keys, why):
    """For which job."""
    claimed = world.running()
    world.post()
    world.run(job_ops.wait(keys, "2", "alice", 10, claimed.lease))
    told = why()
    assert (told.reason, told.facts["job"]) == ("waits", "2")
    assert "its listener waits for job 2: see mlq why 2" in told.text


def test_its_worker_loads_its_model(world, why, lives):
    world.post(functions=["iris@1"])
    world.serving(kind := WorkerClass.of([], ["default"], ["iris@1"]))
    claim_as(world, kind)
    lives("worker", functions="iris@1", models=loads("loading"))
    told = why()
    assert (told.reason, told.text.partition(" for ")[0]) == (
        "loading",
        "Worker worker took it, and has been loading its model",
    )
    lives("worker", functions="iris@1", models=loads("ready"))
    assert why().reason == "running"


# Scheduled


def test_early(world, why, about):
    world.post(delay=3600)
    told = why()
    assert (told.reason, told.facts["due"]) == ("early", about(3600))
    assert told.text == "It may begin in 59 min, since it was posted with a delay or a time."


def test_retry(world, why, about):
    """The how many-th of how many."""
    world.scheduled(retries=5)
    told = why()
    assert (told.reason, told.facts["retry"], told.facts["of"], told.facts["due"]) == ("retry", 1, 5, about(600))
    assert "retry 1 of 5, after an attempt that ended with an error (mlq job 1 shows it)" in told.text


def test_retry_whose_count_the_listener_declares(world, why):
    world.scheduled()
    assert (why().facts["of"], "retry 1, after" in why().text) == (None, True)


def test_due_but_nobody_looks(world, why, lives):
    world.scheduled()
    world.come_due()
    assert (why().reason, "no worker is running" in why().text) == ("due", True)
    lives()
    assert "a worker puts it into its queue within 1.5 s" in why().text
    world.raw.delete(world.keys.scheduled)
    assert "lost when it is due" in why().text


def test_apart(world, why):
    """It was lost alone twice."""
    for _ in range(2):
        world.post() if not world.raw.exists(world.keys.post + "1") else None
        world.die(world.claim()[0])
    told = why()
    assert (told.reason, told.facts["losses"]) == ("apart", 2)
    assert "lost with its process 2 times, and waits for a worker that can run it apart" in told.text
    world.run(gate_ops.pause(world.keys, Gate("queue", "default"), "ana"))
    assert why().reason == "paused"


# Blocked


def test_after_others(pipes, why):
    """Which ones, and why the first of them does not run."""
    first, second = pipes.post(), pipes.post()
    pipes.post(f"fail {first} {second}")
    told = why("3")
    assert (told.reason, told.facts["jobs"], told.facts["needs"], told.facts["of"]) == ("after", ["1", "2"], 2, 2)
    assert told.facts["because"]["job"] == "1"
    assert told.facts["because"]["reason"] == "unserved"
    assert told.text.startswith("It waits for 2 of the 2 jobs that it comes after (1, 2). Job 1: No worker is running")
    pipes.end("1")
    assert why("3").facts["jobs"] == ["2"]


def test_after_many(pipes, why):
    """The first ten are named."""
    others = [pipes.post() for _ in range(14)]
    pipes.post(f"fail {' '.join(others)}")
    told = why("15")
    assert (told.facts["jobs"], told.facts["needs"]) == (others[:10], 14)
    assert "(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...)" in told.text


def test_it_has_become_another_job(pipes, root, why):
    other = pipes.forward(root)
    told = why()
    assert (told.reason, told.facts["job"], told.facts["because"]["job"]) == ("becomes", other, other)
    assert told.text.startswith(f"It has become job {other}, and ends with that. Job {other}: ")


def test_parts(pipes, root, why):
    """The join, the root, and a part that is held back."""
    join, parts = pipes.split(root, 5, at_once=2)
    told = why(join)
    assert (told.reason, told.facts["needs"], told.facts["of"], told.facts["held"]) == ("parts", 5, 5, 3)
    assert "At most 2 of them are open at a time (at_once); 3 are held back" in told.text
    assert why().reason == "becomes"
    assert (why(parts[0]).reason, why(parts[4]).reason) == ("unserved", "held")
    assert why(parts[4]).facts == {"join": join, "at_once": 2, "needs": 5, "of": 5}
    assert "of which 2 are open at a time" in why(parts[4]).text


def test_parts_of_a_split_that_has_not_begun(pipes, root, why):
    join, parts = pipes.plan(root, [2])
    assert (why(parts[0]).reason, why(parts[0]).facts) == ("planned", {"join": join})


# Queued


def test_nobody_works(world, why, keys):
    world.post()
    assert (why().reason, why().text) == ("unserved", f"No worker is running in namespace {keys.namespace!r}.")


def test_a_listener_is_missing(world, why, lives):
    """With the nearest name."""
    world.post(functions=["trian"])
    lives()
    assert why().text == "No live worker has a listener 'trian' (did you mean 'train'?)."


@pytest.mark.parametrize(("claims", "words"), [("stopping", "stop: start another one"), ("making room", "a job apart")])
def test_no_worker_claims(world, why, lives, claims, words):
    world.post()
    lives(claims=claims)
    told = why()
    assert (told.reason, told.facts["workers"], words in told.text) == ("stopping", ["w"], True)
    lives("other")
    assert why().reason == "free"


def test_a_limit_per_worker(world, why, lives):
    """The other worker's slots are all busy."""
    world.post(functions=["f"])
    lives(slots=4, busy=1, full="f,g")
    lives("other", slots=1, busy=1)
    told = why()
    assert (told.reason, told.facts["functions"], told.facts["workers"]) == ("per_worker", ["f"], ["w"])
    lives("third", slots=2, busy=1, full="g")
    assert why().reason == "free"


def test_all_slots_are_busy(world, why, lives):
    """The place in line over all lanes that a worker serves, and about how long that takes."""
    world.serving()
    world.post(3, functions=["f"])
    world.post(2, queue="slow")
    world.post(functions=["g"])
    lives(slots=2, busy=2)
    lives("many", slots=2, busy=9)  # the jobs of a batch share a slot
    told = why("6")
    assert (told.reason, told.facts["slots"], told.facts["ahead"], "about" in told.facts) == ("busy", 4, 5, False)
    assert told.text == "All 4 slots of the 2 workers that can run it are busy. 5 jobs come before it."
    row = [0.0] * len(stats_ops.COUNTERS)
    row[stats_ops.COUNTERS.index("run:7")], row[stats_ops.COUNTERS.index("run:sum")] = 10, 80.0
    world.run(stats_ops.tally(world.keys, "w", 1, [("default", row)]))
    told = why("6")
    assert told.facts["about"] == 8.0 * 6 / 4
    assert told.text.endswith("It begins in about 12 s (jobs of its queue ran for 8 s on average).")
    assert "about" not in str(why("1")) or why("1").facts["ahead"] == 0


def test_only_one_slot(world, why, lives):
    world.post()
    lives(busy=1)
    assert why().text == "The only slot of the worker that can run it is busy."


def test_a_slot_is_free(world, why, lives):
    world.post()
    lives(slots=4, busy=1)
    told = why()
    assert (told.reason, told.facts["slots"], told.facts["busy"]) == ("free", 4, 1)
    assert told.text.endswith(": it is about to begin.")


def test_a_slot_is_free_for_those_before_it(world, why, lives):
    world.serving()
    world.post()
    world.post()
    lives(slots=4, busy=3)
    told = why("2")
    assert (told.reason, told.facts["ahead"]) == ("free", 1)
    assert told.text.endswith("said in the last seconds. 1 job comes before it.")


def test_a_priority_counts_in_the_line(world, why, lives):
    world.serving()
    world.post(2)
    world.post(priority=5)
    lives(busy=1)
    assert (why("3").facts["ahead"], why("2").facts["ahead"]) == (0, 2)


# Models


def test_a_cold_model(world, why, lives):
    world.post(functions=["iris@1"])
    lives(functions="iris@1")
    assert why().reason == "cold"
    lives(functions="iris@1", models=loads("ready"))
    assert why().reason == "free"


def test_a_worker_that_has_the_model_is_waited_for(world, why, lives, about):
    """While that lasts; the worker says for how long it leaves jobs to others."""
    world.post(functions=["iris@1"])
    lives("hot", functions="iris@1", busy=1, models=loads("ready"))
    lives(functions="iris@1", affinity_wait=30)
    world.run(presence_ops.hold(world.keys, "hot", ["iris@1"], []))
    told = why()
    assert (told.reason, told.facts["workers"], told.facts["until"]) == ("affinity", ["hot"], about(30))
    lives(functions="iris@1", affinity_wait=0)
    assert why().reason == "free"
    world.run(presence_ops.retire(world.keys, "hot")[0])
    lives(functions="iris@1", affinity_wait=30)
    assert why().reason == "cold"  # who holds it is not alive


def test_a_broken_model(world, why, lives):
    world.post(functions=["iris@1"])
    lives(functions="iris@1", models=loads("broken", "ImportError: no torch"))
    told = why()
    assert (told.reason, told.facts["worker"], told.facts["error"]) == ("broken", "w", "ImportError: no torch")
    assert "could not be loaded on worker w: ImportError: no torch" in told.text


# Damage


def test_a_job_in_no_lane(world, why):
    world.post()
    world.raw.delete(world.keys.lane + "default")
    assert why().reason == "strayed"


@pytest.mark.parametrize(
    "name", ["job:1", "lanes", "lane:default", "leases", "scheduled", "metrics", "holders:iris@1", "serves:default:",
             "class:x:ready"],
)  # fmt: skip
def test_keys_of_other_types(world, keys, why, name):
    """They give an answer, and stay as they are."""
    world.post(functions=["iris@1"])
    world.raw.delete(keys.root + name)
    world.raw.lpush(keys.root + name, "garbage")
    assert why().reason in ("unserved", "strayed", "cold")
    world.raw.delete(keys.root + name)


@pytest.mark.parametrize("garbage", [None, b"", b"\xff no map", b"\x81\xa7running\xa1x"])
@pytest.mark.parametrize("name", ["limits", "paused", "running:queue:default", "starts:queue:default", "uses"])
def test_garbage_of_gates(world, keys, why, lives, name, garbage):
    """What is damaged limits nothing; a pause holds, whatever is known of it. None: the key is of another type."""
    world.serving()
    world.post(2)
    lives(slots=8)
    world.run(gate_ops.limit(keys, Gate("queue", "default"), Limit(running=1, starts=9, per=60)))
    world.claim()
    if garbage is None or name not in ("limits", "paused"):
        world.raw.delete(keys.root + name)
        world.raw.set(keys.root + name, garbage or "x", ex=60)
        reason = "limit" if name in ("starts:queue:default", "uses", "paused") else "free"
    else:
        world.raw.hset(keys.root + name, "queue:default", garbage)
        reason = "free" if name == "limits" else "paused"
    assert why("2").reason == reason


def test_garbage_in_the_hash(world, keys, why):
    """Numbers that are none count as 0, a state that is none is an error about this job."""
    world.running()
    fields = dict.fromkeys(("attempts", "started", "errors", "needs"), b"\xff\xfe no number " + b"x" * 5000)
    world.raw.hset(keys.job + "1", mapping=fields)
    told = why()
    assert (told.reason, told.facts["attempt"], told.facts["started"]) == ("running", 0, None)
    world.raw.hset(keys.job + "1", "state", "dreaming")
    with pytest.raises(Undecodable, match="job 1"):
        why()


def test_damaged_record(world, keys, why):
    world.post()
    world.raw.set(keys.post + "1", b"default\n12.5\n9\nnot packed")
    with pytest.raises(Undecodable, match="job 1"):
        why()


@pytest.mark.parametrize("needed", [10_000])
def test_a_split_of_many_parts_is_not_walked(pipes, root, why, needed):
    """Of which more have ended than one call looks at."""
    join, parts = pipes.split(root, 5)
    pipes.raw.hset(pipes.keys.job + join, mapping={"needs": needed, "of": needed, "parts": f"3-{needed + 2}"})
    for number in range(3, 600):
        pipes.raw.hset(f"{pipes.keys.job}{number}", "state", "succeeded")
    told = why(join)
    assert (told.reason, told.facts["needs"], told.facts["jobs"]) == ("parts", needed, [])
    assert parts


def test_a_server_that_accepts_no_writes(on_server, world_type):
    """It says so for every job that has not ended, with the server's words; through both shells."""
    with server.scratch(appendfsync=None, port=0) as small, redis.Redis.from_url(small.url) as raw:
        for kind in ("sync", "asyncio"):
            with on_server(kind, small.url) as run:
                raw.config_set("maxmemory", 0)
                raw.flushall()
                world = world_type(Keys("full"), raw, run)
                world.settle(world.running())
                world.post()
                raw.config_set("maxmemory", 1)
                seen = [Seen(run(why_ops.facts(world.keys, one)), [], "full") for one in ("1", "2")]
                raw.config_set("maxmemory", 0)
                assert [answer(one).reason for one in seen] == ["succeeded", "refused"]
                assert "OOM" in answer(seen[1]).text
                assert raw.strlen(world.keys.post + "2") == len(raw.get(world.keys.post + "2"))


def test_facts_stay_small(world, keys):
    """Whatever the job's message and result are."""
    world.run(job_ops.post(keys, "me", 1, "default", [b"0\n" + codec.pack(b"x" * 1_000_000)]))
    world.raw.hset(keys.job + "1", mapping={"state": "failed", "result": b"y" * 10**6, "error": b"z" * 10**6})
    facts = world.run(why_ops.facts(keys, "1"))
    assert (facts.state, len(facts.job["error"])) == (State.FAILED, 500)


def test_an_order_of_queues(world, why, lives):
    """Is told, since jobs of other queues may come first."""
    world.post()
    lives(busy=1, order="gpu before default")
    assert why().text.endswith("is busy. Workers take the queues in an order: gpu before default.")


# Gates


def test_a_pause(world, why, lives):
    """Of its queue, function, or share; by whom, and what ends it."""
    world.serving()
    world.post(functions=["f"], share="team-a")
    lives()
    for gate in (Gate("queue", "default"), Gate("function", "f"), Gate("share", "team-a")):
        world.run(gate_ops.pause(world.keys, gate, "ana on host"))
        told = why()
        assert (told.reason, told.facts["gate"], told.facts["by"]) == ("paused", str(gate), "ana on host")
        assert f"by ana on host: mlq resume --{gate.kind} {gate.name} ends that." in told.text
        world.run(gate_ops.pause(world.keys, gate, ""))
        assert why().reason == "free"


def test_a_limit(world, why, lives):
    """With the jobs that hold the places."""
    world.serving()
    world.run(gate_ops.limit(world.keys, Gate("function", "f"), Limit(running=2)))
    world.post(3, functions=["f"])
    lives(slots=8)
    assert why().reason == "free"
    world.claim(2)
    told = why("3")
    assert (told.reason, told.facts["gate"], told.facts["jobs"]) == ("limit", "function:f", ["1", "2"])
    assert told.text.startswith("Its function 'f' has a limit: 2 of 2 jobs run (1, 2). It may begin when")


def test_a_rate(world, why, lives, about):
    world.serving()
    world.run(gate_ops.limit(world.keys, Gate("queue", "default"), Limit(starts=1, per=60)))
    world.post(2)
    lives(slots=8)
    world.claim()
    told = why("2")
    assert (told.reason, told.facts["rate"], told.facts["due"]) == ("rate", "1/m", about(60))


def test_a_job_beneath_whose_queue_is_paused(pipes, world, why):
    first = pipes.post()
    pipes.post(f"fail {first}")
    world.run(gate_ops.pause(world.keys, Gate("queue", "default"), "ana"))
    assert why("2").facts["because"]["reason"] == "paused"


# Shares


def test_the_turn_of_another_share(world, why, lives):
    """Which has used less of the workers' time; the line is as if shares took turns."""
    world.serving()
    world.post(5, functions=["f"], share="a")
    world.claim()
    world.post(3, functions=["f"], share="b")
    lives(busy=1)
    told = why("3")
    assert (told.reason, told.facts["share"], told.facts["shares"], told.facts["ahead"]) == ("share", "a", ["b"], 3)
    assert "another share comes first (b)" in told.text
    world.run(share_ops.set_weight(world.keys, "a", 2.5))
    assert (why("3").facts["weight"], why("3").facts["before"]) == (2.5, 1)
    assert "whose weight is 2.5." in why("3").text
    assert why("6").reason == "busy"


def test_shares_count_in_the_line_of_others(world, why, lives):
    """A job of another lane, posted after theirs."""
    world.serving()
    world.post(2, functions=["f"], share="a")
    world.post(2, functions=["f"], share="b")
    world.post(functions=["g"])
    lives(busy=1)
    assert why("5").facts["ahead"] == 4


def test_lanes_with_gates_count_in_the_line(world, why, lives):
    world.serving()
    world.run(gate_ops.limit(world.keys, Gate("function", "f"), Limit(running=9)))
    world.post(2, functions=["f"])
    world.post(functions=["g"])
    lives(busy=1)
    assert why("3").facts["ahead"] == 2
