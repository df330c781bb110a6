"""What is posted under rules, as pure functions of seed and number, and the rules themselves."""

import random
from typing import Any, NamedTuple

LIMITED, ASKS, TELLS, SHARED, NARROW = "limited", "asks", "tells", "shared", "narrow"  # kinds: also their listeners
KEYED, DEBOUNCED, PAUSED = "keyed", "debounced", "paused"
RESOURCE = "api"  # what `asks` and `tells` use
LEFT, RIGHT = "left", "right"  # shares
QUEUE, NARROW_QUEUE, PAUSED_QUEUE = "rules", "narrow", "pausing"  # jobs of the default queue name no functions
LENGTH = 6  # jobs that may wait in the narrow queue
EXPIRES = 0.7  # seconds, of half of the jobs in the queue that is paused now and then

RUNNING = {LIMITED: 3, RESOURCE: 2, LEFT: 2, NARROW: 1}  # jobs at a time of what is limited
RATE = 5  # starts a second of jobs that use the resource
GATES: list[dict[str, str]] = [
    {"function": LIMITED}, {"resource": RESOURCE}, {"share": LEFT}, {"function": NARROW}, {"queue": NARROW_QUEUE},
]  # fmt: skip
LIMITS: list[dict[str, Any]] = [
    {"running": RUNNING[LIMITED]}, {"running": RUNNING[RESOURCE], "rate": f"{RATE}/s"}, {"running": RUNNING[LEFT]},
    {"running": RUNNING[NARROW]}, {"length": LENGTH},
]  # fmt: skip

TICKS, BEATS = "ticks", "beats"  # schedules and their listeners: of the code, and made at run time
EVERY = {TICKS: 1.0, BEATS: 2.0}  # seconds
TICKS_RULES: dict[str, Any] = {"missed": "all", "overlap": "queue"}  # each tick has a job
BEATS_RULES: dict[str, Any] = {"missed": "once", "overlap": "skip"}  # one job at a time
SECONDS = {TICKS: 0.05, BEATS: 1.5}

KINDS = {  # how often each is posted, how many at once, and the seconds that these take
    LIMITED: (5, 1, 0.05, 0.5),
    ASKS: (2, 1, 0.01, 0.4),
    TELLS: (2, 1, 0.01, 0.4),
    SHARED: (5, 1, 0.01, 0.3),
    NARROW: (1, 8, 0.01, 0.05),
    KEYED: (5, 1, 0.05, 0.5),
    DEBOUNCED: (4, 1, 0.0, 0.2),
    PAUSED: (4, 1, 0.0, 0.1),
}
_SPACING = 100  # numbers of a plan


class Post(NamedTuple):
    """One job to post."""

    kind: str
    number: int
    seconds: float
    options: dict[str, Any]

    @property
    def message(self) -> dict[str, Any]:
        """What is posted."""
        return message(self.kind, self.number, self.seconds)

    @property
    def key(self) -> str | None:
        """That it is posted with."""
        key: str | None = self.options.get("key")
        return key


def message(kind: str, number: int, seconds: float) -> dict[str, Any]:
    """What a job under rules has."""
    return {"rule": kind, "number": number, "seconds": seconds}


def plan(seed: int, number: int) -> list[Post]:
    """What is posted at once."""
    chance = random.Random(f"rules:{seed}:{number}")
    kind = chance.choices(list(KINDS), [often for often, *_ in KINDS.values()])[0]
    _, count, shortest, longest = KINDS[kind]
    return [
        Post(kind, number * _SPACING + i, round(chance.uniform(shortest, longest), 4), _options(kind, chance))
        for i in range(count)
    ]


def every_key() -> list[dict[str, Any]]:
    """Options of a post with each key that there is."""
    return [_with_key(kind, key) for kind, several in _KEYS.items() for key in several]


_KEYS = {KEYED: [f"key-{i}" for i in range(4)], DEBOUNCED: [f"key-{i}" for i in range(3)]}


def _with_key(kind: str, key: str) -> dict[str, Any]:
    more = {"replace": True, "delay": 0.3} if kind == DEBOUNCED else {}
    return {"functions": [kind], "queue": QUEUE, "key": key, **more}


def _options(kind: str, chance: random.Random) -> dict[str, Any]:
    if kind in _KEYS:
        return _with_key(kind, chance.choice(_KEYS[kind]))
    more: dict[str, dict[str, Any]] = {
        SHARED: {"share": chance.choice((LEFT, RIGHT))},
        NARROW: {"queue": NARROW_QUEUE, "priority": chance.choice((-5, 0, 5))},
        PAUSED: {"queue": PAUSED_QUEUE, "expires": chance.choice((None, EXPIRES)), "delay": chance.choice((None, 0.2))},
    }
    return {"functions": [kind], "queue": QUEUE, **more.get(kind, {})}
