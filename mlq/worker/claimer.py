"""The duty that claims jobs while there are free slots, and sleeps on the server while there are none waiting."""

import time
from collections.abc import Callable

from mlq.core.job import Claimed
from mlq.errors import MLQError, ServerError
from mlq.ops import Op
from mlq.ops import work as work_ops
from mlq.shell.trouble import pause
from mlq.system.service import Complaint, Service
from mlq.worker.desk import LEASE, Desk

LISTEN = 10.0  # seconds of one wait on the server: for so long a host that froze may take wake-ups along
MOST = 100  # jobs of one claim
BUSY = 0.2  # seconds to wait for a slot before listening for messages alone: short jobs free one sooner than that


Give = Callable[[list[Claimed]], None]


def claim_now(desk: Desk, give: Give) -> None:
    """Claim for all free slots and have the jobs run. Call it with `desk.claiming` held."""
    wanted = desk.slots.take(MOST)
    if not wanted:
        return
    claimed: list[Claimed] = []
    try:
        claimed = ask(desk, wanted)
    finally:
        desk.slots.give(wanted - len(claimed))
    if claimed:
        give(claimed)
    desk.drained = len(claimed) < wanted


def ask(desk: Desk, wanted: int) -> list[Claimed]:
    """One claim, of all that is served now; again, when the server did not know of it."""
    while True:
        if not desk.registered:
            desk.register()
        reply = desk.shell.run(next_claim(desk, wanted))
        if reply is not None:
            return reply
        desk.registered = False


def next_claim(desk: Desk, wanted: int) -> Op[list[Claimed] | None]:
    """The worker's next call for up to `wanted` jobs."""
    return work_ops.claim(desk.keys, desk.name, next(desk.numbers), desk.served.name, LEASE, wanted)


class Claimer(Service):
    """Claims when woken, while slots are free."""

    def __init__(self, desk: Desk, give: Give, lost: Callable[[str], None], died: Callable[[], None]) -> None:
        """`give` takes claimed jobs and has them run; `lost` is told of leases that were taken from this worker."""
        super().__init__("claimer", died)
        self._desk = desk
        self._give = give
        self._lost = lost
        self._trouble = Complaint("can't claim")
        self._failures = 0
        self.turned = time.monotonic()  # when it last went round: a worker that can't claim must not look alive

    def turn(self) -> None:
        """Claim, or wait for a reason to."""
        self.turned = time.monotonic()
        desk = self._desk
        if not (desk.complete.is_set() and (desk.listeners.names() or desk.accepts_uploads)):
            self.stopping.wait(0.05)
            return
        if not desk.slots.free() and not desk.inbox.awaited() and desk.slots.wait(BUSY):
            return
        try:
            if desk.slots.free() and not desk.drained and desk.listeners.names():
                with desk.claiming:
                    if not self.stopping.is_set():
                        claim_now(desk, self._give)
            else:
                self._listen()
            self._failures = 0
            self._trouble.over()
        except ServerError as error:
            self._rest(error)

    def _listen(self) -> None:
        """Sleep on the server until work or a message comes."""
        desk = self._desk
        mine = desk.keys.inbox + desk.name
        ours = [f"{desk.keys.class_}{desk.served.name}:wake"] if desk.idle() else []
        desk.deaf = not ours and bool(desk.listeners.names())
        item = desk.shell.pop([mine, *ours], LISTEN)
        desk.deaf = False
        self.turned = time.monotonic()
        if item is not None and item[0] == mine:
            self._hear(item[1])
        elif item is not None:
            desk.drained = False

    def _hear(self, item: bytes) -> None:
        """What somebody told this worker: to look again, what it lost, what was uploaded, or that a job ended."""
        what, _, rest = item.partition(b" ")
        if what == b"wake":
            self._desk.drained = False
        elif what == b"lost":
            self._lost(rest.decode("utf-8", "replace"))
        elif what == b"uploads":
            self._desk.uploads_due.set()
        else:
            self._desk.inbox.hear(what.decode("utf-8", "replace"))

    def _rest(self, error: MLQError) -> None:
        self._failures += 1
        self._trouble.tell(error)
        self.stopping.wait(pause(self._failures))
