"""Turns what listeners return and raise into outcomes, which can be stored. Pure."""

import json
import os
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from mlq.core import codec
from mlq.core.checks import check_size
from mlq.core.exceptions import TEXT_LIMIT, plain, text_of, to_fields
from mlq.core.job import Outcome
from mlq.core.plain import fields_of
from mlq.core.states import State

_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"
SAID_LIMIT = 1500  # bytes of a percent-encoded short result in a callback: the whole URL should stay below 2,000


def success(value: Any, *, calls_back: bool = False) -> Outcome:
    """The outcome of a listener that returned `value`. Raises Unserializable or TooLarge."""
    pair = isinstance(value, tuple) and len(value) == 2
    short, result = value if pair else (value, value)
    packed = check_size("the result", codec.pack(result, "result"))
    fields: dict[str, bytes | str] = {"result": packed}
    if pair:
        packed = fields["short"] = check_size("the short result", codec.pack(short, "short_result"))
    fits = len(packed) <= 4 * SAID_LIMIT  # no need to convert a large value to text only to find that it does not fit
    return Outcome(State.SUCCEEDED, fields, said(short) if calls_back and fits else None)


def said(short: Any) -> str | None:
    """A short result for the query of a callback's URL; None if it has no text form or does not fit."""
    if fields_of(short) is not short:
        short = codec.unpack(codec.pack(short))
    if isinstance(short, bytes):
        short = short.decode("utf-8", "replace")
    if isinstance(short, (list, dict)) and len(short) <= SAID_LIMIT:
        try:
            short = json.dumps(short)
        except (TypeError, ValueError, RecursionError):
            return None
    if short is None or (isinstance(short, str) and len(short) > SAID_LIMIT):
        return None
    words = str(short)
    return words if len(quote(words)) <= SAID_LIMIT else None


def failure(error: BaseException, *, again: bool = False) -> Outcome:
    """The outcome of a listener that raised `error`; `again`: the job may be retried."""
    kind = type(error)
    try:
        trace = "".join(traceback.format_exception(kind, error, _from_user_code(error.__traceback__)))
    except BaseException:  # noqa: BLE001 - user code: the exception's own methods
        trace = ""
    fields: dict[str, bytes | str] = {
        "reason": "error",
        "error": text_of(error),
        "error_type": plain(f"{kind.__module__}.{kind.__qualname__}"),
        "traceback": plain(trace[-TEXT_LIMIT:]),
    }
    fields |= to_fields(error)
    return Outcome(State.FAILED, fields, None, f"{kind.__name__}: {' '.join(str(fields['error']).split()):.200}", again)


def _from_user_code(trace: TracebackType | None) -> TracebackType | None:
    """Without the frames of MLQ at its beginning, unless there are no others."""
    inner = trace
    while inner is not None and inner.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        inner = inner.tb_next
    return inner or trace


def timeout(seconds: float) -> Outcome:
    """The outcome of an attempt that exceeded its time limit."""
    words = f"ran longer than its limit of {seconds:g} s"
    fields: dict[str, bytes | str] = {"reason": "timeout", "error": words, "error_type": "builtins.TimeoutError"}
    return Outcome(State.FAILED, fields, None, words, again=True)


def in_time(outcome: Outcome, took: float, limit: float | None) -> Outcome:
    """The outcome of an attempt that took `took` seconds: a timeout if that exceeds its limit.

    A listener that holds the GIL beyond its limit may return before the thread that enforces the limit can run.
    """
    return outcome if limit is None or took <= limit else timeout(limit)


def death(reason: str, words: str) -> Outcome:
    """The outcome of an attempt whose process died."""
    return Outcome(State.FAILED, {"reason": reason, "error": words, "error_type": "mlq.errors.LeaseLost"}, None, words)
