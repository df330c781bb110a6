"""What a model's class must have: a name, a version, `Input`, `Output`, and `predict`, `predict_batch` or both."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from mlq.core.model import ModelInfo, check_chat, check_model_name
from mlq.errors import InputError, WrongOutput
from mlq.running.validation import engine_for, many_by_pydantic
from mlq.system.extras import require

REASON = 300  # characters shown of why an output does not fit


class Declaration(NamedTuple):
    """A model's class, checked."""

    kind: type
    info: ModelInfo
    convert: Callable[[Any], Any]  # a message to an `Input`; raises ValidationError
    output: Callable[[Any], Any]  # what the model returned, to plain values; raises WrongOutput
    predicts: bool
    predicts_batches: bool
    streams: bool  # `predict` is a generator
    # The same for many at once, which takes half of the time. They raise something if one is wrong.
    convert_many: Callable[[list[Any]], list[Any]] | None = None
    output_many: Callable[[list[Any]], list[Any]] | None = None


def declaration_of(kind: object, place: str) -> Declaration:
    """Check a class; `place` says where it was named. Raises InputError."""
    require("models", "a hosted model")
    if not isinstance(kind, type):
        raise InputError(f"{place} is not a class, but {kind!r:.80}")
    try:
        return _declaration_of(kind)
    except InputError as error:
        raise InputError(f"{place} is not a valid model: {error}") from None


def _declaration_of(kind: type) -> Declaration:
    lacking = [name for name in ("name", "version", "Input", "Output") if not hasattr(kind, name)]
    if lacking:
        raise InputError(f"it has no {' and no '.join(lacking)}")
    methods = [name for name in ("predict", "predict_batch") if callable(getattr(kind, name, None))]
    if not methods:
        raise InputError("it has neither a method predict(self, x) nor predict_batch(self, xs)")
    if inspect.isasyncgenfunction(getattr(kind, "predict", None)):
        raise InputError(
            "its predict is an async generator; to stream, write a generator: def predict(self, x): yield ..."
        )
    name, version = check_model_name("name", kind.name), check_model_name("version", kind.version)  # type: ignore[attr-defined]
    about = (inspect.getdoc(kind) or "").partition("\n\n")[0] if kind.__doc__ else ""
    schemas = [_schema(kind, which, mode) for which, mode in (("Input", "validation"), ("Output", "serialization"))]
    chat = check_chat(getattr(kind, "chat", False))
    info = ModelInfo(name, version, " ".join(about.split()), schemas[0], schemas[1], name, chat=chat)
    info.packed()  # raises if it is too large
    return Declaration(
        kind, info, engine_for(kind.Input, f"the input of {name}", always="pydantic"), _output_of(kind, name),  # type: ignore[attr-defined]
        "predict" in methods, "predict_batch" in methods, inspect.isgeneratorfunction(getattr(kind, "predict", None)),
        many_by_pydantic(kind.Input), _many_outputs_of(kind),  # type: ignore[attr-defined]
    )  # fmt: skip


def _schema(kind: type, which: str, mode: Any) -> dict[str, Any]:
    import pydantic

    try:
        return pydantic.TypeAdapter(getattr(kind, which)).json_schema(mode=mode)
    except Exception as error:  # noqa: BLE001 - user code: types make schemas of their own
        words = " ".join(str(error).split())
        raise InputError(f"pydantic can make no JSON Schema of its {which}: {words:.200}") from None


def _output_of(kind: Any, name: str) -> Callable[[Any], Any]:
    """What makes the outputs of a model plain values."""
    import pydantic

    adapter: Any = pydantic.TypeAdapter(kind.Output)

    def output(value: Any) -> Any:
        try:
            return adapter.dump_python(adapter.validate_python(value), mode="json", by_alias=True)
        except (ValueError, TypeError) as error:  # pydantic's own are ValueErrors
            words = " ".join(str(error).split())
            raise WrongOutput(
                f"{name} returned a value that does not match {_name_of(kind.Output)}: {words:.{REASON}}"
            ) from None

    return output


def _many_outputs_of(kind: Any) -> Callable[[list[Any]], list[Any]]:
    import pydantic

    adapter: Any = pydantic.TypeAdapter(list[kind.Output])
    return lambda values: adapter.dump_python(adapter.validate_python(values), mode="json", by_alias=True)


def _name_of(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)
