"""The declaration of a model in another interpreter: a class that stands for it here, and asks it there."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from mlq.client.json_schema import Checker
from mlq.core.model import ModelInfo, check_chat, check_model_name
from mlq.errors import InputError, NotLoaded, ValidationError, WrongOutput
from mlq.models.declaration import REASON, Declaration
from mlq.models.foreign.description import Description, Source, Unavailable, described
from mlq.models.foreign.errors import error_of
from mlq.models.foreign.session import Gone, Session
from mlq.models.instance import Elsewhere

log = logging.getLogger("mlq.models")

METHODS = ("predict", "predict_batch", "cost", "group")


class Foreign(Elsewhere):
    """Stands for a model in another interpreter. Its subclasses, one for each model, have the methods of that model."""

    source: Source
    function: str

    def __init__(self) -> None:
        """Starts nothing yet."""
        self._session: Session | None = None

    @property
    def is_gone(self) -> bool:
        """Whether it must be loaded again."""
        return self._session is None or self._session.is_gone

    def load(self, device: str) -> None:
        """Start the interpreter, and have it load the model. Raises what that raises."""
        self._session = Session(self.source.python, self.function)
        try:
            self._session.ask("load", self.source.target, device)
        except BaseException:
            self._session.end()
            raise

    def ask(self, word: str, value: Any) -> Any:
        """The answer of the model. Raises what it raises, and ChildProcessError if its process ends."""
        if self._session is None:
            raise NotLoaded(f"model {self.function} is not loaded")
        try:
            return self._session.ask(word, value)
        except Gone:
            return self.successor().ask(word, value)


class Missing:
    """Stands for a model that is not available, which its jobs must be told."""

    why: str

    def load(self, _device: str) -> None:
        """Raises Unavailable with the reason."""
        raise Unavailable(self.why)


def declaration_of_foreign(source: Source, names: Mapping[str, Any]) -> Declaration:
    """The declaration of a model, as its interpreter describes it. Raises Unavailable.

    `names`: the name and the version that its configuration expects, if it does.
    """
    told = described(source)
    try:
        return _declared(source, told, names)
    except InputError as error:
        why = f"{source.python}: it is not a valid model: {error}"
        log.error("the model %s is not available: %s", source.name, why)  # noqa: TRY400 - the reason is in the words
        raise Unavailable(why) from None


def declaration_of_missing(names: Mapping[str, Any], why: str) -> Declaration:
    """The declaration of a model of which only the name and the version are known. Raises InputError."""
    info = ModelInfo(*_names(names), "", {}, {}, names["name"])
    kind = type(info.name, (Missing,), {"why": why, **dict.fromkeys(METHODS)})
    return Declaration(kind, info, _unchanged, _unchanged, predicts=True, predicts_batches=True, streams=False)


def _declared(source: Source, told: Description, names: Mapping[str, Any]) -> Declaration:
    name, version = _names({"name": told.name, "version": told.version})
    for which, own in (("name", name), ("version", version)):
        if names.get(which, own) != own:
            raise InputError(f"its {which} is {own}, and not {names[which]!r:.80}")
    info = ModelInfo(name, version, told.about, told.input, told.output, name, chat=check_chat(told.chat))
    info.packed()  # raises if it is too large
    methods = {one: _METHODS[one] for one in told.methods}
    kind = type(name, (Foreign,), {"source": source, "function": info.function, **methods})
    return Declaration(
        kind, info, Checker(info.input, f"the input of {name}").check,
        _unchanged if told.checked else _output_of(info),
        "predict" in methods, "predict_batch" in methods, told.streams,
    )  # fmt: skip


def _names(given: Mapping[str, Any]) -> tuple[str, str]:
    return check_model_name("name", given["name"]), check_model_name("version", given["version"])


def _output_of(info: ModelInfo) -> Callable[[Any], Any]:
    """What checks outputs whose type is a JSON Schema."""
    check = Checker(info.output, "it").check

    def output(value: Any) -> Any:
        try:
            return check(value)
        except ValidationError as error:
            words = "; ".join(f"{path}: {why}" if path else why for path, why in error.faults)
            raise WrongOutput(
                f"{info.name} returned a value that does not match its Output: {words:.{REASON}}"
            ) from None

    return output


def _unchanged(value: Any) -> Any:
    return value


def _predict(self: Foreign, x: Any) -> Any:
    return self.ask("one", x)


def _predict_batch(self: Foreign, xs: list[Any]) -> list[Any]:
    return [value if word == "done" else error_of(value, self.function) for word, value in self.ask("many", xs)]


def _cost(self: Foreign, x: Any) -> Any:
    return self.ask("cost", x)


def _group(self: Foreign, x: Any) -> Any:
    return self.ask("group", x)


_METHODS: dict[str, Callable[..., Any]] = {
    "predict": _predict, "predict_batch": _predict_batch, "cost": _cost, "group": _group
}  # fmt: skip
