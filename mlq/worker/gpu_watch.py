"""The duty that looks how full this worker's GPUs are, for its heartbeat. Few workers need it: it starts on demand."""

import json
import os
from collections.abc import Callable, Sequence

from mlq.system import gpus
from mlq.system.service import Service

EVERY = 10.0  # seconds between looks; each runs nvidia-smi, which takes 20 ms to some seconds


class GpuWatch(Service):
    """Its thread waits for nvidia-smi, so that the heartbeat need not."""

    def __init__(self, chosen: Sequence[str], died: Callable[[], None]) -> None:
        """`chosen`: the GPUs of the children; if empty, all that this process may use."""
        super().__init__("gpu watch", died)
        self._chosen = chosen
        self.seen = ""  # what the last look found, as JSON: a list of GpuUse

    def turn(self) -> None:
        """Look, then wait."""
        found = gpus.usage(self._chosen, os.environ)
        self.seen = json.dumps(found) if found else ""
        self.stopping.wait(EVERY)
