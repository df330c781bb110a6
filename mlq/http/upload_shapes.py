"""The shapes of what is sent and answered about uploads: checked when it comes, and shown in the OpenAPI document."""

from typing import Annotated

from msgspec import Meta, Struct, field


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
