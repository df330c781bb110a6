"""MLQ, a job queue for machine-learning work: post from anywhere, work anywhere, on Redis or Valkey."""

from mlq.client.aio import AsyncMLQ
from mlq.client.handle import AsyncJobHandle, JobHandle
from mlq.client.stream import Update
from mlq.core.progress import Progress
from mlq.core.schedule import ScheduleState
from mlq.core.states import State
from mlq.core.tree import Tree
from mlq.core.why import Why
from mlq.deliveries.signing import verify_webhook
from mlq.errors import (
    AfterFailure,
    InputError,
    JobCancelled,
    JobError,
    JobFailed,
    JobLost,
    KeyReused,
    LeaseLost,
    MLQError,
    NoRoute,
    NoServer,
    NotLoaded,
    OutOfMemory,
    QueueFull,
    RunStopped,
    ScheduleConflict,
    ServerError,
    TooLarge,
    Undecodable,
    UnknownJob,
    UnknownModel,
    UnknownSchedule,
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
from mlq.running.pipeline import Forward, Split, step
from mlq.running.routes import route
from mlq.system import logs
from mlq.version import __version__

__all__ = [
    "MLQ",
    "AfterFailure",
    "AsyncJobHandle",
    "AsyncMLQ",
    "Forward",
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
    "NoRoute",
    "NoServer",
    "NotLoaded",
    "OutOfMemory",
    "Progress",
    "QueueFull",
    "RunStopped",
    "ScheduleConflict",
    "ScheduleState",
    "ServerError",
    "Split",
    "State",
    "TooLarge",
    "Tree",
    "Undecodable",
    "UnknownJob",
    "UnknownModel",
    "UnknownSchedule",
    "Unserializable",
    "Unsupported",
    "Unverified",
    "Update",
    "ValidationError",
    "ValueRefused",
    "WaitCircle",
    "WaitTimeout",
    "Why",
    "WrongOutput",
    "WrongState",
    "__version__",
    "route",
    "step",
    "verify_webhook",
]

logs.guard()
