"""Carries out on Redis what an attempt's listeners ask of their worker."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from mlq.client.arguments import LISTEN, given_to
from mlq.core.checks import check_id
from mlq.core.job import Claimed
from mlq.errors import LeaseLost, ServerError, Unsupported, ValueRefused, WaitTimeout
from mlq.ops import Op
from mlq.ops import data as data_ops
from mlq.ops import jobs as job_ops
from mlq.ops import pipelines as pipeline_ops
from mlq.ops import posting as post_ops
from mlq.ops import work as work_ops
from mlq.running.context import lost
from mlq.shell.known_ids import known_ids_of, post
from mlq.shell.trouble import pause
from mlq.system.service import TroubleLog
from mlq.worker.attempt import Attempt
from mlq.worker.shared import Shared

if TYPE_CHECKING:
    from mlq.ops.posting import Posted
    from mlq.worker.supervisor import Supervisor

T = TypeVar("T")


class RedisChannel:
    """The channel of one attempt; see `context.Channel`."""

    def __init__(self, shared: Shared, attempt: Attempt, supervisor: "Supervisor") -> None:
        """`supervisor` is told when the attempt waits for another job."""
        self._shared = shared
        self._attempt = attempt
        self._supervisor = supervisor
        self._trouble = TroubleLog(f"can't answer the listener of job {attempt.claimed.id}")

    @property
    def _claimed(self) -> Claimed:
        """Read from the attempt each time: an attempt drops its message when it ends."""
        return self._attempt.claimed

    def holds(self) -> bool:
        """Whether the attempt still holds its job, as far as is known here."""
        return self._attempt.holds()

    def report(self, packed: bytes) -> None:
        """Have progress recorded soon."""
        self._check()
        self._shared.outbox.report(self._attempt, packed)

    def add_entry(self, kind: str, data: bytes) -> None:
        """Have an entry added to the job's stream soon, in order."""
        self._check()
        self._attempt.streams = self._attempt.streams or kind == "chunk"
        self._shared.note_size(len(data))
        self._shared.outbox.add_entry(self._attempt, kind, data)

    def full(self) -> bool:
        """Whether this attempt must wait: the outbox is full, and some of what it holds is this attempt's own."""
        attempt = self._attempt
        return self._shared.outbox.full() and attempt.holds() and attempt.has_reported() and attempt.reports.waits()

    def store(self, key: str, packed: bytes, expiry: float | None) -> None:
        """Keep a value for other jobs."""
        self._shared.note_size(len(packed))
        self._run(data_ops.store(self._shared.keys, key, packed, expiry))

    def fetch(self, key: str) -> bytes | None:
        """The value that `store` kept."""
        packed = self._run(data_ops.fetch(self._shared.keys, key))
        self._shared.note_size(len(packed or b""))
        return packed

    def post(self, lane: str, body: bytes, needs: str = "", when: str = "", keyed: str = "") -> str:
        """Post another job; returns its id."""
        return self._post(lane, [body], needs, when, keyed)

    def post_parts(self, lane: str, bodies: Sequence[bytes]) -> str:
        """Post the next parts of a split, which begins when this attempt has ended; returns the id of the first."""
        return self._post(lane, bodies, post_ops.PLAN)

    def _post(self, lane: str, bodies: Sequence[bytes], needs: str, when: str = "", keyed: str = "") -> str:
        self._shared.note_size(max(map(len, bodies)))
        shell, keys, lease = self._shared.shell, self._shared.keys, self._claimed.lease
        staged = post_ops.staging_name(bodies)
        stage = post_ops.stage(keys, staged, lane, bodies)
        with shell.callers.borrow() as caller:
            name, number = caller.name, caller.number

            def make(epoch: str) -> "Op[Posted | None]":
                return post_ops.post(keys, name, number, lane, bodies, lease, epoch, staged, needs, when, keyed)

            return str(self._patiently(lambda: post(shell, keys, make, stage)).id)

    def parts(self) -> list[tuple[int, int]]:
        """The parts of the split whose join this attempt runs: the first and the last id of each range, in order."""
        return self._run(pipeline_ops.parts(self._shared.keys, self._claimed.id))

    def outcomes(self, job_ids: Sequence[str]) -> list[dict[str, bytes]]:
        """The fields of the first of these jobs, one at least, as many as fit into a reply."""
        return self._run(pipeline_ops.outcomes(self._shared.keys, job_ids))

    def wait(self, job_id: str, timeout: float | None) -> dict[str, bytes]:
        """Wait until another job, named by its id or reference, has ended; returns its fields."""
        job_id = known_ids_of(self._shared.shell.target, self._shared.keys).with_stamp(check_id(job_id))
        give_up = None if timeout is None else time.monotonic() + timeout
        fields = self._ended(job_id, "")
        if fields is None and timeout != 0:
            self._supervisor.leave(self._attempt)
            try:
                fields = self._listen(job_id, give_up)
            finally:
                self._supervisor.go_on(self._attempt, at_once=fields is None)
                if self._attempt.holds():
                    self._run(work_ops.waits_no_more(self._shared.keys, self._claimed))
        if fields is None:
            raise WaitTimeout(f"job {job_id} did not end within {timeout} s")
        self._shared.note_size(sum(map(len, fields.values())))
        if other := given_to(fields):  # a step of a pipeline, whose result another job got
            return self.wait(other, None if give_up is None else max(0.0, give_up - time.monotonic()))
        return fields

    def leave(self) -> None:
        """Release the slot."""
        self._supervisor.leave(self._attempt)
        self._run(work_ops.rest(self._shared.keys, self._claimed))

    def go_on(self) -> None:
        """Take a slot again."""
        self._supervisor.go_on(self._attempt, at_once=True)
        if self._attempt.holds():
            self._run(work_ops.waits_no_more(self._shared.keys, self._claimed))

    def _check(self) -> None:
        if not self._attempt.holds():
            raise lost(self._claimed)

    def _run(self, op: Op[T]) -> T:
        return self._patiently(lambda: self._shared.shell.run(op))

    def _patiently(self, call: Callable[[], T]) -> T:
        """Repeat a call until the server answers, so that no long job fails because the server is away for a while."""
        failures = 0
        while True:
            try:
                result = call()
            except (ValueRefused, Unsupported):
                raise
            except ServerError as error:
                if not self._attempt.holds():
                    raise lost(self._claimed) from None
                self._trouble.log(error)
                failures += 1
                time.sleep(pause(failures))
            else:
                self._trouble.over()
                return result

    def _listen(self, job_id: str, give_up: float | None) -> dict[str, bytes] | None:
        shared = self._shared
        with shared.inbox.listen(job_id) as heard:
            self._attempt.wakes.add(heard.set)
            try:
                return self._listen_until(job_id, give_up, heard)
            finally:
                self._attempt.wakes.discard(heard.set)

    def _listen_until(self, job_id: str, give_up: float | None, heard: threading.Event) -> dict[str, bytes] | None:
        while True:
            heard.clear()  # before asking: the job may have ended, been requeued, and be waiting again
            fields = self._ended(job_id, self._shared.name)
            left = LISTEN if give_up is None else give_up - time.monotonic()
            if fields is not None or left <= 0:
                return fields
            if not self._attempt.holds():
                raise LeaseLost(f"job {self._claimed.id} was taken from this attempt while it waited")
            heard.wait(min(left, LISTEN))

    def _wait_op(self, job_id: str, inbox: str) -> Op[dict[str, bytes] | None]:
        return job_ops.wait(self._shared.keys, job_id, inbox, LISTEN, self._claimed.lease)

    def _ended(self, job_id: str, inbox: str) -> dict[str, bytes] | None:
        """The fields of the other job, if it has ended."""
        fields = self._run(self._wait_op(job_id, inbox))
        rest = None if fields is None else job_ops.large_result(self._shared.keys, job_id, fields)
        return fields if rest is None else self._run(rest)
