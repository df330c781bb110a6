"""The duty that sends due deliveries, on threads of its own: receivers don't block the worker, nor one kind the other.

A delivery is taken under a lease, as a job is, so it survives this worker.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from mlq.core.checks import STRANGERS
from mlq.core.keys import Keys
from mlq.deliveries import callback, webhook
from mlq.deliveries.allowed import Targets
from mlq.deliveries.exchange import Answer, Request, exchange
from mlq.deliveries.receivers import Receiver, Receivers, receiver_of
from mlq.deliveries.signing import SECRETS, read_secrets
from mlq.errors import ServerError
from mlq.ops import Op
from mlq.ops import deliveries as delivery_ops
from mlq.ops.deliveries import Delivery
from mlq.running.spare_threads import Threads
from mlq.shell.sync import Shell
from mlq.system.service import Service, TroubleLog

log = logging.getLogger("mlq.delivery")


class Kind(NamedTuple):
    """How one kind of delivery is sent."""

    name: str
    tries: int
    lease: float  # seconds
    request: Callable[[Delivery], Request]
    pause: Callable[[Delivery, Answer], float | None]
    receivers: Receivers


class Sender(Service):
    """Takes due callbacks and webhooks and sends them."""

    def __init__(self, keys: Keys, shell: Shell, died: Callable[[], None]) -> None:
        """Makes no connection before a delivery is due. Raises InputError for invalid settings."""
        super().__init__("sender", died)
        self._keys = keys
        self._shell = shell
        self._targets = Targets.of_environment()
        self._secrets = read_secrets(os.environ.get(SECRETS, ""))
        self._pool = Threads("mlq-delivery")
        self._due = threading.Event()
        self._trouble = TroubleLog("can't take deliveries that are due")
        self._full = False  # something may be due that there was no place for
        self._rest: float | None = None  # seconds until there is one, even if no try ends
        self._kinds = (
            Kind("callback", callback.TRIES, callback.LEASE, callback.request, callback.pause, Receivers()),
            Kind("webhook", webhook.TRIES, webhook.LEASE, self._signed, webhook.pause, Receivers()),
        )

    def due(self) -> None:
        """Wake the sender: something is due."""
        self._due.set()

    def stop(self, timeout: float | None = None) -> None:
        """Let the tries that are under way end; other deliveries become due again, for any worker."""
        self.stopping.set()
        self._due.set()
        super().stop(timeout)
        give_up = time.monotonic() + (timeout or 0.0)
        for kind in self._kinds:
            kind.receivers.wait_for_all(max(0.0, give_up - time.monotonic()))
        self._pool.stop()

    def turn(self) -> None:
        """Wait until something is due, then send everything that is."""
        self._due.wait(self._rest)
        self._due.clear()
        self._full, self._rest = False, None
        try:
            for kind in self._kinds:
                self._send_all(kind)
            self._trouble.over()
        except ServerError as error:
            self._trouble.log(error)

    def _send_all(self, kind: Kind) -> None:
        while not self.stopping.is_set() and self._has_room(kind):
            taken = self._shell.run(delivery_ops.take(self._keys, kind.name, 1, kind.lease, kind.tries))
            if not taken:
                return
            self._begin(kind, taken[0])

    def _begin(self, kind: Kind, delivery: Delivery) -> None:
        """Send a delivery, or put it back if its receiver has no place."""
        receiver = _receiver(delivery)
        if (again := kind.receivers.begin(receiver)) is None:
            self._pool.submit(lambda: self._send(kind, delivery, receiver))
        else:
            self._shell.run(delivery_ops.put_back(self._keys, delivery, again))

    def _has_room(self, kind: Kind) -> bool:
        """Whether there is a place. If not, the next try that ends wakes the sender again."""
        if not kind.receivers.until_room():
            return True
        self._full = True
        rest = kind.receivers.until_room()  # a try may have ended just before `_full` was set
        self._rest = rest if self._rest is None else min(rest, self._rest)
        return not rest

    def _send(self, kind: Kind, delivery: Delivery, receiver: Receiver) -> None:
        began = took = time.monotonic()
        try:
            answer = self._try(kind, delivery)
            took = time.monotonic() - began
            again = None if answer.error is None else kind.pause(delivery, answer)
            if answer.error is not None:
                log.warning("%s of job %s, try %d of %d: %s%s", kind.name, delivery.id, delivery.attempt,
                            kind.tries, answer.error, " (the last)" if again is None else "")  # fmt: skip
            self._record(kind, delivery, delivery_ops.end(
                self._keys, delivery, answer.status, answer.error or "sent", again
            ))  # fmt: skip
        finally:
            kind.receivers.end(receiver, took)
            if self._full:
                self._due.set()

    def _record(self, kind: Kind, delivery: Delivery, op: Op[None]) -> None:
        """Try until the lease of the delivery expires; after that, somebody else takes it and sends it again."""
        give_up = time.monotonic() + kind.lease
        while True:
            try:
                return self._shell.run(op)
            except ServerError as error:
                if time.monotonic() > give_up or self.stopping.wait(1.0):
                    log.warning(
                        "can't record the %s of job %s, it will be sent again: %s", kind.name, delivery.id, error
                    )
                    return None

    def _try(self, kind: Kind, delivery: Delivery) -> Answer:
        try:
            allowed = self._targets.for_strangers() if _is_strangers(delivery) else self._targets
            return exchange(kind.request(delivery), allowed)
        except (_Unsigned, KeyError, ValueError, OverflowError) as error:  # unsigned, or not queued by our scripts
            return Answer(None, str(error) if isinstance(error, _Unsigned) else f"can't be sent: {error!r:.200}")

    def _signed(self, delivery: Delivery) -> Request:
        if not self._secrets:
            raise _Unsigned(f"not sent, since it can't be signed: set {SECRETS} for the workers")
        return webhook.request(delivery, self._secrets)


class _Unsigned(Exception):
    """This worker has no secret to sign with."""


def _is_strangers(delivery: Delivery) -> bool:
    return delivery.text("url").endswith(STRANGERS)


def _receiver(delivery: Delivery) -> Receiver:
    """Who gets it; nobody if its URL can't be read, which the try says."""
    try:
        parts = urlsplit(delivery.text("url"))
        return receiver_of(parts.hostname or "", parts.port, is_strangers=_is_strangers(delivery))
    except (KeyError, ValueError):
        return Receiver("", "")
