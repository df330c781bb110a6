"""MLQ, a job queue for machine-learning work: post from anywhere, work anywhere, on Redis or Valkey."""

from mlq.client.aio import AsyncMLQ
from mlq.client.handle import AsyncJobHandle, JobHandle
from mlq.client.stream import Update
from mlq.core.states import State
from mlq.deliveries.signing import verify_webhook
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
    NotLoaded,
    OutOfMemory,
    ServerError,
    TooLarge,
    Undecodable,
    UnknownJob,
    UnknownModel,
    Unserializable,
    Unsupported,
    Unverified,
    ValidationError,
    ValueRefused,
    WaitCircle,
    WaitTimeout,
    WrongOutput,
    WrongState,
)
from mlq.queue import MLQ
from mlq.running.context import JobContext
from mlq.system import logs
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
    "NotLoaded",
    "OutOfMemory",
    "ServerError",
    "State",
    "TooLarge",
    "Undecodable",
    "UnknownJob",
    "UnknownModel",
    "Unserializable",
    "Unsupported",
    "Unverified",
    "Update",
    "ValidationError",
    "ValueRefused",
    "WaitCircle",
    "WaitTimeout",
    "WrongOutput",
    "WrongState",
    "__version__",
    "verify_webhook",
]

logs.guard()
