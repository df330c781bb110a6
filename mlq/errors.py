"""Every error that MLQ raises: one root, and children that say whose fault it is.

Strategy: `InputError` is the caller's mistake (nothing was written), `ServerError` is the server's or the network's,
`JobError` tells what became of a job, `Undecodable` is data in Redis that no reader understands. Where Python has an
exception of the same meaning (KeyError, TimeoutError, ...) ours is one of its kind too, so that callers need not know
ours.
"""


class MLQError(Exception):
    """The root of all of MLQ's errors."""


class InputError(MLQError, ValueError):
    """The caller gave something that can't be used; nothing was written."""


class Unserializable(InputError, TypeError):
    """A value that MessagePack and our extension types can't carry."""


class TooLarge(InputError):
    """A message or a result above the size limit."""


class KeyReused(InputError):
    """An idempotency key that was used for another post."""


class Undecodable(MLQError, ValueError):
    """Bytes that are not what MLQ writes."""


class Unverified(MLQError, ValueError):
    """A webhook that is unsigned, signed by somebody else, or too old to be believed."""


class ServerError(MLQError, ConnectionError):
    """The Redis or Valkey server, or the way to it, failed."""


class NoServer(ServerError):
    """No server can be reached or started."""


class Unsupported(ServerError):
    """The server answers, but lacks something that MLQ needs."""


class ValueRefused(ServerError):
    """The server says that it will never take this value, which is above a limit of its own; nothing was written."""


class OutOfMemory(ServerError):
    """The server has reached its `maxmemory` and refuses writes."""


class JobError(MLQError):
    """Something about one job."""


class UnknownJob(JobError, KeyError):
    """No job has this id: it never existed, was deleted, its time to live is over, or the server lost it."""

    def __str__(self) -> str:
        """The plain text; KeyError would show its representation."""
        return str(self.args[0]) if self.args else ""


class JobLost(UnknownJob):
    """The server lost this job with other data, and its id belongs to another job by now."""


class WrongState(JobError):
    """The job is in a state in which the operation makes no sense."""


class JobFailed(JobError):
    """The job ended in failure; `error_type`, `remote_traceback` and `reason` tell more."""

    def __init__(self, message: str, error_type: str = "", remote_traceback: str = "", reason: str = "") -> None:
        """`reason` is one of `states.REASONS`."""
        super().__init__(message)
        self.error_type = error_type
        self.remote_traceback = remote_traceback
        self.reason = reason


class JobCancelled(JobError):
    """The job was cancelled before it ended."""


class WaitTimeout(JobError, TimeoutError):
    """The job did not end in the time that the caller was willing to wait."""


class WaitCircle(JobError):
    """Jobs would wait for one another for ever."""


class LeaseLost(JobError):
    """This attempt no longer holds its job: another one does, or nobody may."""


class RemoteTraceback(Exception):
    """Carries the worker's traceback as the cause of a re-raised exception."""

    def __str__(self) -> str:
        """The traceback, set off from the local one."""
        return f'\n"""\n{self.args[0]}"""'
