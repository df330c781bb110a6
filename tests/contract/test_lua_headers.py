"""Every script says what it does, and its header is true: the keys and arguments named are those that the op sends.

The rules: a script takes each fixed key into a named local, once, in a statement `local ... = KEYS[1], KEYS[2], ...`
at its beginning; keys of a variable tail ("then every ...") are indexed. Arguments may be used where they are needed,
but only those that the header counts. What several scripts share is included; each file names what it needs.
"""

import re
from pathlib import Path

import pytest

from mlq.core.job import Claimed, Outcome
from mlq.core.job_options import PLAIN
from mlq.core.keys import Keys
from mlq.core.limit import Gate, Limit
from mlq.core.schedule import Firing, schedule_of
from mlq.core.shadow import Sample
from mlq.core.states import State
from mlq.ops import deliveries as delivery_ops
from mlq.ops import following as follow_ops
from mlq.ops import gates as gate_ops
from mlq.ops import jobs as job_ops
from mlq.ops import lengths as length_ops
from mlq.ops import lists as list_ops
from mlq.ops import pipelines as pipeline_ops
from mlq.ops import posting as post_ops
from mlq.ops import presence as presence_ops
from mlq.ops import purging as purge_ops
from mlq.ops import schedules as schedule_ops
from mlq.ops import settling as settle_ops
from mlq.ops import shadows as shadow_ops
from mlq.ops import stats as stats_ops
from mlq.ops import uploads as upload_ops
from mlq.ops import why as why_ops
from mlq.ops import work as work_ops
from mlq.ops.deliveries import Delivery
from mlq.ops.scripts import script
from mlq.ops.settling import Ending
from mlq.ops.work import WorkerClass

LUA = Path(__file__).parents[2] / "mlq" / "lua"
SCRIPTS = sorted(path.stem for path in LUA.glob("*.lua"))
SHARED = sorted(path.stem for path in (LUA / "shared").glob("*.lua"))
SHARED_FUNCTIONS = re.findall(
    r"^local function (\w+)", "\n".join(script(f"shared/{name}").source for name in SHARED), re.MULTILINE
)
MOST_LINES = 80
LABELS = ("Guarantee:", "KEYS ", "ARGV ", "RETURNS ")
WRITES = re.compile(
    r"'(SET|DEL|HSET|HDEL|HINCRBY|INCR|INCRBY|ZADD|ZREM|ZREMRANGEBYSCORE|SADD|SREM|RPUSH|LTRIM|XADD|EXPIRE|PEXPIRE|PERSIST)'"
)

K = Keys("n")
HOURLY = schedule_of("hourly", None, 3600, None, None, None, 1, None, ["f"], {})
KNOWN = schedule_ops.Known("hourly", "1.0", b"", b"", b"", None, None, "1.0")
ONE = Claimed("1", 1, "w.1", "w", 0.0, b"default\n1\n0\n\x01")
OPS = {
    op.script.name: op
    for op in (
        job_ops.post(K, "me", 1, "default", [b"body"], keyed="a key"),
        post_ops.sync_counter(K, "run", 7),
        job_ops.read(K, "1"),
        job_ops.info(K, "1"),
        job_ops.glance(K, "1"),
        job_ops.wait(K, "1", "me", 10),
        job_ops.cancel(K, "1"),
        job_ops.requeue(K, "1"),
        job_ops.delete(K, "1"),
        job_ops.place(K, "1"),
        job_ops.counts(K),
        why_ops.facts(K, "1"),
        pipeline_ops.tree(K, "1", "", 500),
        pipeline_ops.outcomes(K, ["1", "2"]),
        job_ops.chores(K),
        length_ops.length(K, "gpu"),
        purge_ops.purge(K, "default", 7, purge_ops.Purged()),
        list_ops.listing(K),
        list_ops.dead(K, 0, -1),
        work_ops.register(K, WorkerClass.of(["default"], ["default"], ["f"]), 10),
        work_ops.claim(K, "w", 1, "class", 6, 1),
        settle_ops.settle(K, [Ending(ONE, Outcome(State.SUCCEEDED, {"result": b"\x01"}), PLAIN)], 2),
        work_ops.renew(K, [ONE], 6),
        work_ops.hand_back(K, [(ONE, True)]),
        work_ops.expire(K, ONE),
        work_ops.rest(K, ONE),
        work_ops.report(K, ONE, b"\x01", [(1, "chunk", b"\x01")]),
        follow_ops.follow(K, "1", "me", 10, ("", b""), (0, 0)),
        work_ops.reap(K, 3, 2, 2),
        work_ops.overrun(K, 60, 5),
        work_ops.apart(K, "w", 5),
        work_ops.claim_apart(K, "w", 1, "1", 6),
        presence_ops.alive(K, "w", 10, {"host": "here"}),
        presence_ops.workers(K),
        presence_ops.hold(K, "w", ["iris@1"], ["spam@1"]),
        schedule_ops.declare(K, HOURLY, 1.0, "code"),
        schedule_ops.due(K),
        schedule_ops.fire(K, KNOWN, HOURLY, Firing([1.0], 2.0, 0), ("me", 1), "epoch"),
        schedule_ops.pause(K, "hourly"),
        schedule_ops.remove(K, "hourly"),
        schedule_ops.page(K),
        shadow_ops.settings(K),
        shadow_ops.offer(K, "iris@2", [Sample("1", b"\x01", b"\x01")], 1),
        upload_ops.put(K, "f", b"head", b"code"),
        upload_ops.remove(K, "f"),
        upload_ops.read(K, "f", 100),
        stats_ops.tally(K, "w", 1, [("default", [1] * len(stats_ops.COUNTERS))]),
        stats_ops.stats(K),
        delivery_ops.take(K, "webhook", 1, 10, 3),
        delivery_ops.end(K, Delivery("webhook", "1", {"tries": b"1", "queued": b"1.0"}), 200, "sent", None),
        delivery_ops.put_back(K, Delivery("webhook", "1", {"tries": b"1", "queued": b"1.0"}), 1.0),
        delivery_ops.redeliver(K, "1"),
        gate_ops.limit(K, Gate("queue", "gpu"), Limit(4)),
        gate_ops.gates(K),
        gate_ops.pause(K, Gate("queue", "gpu"), "me"),
        gate_ops.states(K, {}, {}, [Gate("queue", "gpu"), Gate("queue", "cpu")]),
        gate_ops.declare_uses(K, {":f": [Gate("resource", "openai")], ":g": []}),
    )
}


# A script that another one includes as the body of a function, with keys and arguments of its own.
WITHIN = re.compile(r"^local function \w+\(KEYS, ARGV\)$.*?^end -- of \w+\.lua$", re.MULTILINE | re.DOTALL)


def code(name: str) -> str:
    """A script without its comments, with what it includes."""
    return re.sub(r"--.*", "", script(name).source)


def own_code(name: str) -> str:
    """The same without other scripts as a whole."""
    return re.sub(r"--.*", "", WITHIN.sub("", script(name).source))


def header(name: str) -> dict[str, str]:
    """The parts of a script's header by label; the purpose under ''."""
    parts: dict[str, str] = {"": ""}
    label = ""
    for line in (LUA / f"{name}.lua").read_text("utf-8").splitlines():
        if not line.startswith("-- "):
            break
        text = line.removeprefix("-- ")
        if found := next((each for each in LABELS if text.startswith(each)), None):
            label = found.strip(" :")
            text = text.removeprefix(found)
        parts[label] = f"{parts.get(label, '')} {text.strip()}".strip()
    return parts


def counted(described: str) -> tuple[int, bool]:
    """How many keys or arguments a header names at least, and whether more may follow."""
    fixed, more = 0, False
    for item in (part.strip() for part in re.split(r" · |: ", described)):
        if item == "those of shared/lapse.lua":
            fixed += len(job_ops.lapse_keys(K))
        elif (
            item in {"per job", "per outcome", "then per outcome", "then per entry"}
            or item == "..."
            or re.match(r"then every|then the name of every|then those of post|body of each", item)
        ):
            more = True
            if "per " in item:
                break
        elif re.search(r"of each\b", item):
            more = True
        else:
            fixed += 1
    return fixed, more


@pytest.mark.parametrize("name", SCRIPTS)
def test_header_is_complete(name):
    """Purpose, keys and reply; a guarantee where the script writes, arguments where it has some."""
    parts = header(name)
    assert all(parts.get(label) for label in ("", "KEYS", "RETURNS"))
    own = code(name)
    assert not WRITES.search(own) or parts.get("Guarantee")
    uses_arguments = "ARGV" in own
    assert bool(parts.get("ARGV")) == uses_arguments


@pytest.mark.parametrize("name", SHARED)
def test_shared_part_says_what_it_does(name):
    """In a comment, first."""
    assert (LUA / "shared" / f"{name}.lua").read_text("utf-8").startswith("-- ")


@pytest.mark.parametrize("name", [*SCRIPTS, *(f"shared/{name}" for name in SHARED)])
def test_includes_are_whole(name):
    """Each shared function that is called was defined before."""
    text = code(name)
    for function in SHARED_FUNCTIONS:
        first = re.search(rf"(?<!gating\.)\b{function}\(", text)  # `gating` is a table of some of them
        assert (f"local function {function}(" in text) == (first is not None or f" {function}(" in text)
        assert first is None or text[: first.start()].endswith("local function ")


@pytest.mark.parametrize("name", [*SCRIPTS, *(f"shared/{name}" for name in SHARED)])
def test_script_is_short(name):
    """One screen or two."""
    assert len((LUA / f"{name}.lua").read_text("utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("name", SCRIPTS)
def test_keys_are_taken_by_name(name):
    """Each fixed key once, in a declaration; an index that is computed belongs to a variable tail."""
    text = own_code(name)
    declared = [
        int(number)
        for names, values in re.findall(r"^local ([\w, ]+) = (KEYS\[\d+\](?:, KEYS\[\d+\])*)$", text, re.MULTILINE)
        for number in re.findall(r"\d+", values)
        if len(names.split(",")) == len(values.split(","))
    ]
    assert sorted(map(int, re.findall(r"KEYS\[(\d+)\]", text))) == sorted(declared)
    fixed, more = counted(header(name)["KEYS"])
    assert sorted(declared) == list(range(1, fixed + 1))
    assert more == bool(re.search(r"KEYS\[[a-z]|unpack\(KEYS", text))


@pytest.mark.parametrize("name", SCRIPTS)
def test_op_sends_what_the_header_says(name):
    """As many keys, as many arguments, and no key outside the namespace."""
    op = OPS[name]
    sent_keys = op.command[3 : 3 + op.command[2]]
    fixed, more = counted(header(name)["KEYS"])
    assert len(sent_keys) > fixed if more else len(sent_keys) == fixed
    assert all(key.startswith(K.root) for key in sent_keys)
    sent = len(op.command) - 3 - len(sent_keys)
    fixed, more = counted(header(name).get("ARGV", "")) if "ARGV" in header(name) else (0, False)
    assert sent >= fixed if more else sent == fixed


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_argument_that_the_header_does_not_name(name):
    """Nor one that it names and the script ignores."""
    used = set(map(int, re.findall(r"ARGV\[(\d+)\]", own_code(name))))
    fixed, more = counted(header(name)["ARGV"]) if "ARGV" in header(name) else (0, False)
    assert used <= set(range(1, fixed + 1))
    assert more or used == set(range(1, fixed + 1))


def test_every_script_has_an_op():
    """None is left over, none is missing."""
    assert sorted(OPS) == SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_ask_for_no_whole_keyspace(name):
    """And don't depend on what may not be there."""
    assert not re.search(r"'(KEYS|SCAN|FLUSHDB|FLUSHALL|RANDOMKEY)'|math\.random|os\.", code(name))
