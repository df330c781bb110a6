"""The duty that claims jobs while there are free slots, and sleeps on the server while there are none waiting."""

import contextlib
import time
from collections.abc import Callable

from mlq.errors import MLQError, ServerError
from mlq.job import Claimed
from mlq.ops import data as data_ops
from mlq.ops import work as work_ops
from mlq.options import DEFAULT_QUEUE
from mlq.service import Service, log
from mlq.worker.desk import LEASE, Desk, Give

LISTEN = 5.0  # seconds of one wait on the server; a lost wake-up costs no more than that
MOST = 100  # jobs of one claim


def claim_now(desk: Desk, give: Give) -> None:
    """Claim for all free slots and give the attempts to the pool. Call it with `desk.claiming` held."""
    wanted = desk.slots.take(MOST)
    if not wanted:
        return
    claimed: list[Claimed] = []
    try:
        claimed = ask(desk, wanted)
    finally:
        desk.slots.give(wanted - len(claimed))
    desk.drained = len(claimed) < wanted
    for attempt in desk.hold(claimed):
        give(attempt)


def ask(desk: Desk, wanted: int) -> list[Claimed]:
    """One claim; with the new list of lanes again, when that has changed."""
    while True:
        op = work_ops.claim(desk.keys, desk.name, next(desk.numbers), desk.lanes, LEASE, wanted)
        reply = desk.shell.run(op)
        if isinstance(reply, list):
            return reply
        desk.choose_lanes(reply)


class Claimer(Service):
    """Claims when woken, while slots are free."""

    def __init__(self, desk: Desk, give: Give, died: Callable[[], None]) -> None:
        """`give` takes an attempt and has it run."""
        super().__init__("claimer", died)
        self._desk = desk
        self._give = give
        self._failures = 0
        self.turned = time.monotonic()  # when it last went round: a worker that can't claim must not look alive

    def turn(self) -> None:
        """Claim, or wait for a reason to."""
        self.turned = time.monotonic()
        desk = self._desk
        if not desk.listeners.names() or (not desk.slots.free() and not desk.inbox.awaited()):
            desk.slots.wait(0.5) if desk.listeners.names() else self.stopping.wait(0.05)
            return
        try:
            if desk.slots.free() and not desk.drained:
                with desk.claiming:
                    if not self.stopping.is_set():
                        claim_now(desk, self._give)
            else:
                self._listen()
            self._failures = 0
        except ServerError as error:
            self._rest(error)

    def _listen(self) -> None:
        """Sleep on the server until work or a message comes."""
        desk = self._desk
        mine = desk.keys.inbox + desk.name
        wakes = self._wake_lists() if desk.slots.free() else []
        desk.deaf = not wakes
        item = desk.shell.pop([mine, *wakes], LISTEN)
        desk.deaf = False
        self.turned = time.monotonic()
        if item is not None and item[0] == mine:
            desk.inbox.hear(item[1].decode("utf-8", "replace"))
            desk.drained = desk.drained and item[1] != b"wake"
        else:
            desk.drained = False  # also after a silence: a lost wake-up costs no more than LISTEN

    def _wake_lists(self) -> list[str]:
        stem = self._desk.keys.wake + DEFAULT_QUEUE
        return [stem, *(f"{stem}:{name}" for name in self._desk.listeners.names())]

    def _rest(self, error: MLQError) -> None:
        self._failures += 1
        log.warning("can't claim: %s", error)
        self.stopping.wait(min(1.0, 0.1 * 2**self._failures))

    def nudge(self) -> None:
        """Have it look again at once: something changed that the server does not know of."""
        desk = self._desk
        desk.drained = False
        desk.slots.touch()
        with contextlib.suppress(ServerError):
            desk.shell.run_many(data_ops.wake_up(desk.keys, desk.name))
