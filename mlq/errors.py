"""Every error that MLQ raises: one root, and subclasses that say whose fault it is.

Strategy: `InputError` is the caller's mistake (nothing was written), `ServerError` is a fault of the server or the
network, `JobError` says what became of a job, `Undecodable` is data in Redis that MLQ can't read. If Python has an
exception of the same meaning (KeyError, TimeoutError, ...), ours is a subclass of it, so that callers need not know
ours.
"""

from collections.abc import Sequence


class MLQError(Exception):
    """The root of all of MLQ's errors."""


class InputError(MLQError, ValueError):
    """The caller passed something that can't be used; nothing was written."""


class Unserializable(InputError, TypeError):
    """A value that neither MessagePack nor our extension types can represent."""


class ValidationError(InputError):
    """A message or a result that does not fit the type that its listener declares. Never retried."""

    def __init__(self, message: str, faults: Sequence[tuple[str, str]] = ()) -> None:
        """`faults`: the wrong fields, as pairs of a path (`layers[0].size`, empty for the whole) and a reason."""
        super().__init__(message)
        self.faults = tuple(faults)


class UnknownModel(InputError, LookupError):
    """No model has this name, or it has no such version."""


class NotLoaded(MLQError):
    """A model's `load` failed, so it can't predict; the message has the error. It is tried again after a pause."""


class NoRoute(MLQError, LookupError):
    """What a listener returned has no value by which its declared routes are chosen, or one without a route."""


class WrongOutput(MLQError):
    """A model gave something that does not fit the output that it declares, or a batch not one result per message."""


class RunStopped(MLQError):
    """A prediction over a file stopped before its end. What it has is kept: the same call goes on with it."""


class FolderHeld(InputError):
    """Another process predicts into the same folder now."""


class TooLarge(InputError):
    """A message or a result above the size limit."""


class KeyReused(InputError):
    """The idempotency key was already used for a different post."""


class Undecodable(MLQError, ValueError):
    """Bytes that are not what MLQ writes."""


class Unverified(MLQError, ValueError):
    """A webhook that is unsigned, signed with another secret, or too old to be trusted."""


class ServerError(MLQError, ConnectionError):
    """The Redis or Valkey server, or the connection to it, failed."""


class NoServer(ServerError):
    """No server can be reached or started."""


class Unsupported(ServerError):
    """The server responds, but lacks something that MLQ needs."""


class ValueRefused(ServerError):
    """The server will never accept this value, which exceeds one of its own limits; nothing was written."""


class OutOfMemory(ServerError):
    """The server has reached its `maxmemory` and refuses writes."""


class QueueFull(MLQError):
    """The queue has as many jobs as its limit allows; nothing was posted. Try again when some have been taken."""

    def __init__(self, message: str, length: int | None = None, limit: int | None = None) -> None:
        """`length`: the jobs that wait in it; `limit`: how many may."""
        super().__init__(message)
        self.length = length
        self.limit = limit


class JobError(MLQError):
    """Something about one job."""


class UnknownJob(JobError, KeyError):
    """No job has this id: it never existed, was deleted, has expired, or the server lost it."""

    def __str__(self) -> str:
        """The plain message; KeyError would show its repr."""
        return str(self.args[0]) if self.args else ""


class JobLost(UnknownJob):
    """The server lost data, this job included, and its id now belongs to another job."""


class UnknownSchedule(MLQError, KeyError):
    """No schedule has this name, or none any more."""

    def __str__(self) -> str:
        """The plain message; KeyError would show its repr."""
        return str(self.args[0]) if self.args else ""


class ScheduleConflict(MLQError):
    """A schedule can't be changed or run now; the message says why."""


class WrongState(JobError):
    """The job's state does not allow the operation."""


class AfterFailure(InputError, WrongState):
    """A job can't come after one that has ended without a result; nothing was posted."""


class JobFailed(JobError):
    """The job ended in failure; `error_type`, `remote_traceback` and `reason` (error, timeout, lost, oom) say how."""

    def __init__(
        self,
        message: str,
        error_type: str = "",
        remote_traceback: str = "",
        reason: str = "",
        faults: Sequence[tuple[str, str]] = (),
    ) -> None:
        """`reason`: "error", "timeout", "lost" or "oom"; `faults`: the wrong fields, as those of ValidationError."""
        super().__init__(message)
        self.faults = tuple(faults)
        self.error_type = error_type
        self.remote_traceback = remote_traceback
        self.reason = reason


class JobCancelled(JobError):
    """The job was cancelled."""


class WaitTimeout(JobError, TimeoutError):
    """The job did not end within the time that the caller was willing to wait."""


class WaitCircle(JobError):
    """Jobs would wait for one another forever."""


class LeaseLost(JobError):
    """This attempt no longer holds its job: the lease was lost, or the job was cancelled."""


class RemoteTraceback(Exception):
    """Carries the worker's traceback as the cause of a re-raised exception."""

    def __str__(self) -> str:
        """The traceback, set off from the local one."""
        return f'\n"""\n{self.args[0]}"""'
