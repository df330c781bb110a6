"""MLQ, a job queue for machine-learning work: post from anywhere, work anywhere, on Redis or Valkey."""

from mlq.aio import AsyncMLQ
from mlq.context import JobContext
from mlq.errors import (
    InputError,
    JobCancelled,
    JobError,
    JobFailed,
    JobLost,
    KeyReused,
    LeaseLost,
    MLQError,
    NoServer,
    OutOfMemory,
    ServerError,
    TooLarge,
    Undecodable,
    UnknownJob,
    Unserializable,
    Unsupported,
    Unverified,
    WaitCircle,
    WaitTimeout,
    WrongState,
)
from mlq.handle import AsyncJobHandle, JobHandle
from mlq.queue import MLQ
from mlq.signing import verify_webhook
from mlq.states import State
from mlq.version import __version__

__all__ = [
    "MLQ",
    "AsyncJobHandle",
    "AsyncMLQ",
    "InputError",
    "JobCancelled",
    "JobContext",
    "JobError",
    "JobFailed",
    "JobHandle",
    "JobLost",
    "KeyReused",
    "LeaseLost",
    "MLQError",
    "NoServer",
    "OutOfMemory",
    "ServerError",
    "State",
    "TooLarge",
    "Undecodable",
    "UnknownJob",
    "Unserializable",
    "Unsupported",
    "Unverified",
    "WaitCircle",
    "WaitTimeout",
    "WrongState",
    "__version__",
    "verify_webhook",
]
