"""Inputs, outputs and errors of a model in another interpreter, and their forms in JSON. See program.py."""

import json
import traceback
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Dict, List, Optional

TEXT_LIMIT = 64 * 1024  # characters of an error's text, and of its traceback
SHOWN, REASON = 20, 300  # faults of an input that are told; characters of a reason
COLLECTED = 1000  # faults of pydantic that are made into objects
OURS = (__file__, str(Path(__file__).with_name("program.py")))  # files whose frames tell nothing about an error


class Refused(Exception):
    """The class is no model that can be hosted."""


class Invalid(Exception):
    """An input does not fit: the type's name, and the faults, each a list of steps and a reason."""


class Wrong(Exception):
    """The model gave something that can't be used: `output` or `number`, and why."""


class Typed:
    """An `Input` or `Output` that pydantic knows."""

    checked = True

    def __init__(self, hint: Any, which: str) -> None:
        """`which`: Input or Output. Raises Refused."""
        try:
            import pydantic
        except ImportError:
            raise Refused(
                f"its {which} is {hint!r:.80}, and pydantic is not installed there: install it, or write {which} as a "
                "JSON Schema, in a dict"
            ) from None
        if not hasattr(pydantic, "TypeAdapter"):
            raise Refused(
                f"its {which} needs pydantic 2, and {pydantic.VERSION} is installed there; or write {which} as a JSON "
                "Schema, in a dict"
            )
        self._error = pydantic.ValidationError
        self._name = hint.__name__ if isinstance(hint, type) else str(hint)
        self._which = which
        known = tuple(int(part) for part in pydantic.VERSION.split(".")[:2]) >= (2, 11)
        self._either: Dict[str, Any] = {"by_alias": True, "by_name": True} if known else {}
        try:
            self._adapter: Any = pydantic.TypeAdapter(hint)
        except Exception as error:
            raise self._refused(error) from None

    def _refused(self, error: Exception) -> Refused:
        words = " ".join(str(error).split())
        return Refused(f"pydantic can make no JSON Schema of its {self._which}: {words:.200}")

    def schema(self) -> Any:
        """The JSON Schema. Raises Refused."""
        try:
            return self._adapter.json_schema(mode="validation" if self._which == "Input" else "serialization")
        except Exception as error:
            raise self._refused(error) from None

    def read(self, value: Any) -> Any:
        """The value of JSON as this type. Raises Invalid, and what the type's own code raises."""
        try:
            return self._adapter.validate_python(value, **self._either)
        except RecursionError:
            raise Invalid(self._name, [[[], "is nested too deeply"]]) from None
        except self._error as error:
            raise Invalid(self._name, _faults(error)) from None

    def plain(self, value: Any) -> Any:
        """What the model gave, for JSON. Raises Wrong."""
        try:
            return self._adapter.dump_python(self._adapter.validate_python(value), mode="json", by_alias=True)
        except (ValueError, TypeError) as error:
            words = " ".join(str(error).split())
            raise Wrong("output", f"does not match {self._name}: {words:.{REASON}}") from None


class Schema:
    """An `Input` or `Output` that is a JSON Schema, by which the other side checks values."""

    checked = False

    def __init__(self, schema: Dict[str, Any]) -> None:
        """`schema`: as the class has it."""
        self._schema = schema

    def schema(self) -> Any:
        """The JSON Schema."""
        return self._schema

    def read(self, value: Any) -> Any:
        """The value, as it is."""
        return value

    def plain(self, value: Any) -> Any:
        """What the model gave, for JSON. Raises Wrong."""
        try:
            return json.loads(json.dumps(value, default=plain))
        except (ValueError, TypeError, RecursionError) as error:
            raise Wrong("output", f"is nothing that JSON can hold: {error!s:.{REASON}}") from None


def type_of(hint: Any, which: str) -> Any:
    """What reads inputs, or makes outputs plain. Raises Refused."""
    return Schema(hint) if isinstance(hint, dict) else Typed(hint, which)


def _faults(error: Any) -> List[Any]:
    if error.error_count() > COLLECTED:
        return [[[], f"{error.error_count():,} of its values are wrong"]]
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [[list(each["loc"]), each["msg"]] for each in found[:SHOWN]]


def plain(value: Any) -> Any:
    """What stands for a value that JSON does not know: for models of pydantic, and arrays and scalars of numpy."""
    if hasattr(type(value), "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"JSON has no form for {type(value).__name__}")


def listed(returned: Any, count: int) -> List[Any]:
    """What `predict_batch` returned, as one answer for each input. Raises Wrong."""
    is_one = isinstance(returned, (str, bytes, Mapping, AbstractSet)) or hasattr(type(returned), "model_fields")
    if is_one or not hasattr(returned, "__iter__"):
        raise Wrong("number", f"must return a list with a result for each message, not {type(returned).__name__}")
    answers = list(returned)
    if len(answers) != count:
        raise Wrong("number", f"returned a list of {len(answers)} for {count} messages")
    return answers


def failed(error: BaseException) -> Dict[str, Any]:
    """What is told of an error."""
    if isinstance(error, Refused):
        return {"kind": "refused", "why": str(error)}
    if isinstance(error, Invalid):
        return {"kind": "invalid", "wanted": error.args[0], "faults": error.args[1]}
    if isinstance(error, Wrong):
        return {"kind": error.args[0], "why": error.args[1]}
    kind, trace = type(error), error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in OURS:
        trace = trace.tb_next
    return {
        "kind": "raised", "type": f"{kind.__module__}.{kind.__qualname__}", "text": _text(error),
        "args": _arguments(error), "trace": _traceback(error, trace),
    }  # fmt: skip


def _text(error: BaseException) -> str:
    try:
        return str(error)[:TEXT_LIMIT]
    except Exception:  # the exception's own code
        return ""


def _traceback(error: BaseException, trace: Any) -> str:
    try:
        return "".join(traceback.format_exception(type(error), error, trace))[-TEXT_LIMIT:]
    except Exception:  # the exception's own code
        return ""


def _arguments(error: BaseException) -> Optional[List[Any]]:
    """What the exception can be made of again; None if there is more to it, or JSON would change it."""
    try:
        reduced: Any = error.__reduce__()
        args = list(reduced[1])
        is_simple = len(reduced) == 2 and reduced[0] is type(error)
        return args if is_simple and repr(json.loads(json.dumps(args))) == repr(args) else None
    except Exception:  # the exception's own code
        return None
