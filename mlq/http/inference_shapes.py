"""The shapes of the Open Inference Protocol, as msgspec types: for validation, and for the OpenAPI document."""

from typing import Annotated, Any

from msgspec import Meta, Struct, field

Size = Annotated[int, Meta(ge=0)]
Parameters = Annotated[dict[str, Any], Meta(description="Unknown ones are ignored, as the protocol wants it.")]


class InferenceServer(Struct):
    """This server."""

    name: str
    version: str
    extensions: list[str]


class InferenceLive(Struct):
    """Whether this process responds."""

    live: bool


class InferenceReady(Struct):
    """Whether jobs that are posted now will be run."""

    ready: bool


class ModelReady(Struct):
    """Whether predictions of a model will be run."""

    name: str
    ready: bool


class TensorMetadata(Struct):
    """A tensor of a model. A size of -1 is any."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Struct):
    """A model and its tensors."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class InputTensor(Struct):
    """An input of all rows: data flat in row-major order, or nested as the shape says."""

    name: str
    shape: list[Size]
    datatype: str
    data: list[Any]


class WantedOutput(Struct):
    """An output that is wanted."""

    name: str


class InferenceRequest(Struct):
    """The inputs of one prediction for each row."""

    inputs: Annotated[list[InputTensor], Meta(min_length=1)]
    id: str = ""
    outputs: list[WantedOutput] = field(default_factory=list)
    parameters: Parameters = field(default_factory=dict)


class OutputTensor(Struct):
    """An output of all rows, flat in row-major order."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any]


class InferenceResponse(Struct, omit_defaults=True):
    """The outputs of all rows, in their order."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str = ""


class InferenceError(Struct):
    """Why a request failed."""

    error: str
