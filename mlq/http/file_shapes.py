"""The shapes of what is sent and answered about files and batches, in the form of OpenAI's API."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Key = Annotated[str, Meta(max_length=64)]
Word = Annotated[str, Meta(max_length=512)]


class FileForm(Struct):
    """The form of an upload."""

    file: Annotated[str, Meta(extra_json_schema={"contentMediaType": "application/jsonl"})]
    purpose: Literal["batch"]


class File(Struct):
    """A file. Times are in seconds since 1970."""

    id: str
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str  # batch, or batch_output
    object: Literal["file"] = "file"
    status: Literal["processed"] = "processed"


class Files(Struct):
    """A page of files."""

    data: list[File]
    has_more: bool
    first_id: str | None
    last_id: str | None
    object: Literal["list"] = "list"


class FileDeleted(Struct):
    """A file that was removed."""

    id: str
    deleted: bool = True
    object: Literal["file"] = "file"


class Expiry(Struct):
    """When files expire."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Meta(ge=3600, le=2_592_000)]


class NewBatch(Struct):
    """A batch to run."""

    input_file_id: Annotated[str, Meta(max_length=100)]
    endpoint: Annotated[str, Meta(max_length=400, description="Of all lines: /models/<name>/predict.")]
    completion_window: Literal["24h"]
    metadata: Annotated[dict[Key, Word], Meta(max_length=16)] | None = None
    output_expires_after: Expiry | None = None


class LineFault(Struct):
    """Why a batch was refused."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class LineFaults(Struct):
    """All reasons why a batch was refused, the first of them if there are many."""

    data: list[LineFault]
    object: Literal["list"] = "list"


class Counts(Struct):
    """How many requests of a batch there are, and what became of them."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class Batch(Struct):
    """A batch. Times are in seconds since 1970."""

    id: str
    endpoint: str
    input_file_id: str
    status: Literal[
        "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
    ]
    created_at: int
    expires_at: int
    request_counts: Counts
    model: str  # with its version
    errors: LineFaults | None = None
    output_file_id: str | None = None  # of requests that succeeded
    error_file_id: str | None = None  # of those that failed
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    metadata: dict[str, str] | None = None
    job: str | None = None  # the reference of the job that runs it
    completion_window: Literal["24h"] = "24h"
    object: Literal["batch"] = "batch"


class Batches(Struct):
    """A page of batches."""

    data: list[Batch]
    has_more: bool
    first_id: str | None
    last_id: str | None
    object: Literal["list"] = "list"


class RefusalReason(Struct):
    """Why a request was refused."""

    message: str
    type: str
    param: str | None
    code: str | None


class Refusal(Struct):
    """A refusal in the form of OpenAI's API."""

    error: RefusalReason
