"""The shapes of JSON bodies and answers, as msgspec types: for validation, and for the OpenAPI document."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

Seconds = Annotated[float, Meta(gt=0, le=1e9, description="Seconds.")]
Url = Annotated[str, Meta(max_length=8000, description="An http:// or https:// URL.")]
Names = Annotated[list[str], Meta(min_length=1, max_length=100, description="Names of listeners.")]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Reference = Annotated[str, Meta(pattern=r"^\d{1,18}(@\d{1,12}\.\d{6})?$")]
StateName = Literal["blocked", "queued", "scheduled", "running", "succeeded", "failed", "cancelled"]


class Options(Struct, forbid_unknown_fields=True, kw_only=True):
    """How a job should be run. For options that are left out, the listener's declaration applies."""

    callback: Url | None = None
    webhook: Url | None = None
    functions: Names | None = None
    queue: Name | None = None
    ttl: Seconds | None = None
    timeout: Seconds | None = None
    retries: Annotated[int, Meta(ge=0, le=10**9)] | None = None
    backoff: Seconds | None = None
    after: Annotated[list[Reference], Meta(max_length=1000, description="Ids of jobs that must have ended.")] | None = (
        None
    )
    on_failure: Literal["fail", "run"] | None = None
    then: Annotated[list[Name], Meta(max_length=100)] | None = None


class NewJob(Options, kw_only=True):
    """A job to post."""

    msg: Any


class NewJobs(Options, kw_only=True):
    """Many jobs to post with the same options."""

    msgs: Annotated[list[Any], Meta(min_length=1, max_length=10_000)]


class Posted(Struct, omit_defaults=True):
    """A job that was posted. The state is null if the job is already gone, or the server is away."""

    id: str
    state: StateName | None
    links: dict[str, str]
    warning: str | None = None  # why no live worker can run it; left out if one can


class PostedMany(Struct):
    """Jobs that were posted, in the order of their messages."""

    ids: list[str]


class PostedPrediction(Struct, omit_defaults=True):
    """A prediction that was posted. `task_id` is the `id` under the name that clients of task queues know."""

    id: str
    task_id: str
    state: StateName | None
    links: dict[str, str]
    warning: str | None = None  # why no live worker can run it; left out if one can


class LoadedModel(Struct):
    """A process that met a model."""

    worker: str
    host: str
    state: str  # loading, ready or broken
    since: float  # seconds since 1970
    took: float  # seconds that loading took
    why: str | None  # of a broken one


class ModelVersion(Struct):
    """One version of a model."""

    version: str
    description: str
    state: str  # cold, loading, ready or broken
    why: str | None  # it is broken
    unserved: str | None  # why no live worker hosts it; null if one does
    input: dict[str, Any]  # JSON Schema
    output: dict[str, Any]  # JSON Schema
    processes: list[LoadedModel]
    links: dict[str, str]


class ModelFigures(Struct):
    """The predictions of a model, of all versions."""

    waiting: int
    running: int
    succeeded: int
    failed: int
    mean_wait: float | None  # seconds from the post to the first attempt
    mean_run: float | None  # seconds of an attempt
    mean_batch: float | None  # inputs per call of a model that takes batches


class HostedModel(Struct):
    """A model, its newest version first."""

    name: str
    description: str
    state: str  # of the version that clients get that name none
    versions: list[ModelVersion]
    links: dict[str, str]
    figures: ModelFigures | None


class HostedModels(Struct):
    """All models."""

    models: list[HostedModel]


class Run(Struct, omit_defaults=True):
    """One attempt of a job."""

    attempt: int
    worker: str | None = None
    started: float | None = None
    finished: float | None = None
    reason: str | None = None
    error_type: str | None = None
    error: str | None = None
    traceback: str | None = None


class Job(Struct):
    """A job without its message and result. Times are seconds since 1970 by the server's clock."""

    id: str
    state: StateName
    queue: str
    functions: list[str] | None
    progress: Any
    posted: float
    started: float | None
    finished: float | None
    due: float | None  # when it runs again, if it is scheduled
    worker: str | None
    attempts: list[Run]
    errors: int  # attempts that raised or timed out, and after which the job was retried
    losses: int  # attempts that were lost with their worker or child
    error: str | None
    error_type: str | None
    reason: str | None
    after: list[str] | None  # ids of the jobs that it comes after
    on_failure: Literal["fail", "run"] | None  # what becomes of it if one of them fails
    then: list[str] | None  # listeners that get the result one after the other
    root: str | None  # of a step: the job that the pipeline was posted as
    becomes: str | None  # the job whose outcome it has or will have
    gave: str | None  # of a step: the job that got its result
    cause: str | None  # the job because of which it failed
    steps: int | None  # how many jobs the pipeline has posted
    links: dict[str, str]
    position: int | None = None
    unserved: str | None = None  # why no live worker can run it while it waits; for which job a blocked one waits


class Line(Struct):
    """A job in a list."""

    id: str
    state: StateName
    queue: str
    functions: list[str]
    posted: float
    started: float | None
    finished: float | None
    took: float | None  # seconds that the last attempt took, or has been running for
    worker: str | None
    attempts: int
    errors: int  # attempts that raised or timed out, and after which the job was retried
    losses: int  # attempts that were lost with their worker or child
    reason: str | None  # why it failed: error, timeout, lost or oom
    progress: Any  # what a running job reported last, if that is short; of a pipeline an object; otherwise null


class Page(Struct):
    """A page of a list, and where the next one is."""

    jobs: list[Line]
    next: str | None


class Count(Struct):
    """The number of jobs by state."""

    waiting: int
    scheduled: int
    running: int
    failed: int
    blocked: int  # they wait for other jobs


class ProblemPart(Struct):
    """A part of a request that is wrong."""

    detail: str
    pointer: str


class Problem(Struct):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[ProblemPart] | UnsetType = UNSET


class Ready(Struct):
    """Whether jobs that are posted now will be run."""

    ready: bool
    reason: str | None = None


class Scale(Struct):
    """The jobs to do and the workers, of one queue or of the whole namespace."""

    queue: str | None
    waiting: int
    scheduled: int | None  # retries that are not due yet; null for a single queue
    running: int
    workers: int
    capacity: int  # slots of these workers
    wanted: int  # slots that would be busy if there were enough: waiting + running


class Try(Struct, rename={"number": "try"}):
    """One try of a delivery. Times are seconds since 1970 by the server's clock."""

    kind: Literal["callback", "webhook"]
    number: int
    at: float
    status: int | None  # of the receiver's response, if there was one
    error: str | None  # why it failed; null if it succeeded
    next: float | None  # when the next try is due


class Deliveries(Struct):
    """The tries to send a job's callback and webhook."""

    id: str
    callback: str | None
    webhook: str | None
    deliveries: list[Try]


class PickledFunction(Struct, forbid_unknown_fields=True):
    """A function that was pickled by cloudpickle and encoded by jsonpickle."""

    code: Annotated[str, Meta(min_length=4, description="Base64.")] = field(name="py/b64")


class NewUpload(Struct, kw_only=True):
    """A function that was uploaded; `size` is in bytes of code."""

    name: str
    python: str
    fingerprint: str
    size: int


class Upload(NewUpload, kw_only=True):
    """An uploaded function; `uploaded` is in seconds since 1970."""

    uploaded: float


class Uploads(Struct):
    """All uploaded functions, by name."""

    uploads: list[Upload]


class Removed(Struct):
    """Whether there was an uploaded function to remove."""

    name: str
    removed: bool
