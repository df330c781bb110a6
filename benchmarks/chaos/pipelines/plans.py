"""The pipelines of a run, as pure functions of seed and number: what each consists of, and how it has to end."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

RETRIES = 2  # of every step
QUEUE, PARTS = "steps", "parts"  # the steps of one pipeline come from several lanes
LONGEST = 0.3  # seconds that a step takes
SOON = 2.5  # seconds after its post within which a pipeline is cancelled
STEP, JOIN, WRAP, GATHER = "take_step", "join_parts", "wrap_result", "gather_results"  # the listeners
MISSING = "missing"  # what a join puts in the place of a result that is not there
CALLBACKS = 0.2  # share of the roots that have one, unless they are requeued: these end twice

Spec = dict[str, Any]  # of one step, as its message has it


class Broken(NamedTuple):
    """What a pipeline ends with that has a failed step: the error is the path of one that raises."""

    paths: frozenset[str]


class Root(NamedTuple):
    """One job to post, which becomes a pipeline."""

    key: str
    spec: Spec
    wraps: int = 0  # listeners in `then`
    needs: tuple[int, ...] = ()  # the roots of the plan that it comes after, by their place in it
    on_failure: str | None = None
    cancels: str | None = None  # what is cancelled midway: the "root", or a "step"
    requeues: str | None = None  # what is requeued when the whole has ended badly: the "root", or a "step"
    after: float = 0.0  # seconds from the post to the cancellation
    calls_back: bool = False

    @property
    def message(self) -> dict[str, Any]:
        """What is posted."""
        return {"root": self.key, **self.spec}

    @property
    def options(self) -> dict[str, Any]:
        """Further arguments of the post."""
        return {
            "functions": [GATHER if self.needs else STEP], "queue": QUEUE, "retries": RETRIES,
            "then": [f"{PARTS}:{WRAP}"] * self.wraps or None, "on_failure": self.on_failure,
        }  # fmt: skip


class Plan(NamedTuple):
    """Roots that are posted together."""

    kind: str
    roots: list[Root]


class _Maker:
    """Makes the steps of one plan."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def leaf(self, path: str, raises: str = "") -> Spec:
        """A step whose result is its path. `raises`: "always", or "until mended"."""
        fails = int(not raises and self.chance.random() < 0.15)
        seconds = round(self.chance.choice((0.0, self.chance.uniform(0.0, LONGEST))), 3)
        return {"path": path, "seconds": seconds, "fails": fails, "raises": raises}

    def forwards(self, path: str, count: int) -> Spec:
        """A step that becomes another one, and so on."""
        made = self.leaf(path)
        return made | {"next": self.forwards(f"{path}.n", count - 1)} if count else made

    def split(self, path: str, parts: Callable[[str], Spec], count: int, on_failure: str = "fail") -> Spec:
        """A step that becomes so many parts, and a join."""
        at_once = self.chance.choice((None, 1, 2, 4))
        made = {"parts": [parts(f"{path}.{i}") for i in range(count)], "at_once": at_once, "on_failure": on_failure}
        return self.leaf(path) | made

    def part(self, path: str) -> Spec:
        """One that succeeds, perhaps as another job."""
        return self.forwards(path, int(self.chance.random() < 0.2))

    def with_bad(self, path: str, raises: str, on_failure: str) -> Spec:
        """A split of which some parts raise."""
        count = self.chance.randint(2, 6)
        bad = {f"{path}.{i}" for i in self.chance.sample(range(count), self.chance.randint(1, 2))}
        return self.split(path, lambda at: self.leaf(at, raises) if at in bad else self.part(at), count, on_failure)

    def any_split(self, path: str) -> Spec:
        """One that succeeds."""
        return self.split(path, self.part, self.chance.randint(0, 8))

    def two_levels(self, path: str) -> Spec:
        """A split whose parts are splits."""
        return self.split(path, lambda at: self.split(at, self.part, self.chance.randint(0, 3)), 3)


def _chain(made: _Maker, key: str) -> list[Root]:
    return [Root(key, made.leaf("r"), wraps=made.chance.randint(1, 4))]


def _forwards(made: _Maker, key: str) -> list[Root]:
    return [Root(key, made.forwards("r", made.chance.randint(1, 5)), wraps=made.chance.randint(0, 1))]


def _split(made: _Maker, key: str) -> list[Root]:
    return [Root(key, made.any_split("r"), wraps=made.chance.randint(0, 1))]


def _two_levels(made: _Maker, key: str) -> list[Root]:
    return [Root(key, made.two_levels("r"))]


def _missing(made: _Maker, key: str) -> list[Root]:
    return [Root(key, made.with_bad("r", "always", "run"))]


def _broken(made: _Maker, key: str) -> list[Root]:
    return [Root(key, made.with_bad("r", "always", "fail"))]


def _mended(made: _Maker, key: str) -> list[Root]:
    requeues = made.chance.choice(("root", "step"))
    return [Root(key, made.with_bad("r", "until mended", "fail"), requeues=requeues)]


def _cancelled(made: _Maker, key: str) -> list[Root]:
    spec = made.chance.choice((made.any_split, made.two_levels, lambda path: made.forwards(path, 5)))("r")
    cancels = made.chance.choice(("root", "root", "step"))
    requeues = made.chance.choice((None, "root"))
    return [Root(key, spec, cancels=cancels, requeues=requeues, after=made.chance.uniform(0.0, SOON))]


def _after(made: _Maker, key: str) -> list[Root]:
    needed = [made.forwards("r", 1), made.any_split("r")]
    return _with_dependent(made, key, [Root("", spec) for spec in needed], None)


def _after_bad(made: _Maker, key: str) -> list[Root]:
    bad = [
        Root("", made.with_bad("r", "always", "fail")),
        Root("", made.any_split("r"), cancels="root", after=made.chance.uniform(0.0, SOON)),
        Root("", made.with_bad("r", "until mended", "fail"), requeues="root"),
    ]
    needed = [made.chance.choice(bad), Root("", made.part("r"))]
    return _with_dependent(made, key, needed, made.chance.choice(("fail", "run")))


def _with_dependent(made: _Maker, key: str, needed: list[Root], on_failure: str | None) -> list[Root]:
    last = Root("", made.leaf("r"), needs=tuple(range(len(needed))), on_failure=on_failure)
    return [root._replace(key=f"{key}.{i}") for i, root in enumerate([*needed, last])]


KINDS: dict[str, tuple[float, Callable[[_Maker, str], list[Root]]]] = {  # with its share
    "chain": (0.12, _chain),
    "forwards": (0.12, _forwards),
    "split": (0.16, _split),
    "two levels": (0.1, _two_levels),
    "parts missing": (0.08, _missing),
    "broken": (0.06, _broken),
    "mended": (0.1, _mended),
    "cancelled": (0.12, _cancelled),
    "after": (0.07, _after),
    "after bad ones": (0.07, _after_bad),
}


def plan(seed: int, number: int) -> Plan:
    """The plan of that number."""
    chance = random.Random(f"pipelines:{seed}:{number}")
    kind = chance.choices(list(KINDS), [share for share, _ in KINDS.values()])[0]
    roots = KINDS[kind][1](_Maker(chance), str(number))
    return Plan(kind, [root._replace(calls_back=not root.requeues and chance.random() < CALLBACKS) for root in roots])


def result(spec: Spec, *, mended: bool = False) -> Any:
    """What becomes of a step and of all that it becomes: a result, or `Broken`."""
    if spec["raises"] == "always" or (spec["raises"] and not mended):
        return Broken(frozenset({spec["path"]}))
    if "next" in spec:
        return result(spec["next"], mended=mended)
    if "parts" not in spec:
        return spec["path"]
    found = [result(part, mended=mended) for part in spec["parts"]]
    bad = [one for one in found if isinstance(one, Broken)]
    if bad and spec["on_failure"] == "fail":
        return Broken(frozenset().union(*(one.paths for one in bad)))
    return [MISSING if isinstance(one, Broken) else one for one in found]


def raising(spec: Spec) -> set[str]:
    """The paths of the steps that raise at first, or always: their own errors are a reason to run again."""
    found = {spec["path"]} if spec["fails"] or spec["raises"] else set()
    return found.union(*map(raising, [*spec.get("parts", []), *([spec["next"]] if "next" in spec else [])]))


def wrapped(value: Any, times: int) -> Any:
    """The result after so many listeners of `then`."""
    for _ in range(times):
        value = [WRAP, value]
    return value


def steps(spec: Spec) -> Iterator[str]:
    """The listener of each step that a step becomes, if all go well."""
    if "next" in spec:
        yield STEP
        yield from steps(spec["next"])
    if "parts" in spec:
        yield JOIN
        for part in spec["parts"]:
            yield STEP
            yield from steps(part)


def steps_of(root: Root) -> Counter[str]:
    """How many steps the root has in the end, by listener."""
    return Counter([*steps(root.spec), *[WRAP] * root.wraps])
