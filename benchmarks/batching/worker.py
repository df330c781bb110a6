"""A worker of MLQ that claims by another service's rule.

python -m benchmarks.batching.worker RULE, then what the command `mlq` takes. Two parts of the worker are replaced. The
claimer looks at the waiting jobs, has the rule decide, and claims then. The settler only settles, so nothing passes the
rule by, and it tells the rule of the batches that ended.
"""

import hashlib
import sys
import time
from functools import partial
from typing import Any

from benchmarks.batching.rules import RULES, Greedy, Waiting
from mlq.cli import main
from mlq.ops import Op, call
from mlq.ops.scripts import Script
from mlq.worker import claimer, worker
from mlq.worker.attempt import Attempt
from mlq.worker.settler import Settler
from mlq.worker.shared import Shared

CLAIM_NOW = claimer.claim_now
# How many jobs wait in the first lane of the worker's index, and the ages of the first and the last one.
SOURCE = r"""
local lane = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
local jobs = lane and lane ~= '' and redis.call('ZCARD', KEYS[2] .. lane) or 0
if jobs == 0 then return {0} end
local time = redis.call('TIME')
local reply = {jobs}
for _, place in ipairs({0, -1}) do
  local id = redis.call('ZRANGE', KEYS[2] .. lane, place, place)[1]
  local posted = string.match(redis.call('GETRANGE', KEYS[3] .. id, 0, 200), '^[^\n]*\n([^\n]*)\n')
  reply[#reply + 1] = string.format('%.6f', time[1] - posted + time[2] / 1e6)
end
return reply
"""
SCRIPT = Script("waiting", SOURCE, hashlib.sha1(SOURCE.encode(), usedforsecurity=False).hexdigest())


def look(shared: Shared) -> Op[Waiting]:
    """The op that looks at the waiting jobs of the one model that is hosted."""

    def parse(reply: list[Any]) -> Waiting:
        return Waiting(reply[0], float(reply[1]), float(reply[2])) if reply[0] else Waiting(0, 0.0, 0.0)

    keys, (served,) = shared.keys, shared.served
    return call(SCRIPT, (f"{keys.class_}{served.name}:ready", keys.lane, keys.post), (), parse)


def claim_by(rule: Greedy, shared: Shared, give: claimer.Give) -> None:
    """In the place of `claim_now`: claim when the rule says so. Nothing else claims meanwhile."""
    while shared.registered:  # the first claim registers the worker
        waiting = shared.shell.run(look(shared))
        if not waiting.jobs:
            shared.exhausted = True  # as after a claim that finds nothing; a job that comes wakes the claimer
            return
        if not (seconds := rule.hold(waiting)):
            rule.left(waiting)
            break
        time.sleep(seconds)
    CLAIM_NOW(shared, give)


def use(rule: Greedy) -> None:
    """Have the worker of this process claim by a rule."""

    class OnlySettles(Settler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.refill = False

        def _pauses(self, freed: list[Attempt]) -> list[float]:
            for attempt in freed:
                if attempt.batch is not None:
                    rule.ended(len(attempt.batch.members), attempt.took)
            return []

    claimer.claim_now = partial(claim_by, rule)
    worker.Settler = OnlySettles  # type: ignore[attr-defined, assignment]


if __name__ == "__main__":
    use(RULES[sys.argv.pop(1)]())
    main()
