"""The duty that claims jobs while slots are free, and sleeps in a blocking call to the server while no jobs wait."""

import time
from collections.abc import Callable

from mlq.core.job import Claimed, number
from mlq.errors import MLQError, ServerError
from mlq.ops import Op
from mlq.ops import work as work_ops
from mlq.ops.work import Claim
from mlq.shell.trouble import pause
from mlq.system.service import Service, TroubleLog
from mlq.worker.shared import LEASE, Shared

LISTEN = 10.0  # seconds of one blocking wait; for that long, the connection of a frozen host may swallow wake-ups
MOST = 100  # jobs per claim
BUSY = 0.2  # seconds to wait for a slot before listening to the inbox alone: short jobs free one sooner than that


Give = Callable[[list[Claimed]], None]


def claim_now(shared: Shared, give: Give, *, begun: bool = False) -> None:
    """Claim jobs for all free slots and hand them to `give`. Call it with `shared.claiming` held.

    `begun`: a claim of this round was made already.
    """
    wanted = shared.slots.take(MOST)
    if not wanted:
        return
    turns = shared.turns
    if not begun:
        turns.begin()
    try:
        while wanted and not turns.over():
            asked = turns.portion(wanted)
            claimed = ask(shared, asked)
            taken = shared.slots_of(claimed)
            wanted -= taken
            turns.took(asked, taken, claimed.again)
            if claimed:
                give(claimed)
    finally:
        shared.slots.give(wanted)
    shared.claim_ended(exhausted=wanted > 0)


def ask(shared: Shared, wanted: int) -> Claim:
    """Claim jobs of the class whose turn it is; register the classes and repeat if the server does not know it."""
    while True:
        if shared.limits:
            shared.follow_limits()
        while not shared.registered:
            shared.register()
        reply = shared.shell.run(next_claim(shared, wanted))
        if reply is not None:
            return reply
        shared.unknown()


def next_claim(shared: Shared, wanted: int) -> Op[Claim | None]:
    """The worker's next op to claim up to `wanted` jobs, of the class whose turn it is."""
    served, sizes = shared.for_claim()
    number, wait = next(shared.numbers), shared.affinity.wait()
    return work_ops.claim(shared.keys, shared.name, number, served, LEASE, wanted, sizes, wait)


class Claimer(Service):
    """Claims while slots are free, and waits to be woken when it finds no more jobs."""

    def __init__(self, shared: Shared, give: Give, lost: Callable[[str], None], died: Callable[[], None]) -> None:
        """`give` has claimed jobs run; `lost` is called with each lease that was taken from this worker."""
        super().__init__("claimer", died)
        self._shared = shared
        self._give = give
        self._lost = lost
        self._trouble = TroubleLog("can't claim")
        self._failures = 0
        self._woken_as = ""  # the class whose wake-up this worker took, until it claims
        self.turned = time.monotonic()  # when its last turn began: a worker that can't claim must not look alive

    def turn(self) -> None:
        """Claim, or wait until there is a reason to."""
        self.turned = time.monotonic()
        shared = self._shared
        if not (shared.complete.is_set() and (shared.listeners.names() or shared.accepts_uploads)):
            self.stopping.wait(0.05)
            return
        if not shared.slots.free() and not shared.inbox.awaited() and shared.slots.wait(BUSY):
            return
        try:
            if self._may_claim():
                with shared.claiming:
                    if not self.stopping.is_set():
                        claim_now(shared, self._give)
                    self._pass_on()
            else:
                self._pass_on()
                self._listen()
            self._failures = 0
            self._trouble.over()
        except ServerError as error:
            self._rest(error)

    def _may_claim(self) -> bool:
        shared = self._shared
        return bool(shared.slots.free() and not shared.exhausted and shared.serves_any())

    def _pass_on(self) -> None:
        """Wake another worker, if this one took a wake-up for jobs that it did not look for: its slots are taken."""
        woken_as, self._woken_as = self._woken_as, ""
        shared = self._shared
        if woken_as and (shared.limits or shared.turns.groups > 1) and woken_as not in shared.turns.asked:
            shared.shell.run_many(work_ops.pass_on(shared.keys, woken_as))

    def _listen(self) -> None:
        """Block on the server until a wake-up or an inbox message comes."""
        shared = self._shared
        mine, served = shared.keys.inbox + shared.name, shared.names() if shared.idle() else ()
        shared.lacks_slot, shared.asleep_as = not served and bool(shared.listeners.names()), served
        item = None
        if not shared.limits or not (self._may_claim() or served not in ((), shared.names())):
            lists = {f"{shared.keys.class_}{name}:wake": name for name in served}
            item = shared.shell.pop([mine, *lists], LISTEN)
        shared.lacks_slot, shared.asleep_as = False, ()
        self.turned = time.monotonic()
        if item is not None and item[0] == mine:
            self._hear(item[1])
        elif item is not None:
            shared.turns.asked.clear()
            shared.exhausted, self._woken_as = False, lists[item[0]]

    def _hear(self, item: bytes) -> None:
        """Act on an inbox message: look again, now or later, a lease was lost, uploads changed, or a job ended."""
        what, _, rest = item.partition(b" ")
        if what == b"wake":
            self._shared.exhausted = False
        elif what == b"lost":
            self._lost(rest.decode("utf-8", "replace"))
        elif what == b"due":  # in so many seconds
            self._shared.look_in(number(rest) or 0.0)
        elif what == b"uploads":
            self._shared.uploads_due.set()
        else:
            self._shared.inbox.hear(what.decode("utf-8", "replace"))

    def _rest(self, error: MLQError) -> None:
        self._failures += 1
        self._trouble.log(error)
        self.stopping.wait(pause(self._failures))
