"""The duty that sends what is due, on threads of its own: no receiver holds up the worker, nor one kind the other.

A delivery is taken under a lease like a job, so it survives this worker.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from mlq.core.checks import STRANGERS
from mlq.core.keys import Keys
from mlq.deliveries import callback, webhook
from mlq.deliveries.allowed import Targets
from mlq.deliveries.exchange import Answer, Request, exchange
from mlq.deliveries.signing import SECRETS, read_secrets
from mlq.errors import ServerError
from mlq.ops import Op
from mlq.ops import deliveries as delivery_ops
from mlq.ops.deliveries import Delivery
from mlq.running.spare_threads import Threads
from mlq.shell.sync import Shell
from mlq.system.service import Complaint, Service

log = logging.getLogger("mlq.delivery")

AT_ONCE = 16  # of each kind under way: receivers that hang hold up so many others, never the worker


class Manner(NamedTuple):
    """How one kind is delivered."""

    kind: str
    tries: int
    lease: float  # seconds
    request: Callable[[Delivery], Request]
    pause: Callable[[Delivery, Answer], float | None]
    room: threading.Semaphore


class Sender(Service):
    """Takes due callbacks and webhooks and sends them."""

    def __init__(self, keys: Keys, shell: Shell, died: Callable[[], None]) -> None:
        """Makes no connection before the first one is due. Raises InputError for settings that make no sense."""
        super().__init__("sender", died)
        self._keys = keys
        self._shell = shell
        self._targets = Targets.of_environment()
        self._secrets = read_secrets(os.environ.get(SECRETS, ""))
        self._pool = Threads("mlq-delivery")
        self._due = threading.Event()
        self._trouble = Complaint("can't take what is to be delivered")
        self._full = False  # there was no room for something that may be due
        self._manners = (
            Manner("callback", callback.TRIES, callback.LEASE, callback.request, callback.pause, _room()),
            Manner("webhook", webhook.TRIES, webhook.LEASE, self._signed, webhook.pause, _room()),
        )

    def due(self) -> None:
        """Say that there is something to send."""
        self._due.set()

    def stop(self, timeout: float | None = None) -> None:
        """Let the tries that are under way end; what is left comes due again, for any worker."""
        self.stopping.set()
        self._due.set()
        super().stop(timeout)
        give_up = time.monotonic() + (timeout or 0.0)
        for manner in self._manners:
            for _ in range(AT_ONCE):  # all permits are back when no try is under way
                manner.room.acquire(timeout=max(0.0, give_up - time.monotonic()))
        self._pool.stop()

    def turn(self) -> None:
        """Wait for word of something due, then send all that is."""
        self._due.wait()
        self._due.clear()
        self._full = False
        try:
            for manner in self._manners:
                self._send_all(manner)
            self._trouble.over()
        except ServerError as error:
            self._trouble.tell(error)

    def _send_all(self, manner: Manner) -> None:
        while not self.stopping.is_set() and self._takes(manner.room):
            taken: list[Delivery] = []
            try:
                taken = self._shell.run(delivery_ops.take(self._keys, manner.kind, 1, manner.lease, manner.tries))
            finally:
                if not taken:
                    manner.room.release()
            if not taken:
                return
            self._pool.submit(lambda delivery=taken[0]: self._send(manner, delivery))  # type: ignore[misc]

    def _takes(self, room: threading.Semaphore) -> bool:
        """Whether there is room. Where there is none, the first try that ends has us look again."""
        if room.acquire(blocking=False):
            return True
        self._full = True
        return room.acquire(blocking=False)  # one may have ended before it could know

    def _send(self, manner: Manner, delivery: Delivery) -> None:
        try:
            answer = self._try(manner, delivery)
            again = None if answer.error is None else manner.pause(delivery, answer)
            if answer.error is not None:
                log.warning("%s of job %s, try %d of %d: %s%s", manner.kind, delivery.id, delivery.attempt,
                            manner.tries, answer.error, " (the last)" if again is None else "")  # fmt: skip
            self._record(manner, delivery, delivery_ops.end(
                self._keys, delivery, answer.status, answer.error or "sent", again
            ))  # fmt: skip
        finally:
            manner.room.release()
            if self._full:
                self._due.set()

    def _record(self, manner: Manner, delivery: Delivery, op: Op[None]) -> None:
        """Try while the delivery is ours: whoever takes it after that sends it again."""
        give_up = time.monotonic() + manner.lease
        while True:
            try:
                return self._shell.run(op)
            except ServerError as error:
                if time.monotonic() > give_up or self.stopping.wait(1.0):
                    log.warning("can't record the %s of job %s, it is sent again: %s", manner.kind, delivery.id, error)
                    return None

    def _try(self, manner: Manner, delivery: Delivery) -> Answer:
        try:
            is_strangers = delivery.text("url").endswith(STRANGERS)
            allowed = self._targets.for_strangers() if is_strangers else self._targets
            return exchange(manner.request(delivery), allowed)
        except (_Unsigned, KeyError, ValueError, OverflowError) as error:  # or no script of ours queued it
            return Answer(None, str(error) if isinstance(error, _Unsigned) else f"can't be sent: {error!r:.200}")

    def _signed(self, delivery: Delivery) -> Request:
        if not self._secrets:
            raise _Unsigned(f"not sent, since it can't be signed: set {SECRETS} where workers run")
        return webhook.request(delivery, self._secrets)


class _Unsigned(Exception):
    """This worker has no secret to sign with."""


def _room() -> threading.Semaphore:
    return threading.Semaphore(AT_ONCE)
