"""Makes the pool in which the shadows of a worker predict: one child of their own, of the lowest priority."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlq.worker.shadow_runner import Aside

if TYPE_CHECKING:
    from mlq.pools.child_process import Limits, Program
    from mlq.pools.model_children import ModelChildren
    from mlq.pools.process import ProcessPool


def aside_of(programs: Sequence["Program"], limits: "Limits", placing: "ModelChildren | None") -> Aside:
    """For a worker whose children run `programs`; `placing` knows what they leave of the memory budget."""
    from mlq.pools.process import ProcessPool

    def make(functions: Sequence[str]) -> "ProcessPool":
        first = programs[0]
        # of several --functions, the last one counts
        command = [*first.command, "--functions", ",".join(functions), "--weigh", "--lowest"]
        return ProcessPool([first._replace(command=command)], limits=limits)

    return Aside(make, lambda: math.inf if placing is None else placing.spare)
