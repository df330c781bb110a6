"""What a listener gets beside its message: the old package's dictionary of helpers, with attributes too."""

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from mlq import codec
from mlq.errors import LeaseLost, NoServer, WaitTimeout
from mlq.job import Record
from mlq.ops import Op
from mlq.ops import data as data_ops
from mlq.ops import jobs as job_ops
from mlq.ops import work as work_ops
from mlq.options import check_id, check_seconds, check_size
from mlq.requests import LISTEN, data_key, draft, value_of
from mlq.worker.attempt import Attempt, Stage
from mlq.worker.desk import Desk

T = TypeVar("T")


class JobContext(dict[str, Any]):
    """`context["update_progress"]` and `context.update_progress` are the same function."""

    def __getattr__(self, name: str) -> Any:
        """An entry as an attribute."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Helpers:
    """The functions of one attempt's context. Those that write to the queue raise LeaseLost once it lost its job."""

    def __init__(self, desk: Desk, attempt: Attempt, nudge: Callable[[], None]) -> None:
        """`nudge` makes the claimer look again, when a slot was given away."""
        self._desk = desk
        self._attempt = attempt
        self._claimed = attempt.claimed
        self._nudge = nudge

    def context(self, record: Record, message: Any) -> JobContext:
        """The mapping that the listener gets."""
        return JobContext(
            full_message=self._full_message(record, message),
            update_progress=self.update_progress,
            store_data=self.store_data,
            fetch_data=self.fetch_data,
            post=self.post,
            block_until_result=self.block_until_result,
        )

    def _run(self, op: Op[T]) -> T:
        """Carry `op` out, however long the server is away: no work of hours fails for want of a progress report."""
        while True:
            try:
                return self._desk.shell.run(op)
            except NoServer:
                if self._attempt.stage is not Stage.BEGUN:
                    raise LeaseLost(f"attempt {self._claimed.attempt} no longer holds job {self._claimed.id}") from None
                time.sleep(0.1)  # the shell has waited 10 s already, or 1 s when the worker stops

    def _full_message(self, record: Record, message: Any) -> dict[str, Any]:
        claimed = self._claimed
        return {
            "id": claimed.id,
            "timestamp": record.posted,
            "worker": claimed.worker,
            "processing_started": claimed.started,
            "processing_finished": None,
            "progress": 0,
            "short_result": None,
            "result": None,
            "callback": record.options.get("callback"),
            "retries": claimed.attempt - 1,
            "functions": record.options.get("functions"),
            "msg": message,
        }

    def update_progress(self, value: Any) -> bool:
        """Report progress: any value that a message may hold. True, as the old package answered."""
        packed = check_size("progress", codec.pack(value, "progress"))
        self._run(work_ops.progress(self._desk.keys, self._claimed, packed))
        return True

    def store_data(self, data: Any, key: str | None = None, expiry: float | None = None) -> str:
        """Keep a value for other jobs, for `expiry` seconds or for ever; the key to fetch it by."""
        name = data_key(key)
        packed = check_size("the data", codec.pack(data))
        self._run(data_ops.store(self._desk.keys, name, packed, check_seconds("expiry", expiry)))
        return name

    def fetch_data(self, key: str) -> Any:
        """What `store_data` kept; None when there is nothing (any more)."""
        packed = self._run(data_ops.fetch(self._desk.keys, data_key(key)))
        return None if packed is None else codec.unpack(packed)

    def post(self, msg: Any, callback: str | None = None, functions: Iterable[str] | None = None) -> str:
        """Post another job; its id. Refused when this attempt lost its lease."""
        wanted = draft(callback, functions, None)
        body = wanted.body(msg)
        with self._desk.shell.callers.borrow() as caller:
            op = job_ops.post(self._desk.keys, caller.name, caller.number, wanted.lane, (body,), self._claimed.lease)
            return str(self._run(op))

    def block_until_result(self, job_id: str, timeout: float | None = None) -> Any:
        """Another job's result. The slot is given away meanwhile, so that even a worker of one slot can run that job.

        Raises WaitCircle, WaitTimeout, UnknownJob, JobCancelled; for a failed job its own exception or JobFailed.
        """
        wanted = check_id(job_id)
        give_up = None if timeout is None else time.monotonic() + (check_seconds("timeout", timeout, zero=True) or 0.0)
        desk = self._desk
        fields = self._run(self._wait_op(wanted, ""))
        if fields is None and timeout != 0:
            desk.release(self._attempt)
            self._nudge()
            try:
                fields = self._listen(wanted, give_up)
            finally:
                desk.take_back(self._attempt, at_once=fields is None)
                self._run(work_ops.waits_no_more(desk.keys, self._claimed))
        if fields is None:
            raise WaitTimeout(f"job {wanted} did not end within {timeout} s")
        return value_of(wanted, fields, original=True)

    def _listen(self, job_id: str, give_up: float | None) -> dict[str, bytes] | None:
        desk = self._desk
        with desk.inbox.listen(job_id) as heard:
            while True:
                heard.clear()  # before asking: the job may have ended, been requeued, and wait again
                fields = self._run(self._wait_op(job_id, desk.name))
                left = LISTEN if give_up is None else give_up - time.monotonic()
                if fields is not None or left <= 0:
                    return fields
                heard.wait(min(left, LISTEN))

    def _wait_op(self, job_id: str, inbox: str) -> Op[dict[str, bytes] | None]:
        return job_ops.wait(self._desk.keys, job_id, inbox, LISTEN, self._claimed.id)
