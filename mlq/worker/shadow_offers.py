"""What a worker hands to shadows: a share of the predictions that succeeded here, off the path of answers."""

import itertools
import random
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from mlq.core.keys import Keys
from mlq.core.shadow import Sample, Shadow
from mlq.core.states import State
from mlq.errors import ServerError
from mlq.ops import shadows as shadow_ops
from mlq.shell.sync import Shell
from mlq.system.service import Service, TroubleLog
from mlq.worker.outbox import Ended

WAITING = 64  # predictions here, until they are sent to the server
LARGEST = 64 * 1024  # bytes of an input with its output; an attempt drops a larger message when it ends, anyway
GATHER = 0.02  # seconds until predictions are sent, so that several go together


class Offers:
    """Chooses predictions. It never waits, and what finds no room is dropped."""

    def __init__(self) -> None:
        """No shadow is set."""
        self.on = False  # whether there is anything to choose for
        self.came = threading.Event()
        self._shadows: dict[str, tuple[str, float]] = {}  # by listener: the listener of the shadow, and the share
        self._chosen: deque[tuple[str, Sample]] = deque()
        self._dropped: deque[str] = deque()  # the listener of the shadow, for each; appending is one call in C

    def learn(self, shadows: Mapping[str, Shadow], listeners: Iterable[str]) -> None:
        """Choose for these shadows, by model, among the predictions of these listeners of models."""
        found = {}
        for function in listeners:
            model, _, version = function.rpartition("@")
            shadow = shadows.get(model)
            if shadow is not None and shadow.share and shadow.version != version:
                found[function] = f"{model}@{shadow.version}", shadow.share
        self._shadows, self.on = found, bool(found)

    def choose(self, batch: Sequence[Ended], accepted: Sequence[bool]) -> None:
        """Choose among attempts that were settled."""
        for ended, ok in zip(batch, accepted, strict=True):
            if ok and ended.outcome.state is State.SUCCEEDED and len(ended.attempt.listeners) == 1:
                self._choose(ended)

    def _choose(self, ended: Ended) -> None:
        attempt = ended.attempt
        function, share = self._shadows.get(attempt.listeners[0].name, ("", 0.0))
        part = attempt.record.options.part
        if random.random() >= share or attempt.streams or (part is not None and part.joins):  # noqa: S311 - no secret
            return  # what a join got is not in its record
        message, result = attempt.record.message, ended.outcome.fields.get("result", b"")
        fits = message and len(message) + len(result) <= LARGEST and len(self._chosen) < WAITING
        if fits and isinstance(result, bytes):
            self._chosen.append((function, Sample(attempt.claimed.id, message, result)))
        else:
            self._dropped.append(function)
        self.came.set()

    def take(self) -> dict[str, tuple[list[Sample], int]]:
        """All that was chosen, by the listener of the shadow, and how many were dropped."""
        dropped = Counter(self._dropped.popleft() for _ in range(len(self._dropped)))
        chosen: defaultdict[str, list[Sample]] = defaultdict(list)
        for function, sample in (self._chosen.popleft() for _ in range(len(self._chosen))):
            chosen[function].append(sample)
        return {function: (chosen[function], dropped[function]) for function in chosen.keys() | dropped.keys()}

    def drop(self, function: str, count: int) -> None:
        """So many were dropped."""
        self._dropped.extend(itertools.repeat(function, count))


class Offering(Service):
    """Sends what was chosen, over a connection of its own: a slow one must not make settlements wait."""

    def __init__(self, keys: Keys, shell: Shell, offers: Offers, died: Callable[[], None]) -> None:
        """`shell`: used by nothing on which an answer waits."""
        super().__init__("shadow sender", died)
        self._keys = keys
        self._shell = shell
        self._offers = offers
        self._trouble = TroubleLog("can't hand predictions to shadows")

    def turn(self) -> None:
        """Send what there is."""
        if not self._offers.came.wait(1.0):
            return
        self.stopping.wait(GATHER)
        self._offers.came.clear()
        for function, (samples, dropped) in self._offers.take().items():
            try:
                self._shell.run(shadow_ops.offer(self._keys, function, samples, dropped))
                self._trouble.over()
            except ServerError as error:
                self._trouble.log(error)
                self._offers.drop(function, len(samples) + dropped)
