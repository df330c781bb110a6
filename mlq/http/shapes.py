"""The shapes of JSON bodies and answers, as msgspec types: for validation, and for the OpenAPI document."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Seconds = Annotated[float, Meta(gt=0, le=1e9, description="Seconds.")]
Backoff = Annotated[float, Meta(ge=0.1, le=1e9, description="Seconds.")]  # less would starve other jobs
Url = Annotated[str, Meta(max_length=8000, description="An http:// or https:// URL.")]
Names = Annotated[list[str], Meta(min_length=1, max_length=100, description="Names of listeners.")]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Reference = Annotated[str, Meta(pattern=r"^\d{1,18}(@\d{1,12}\.\d{6})?$")]
Moment = (
    Annotated[float, Meta(gt=0, lt=1e10, description="Seconds since 1970.")]
    | Annotated[str, Meta(max_length=40, description="A time with its zone, as 2026-12-01T08:00+01:00.")]
)
Key = Annotated[str, Meta(min_length=1, max_length=1000, description="One job at a time has it.")]
Unique = Annotated[float, Meta(ge=0.001, le=1e9, description="Seconds for which the job holds its key.")]
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
    backoff: Backoff | None = None
    then: Annotated[list[Name], Meta(max_length=100)] | None = None
    delay: Annotated[float, Meta(ge=0, le=1e9, description="Seconds from the post until it may begin.")] | None = None
    expires: (
        Annotated[float, Meta(gt=0, le=1e9, description="Seconds from the post until it must have begun.")] | None
    ) = None
    priority: Annotated[int, Meta(ge=-100, le=100, description="Larger is sooner.")] | None = None
    share: Annotated[str, Meta(min_length=1, max_length=100, description="For whom it runs.")] | None = None


class OptionsOfPosts(Options, kw_only=True):
    """The same for jobs that are posted now, and not by a schedule."""

    after: Annotated[list[Reference], Meta(max_length=1000, description="Ids of jobs that must have ended.")] | None = (
        None
    )
    on_failure: Literal["fail", "run"] | None = None
    at: Moment | None = None
    key: Key | None = None
    unique: Literal["waiting", "active"] | Unique | None = None
    replace: bool | None = None  # the job that waits with the key


class NewJob(OptionsOfPosts, kw_only=True):
    """A job to post."""

    msg: Any


class NewJobs(OptionsOfPosts, kw_only=True):
    """Many jobs to post with the same options."""

    msgs: Annotated[list[Any], Meta(min_length=1, max_length=10_000)]


class Posted(Struct, omit_defaults=True):
    """A job that was posted. The state is null if the job is already gone, or the server is away."""

    id: str
    state: StateName | None
    links: dict[str, str]
    warning: str | None = None  # why no live worker can run it; left out if one can
    new: bool = True  # false if it was there already, since it holds the key; left out if it is new


class PostedMany(Struct):
    """Jobs that were posted, in the order of their messages."""

    ids: list[str]


class PostedPrediction(Struct, omit_defaults=True):
    """A prediction that was posted. `task_id` is the `id` under the name that clients of task queues know."""

    id: str
    task_id: str
    state: StateName | None
    version: str  # of the model
    links: dict[str, str]
    warning: str | None = None  # why no live worker can run it; left out if one can
    new: bool = True  # false if it was there already, since it holds the key; left out if it is new


class LoadedModel(Struct):
    """A process that met a model."""

    worker: str
    host: str
    state: str  # loading, ready or broken
    since: float  # seconds since 1970
    took: float  # seconds that loading took
    why: str | None  # of a broken one
    memory: int | None  # bytes that the process holds
    device: str | None  # where it loaded the model, such as "cpu" or "cuda:0"


class ModelVersion(Struct):
    """One version of a model."""

    version: str
    description: str
    state: str  # cold, loading, ready or broken
    why: str | None  # it is broken
    unserved: str | None  # why no live worker hosts it; null if one does
    share: float  # of the requests that name no version, from 0 to 1
    default: bool  # it gets those that no other version gets
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
    loads: int  # into processes
    mean_load: float | None  # seconds of a load
    evictions: int  # times that it was unloaded, unused or to make place for others


class ShadowFigures(Struct):
    """The version that repeats predictions of the others, and how its outputs compare with theirs."""

    version: str
    share: float  # of the successful predictions of the others, from 0 (off) to 1
    compared: int
    different: int
    failed: int  # it raised, crashed or took too long
    dropped: int  # chosen, but not repeated


class HostedModel(Struct):
    """A model, its newest version first."""

    name: str
    description: str
    state: str  # of the version that clients get that name none
    versions: list[ModelVersion]
    links: dict[str, str]
    figures: ModelFigures | None
    shadow: ShadowFigures | None


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
    due: float | None  # when it is to run, if it waits for a time
    expires: float | None  # when it is cancelled if no worker has begun it
    priority: int
    share: str | None  # for whom it runs
    key: str | None  # of which it is or was the one job
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
    schedule: str | None  # that posted it
    tick: float | None  # the time of the schedule that it is for
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
    reason: str | None  # why it failed: error, timeout, lost or oom; or expired, purged
    progress: Any  # what a running job reported last, if that is short; of a pipeline an object; otherwise null
    share: str | None


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
    scheduled: int | None  # jobs and retries that are not due yet; null for a single queue
    running: int
    workers: int
    capacity: int  # slots of these workers
    wanted: int  # slots that would be busy if there were enough: waiting + running
