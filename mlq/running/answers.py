"""What a listener that takes batches returned, as one answer for each message."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from mlq.errors import WrongOutput


class WrongNumber(WrongOutput):
    """The listener did not return one answer for each message."""


def answers_of(returned: Any, count: int, name: str) -> list[Any]:
    """One answer for each of `count` messages. Raises WrongNumber."""
    # A model of pydantic can be iterated over, too: it yields its fields.
    is_one = isinstance(returned, (str, bytes, Mapping, AbstractSet)) or hasattr(type(returned), "model_fields")
    if is_one or not hasattr(returned, "__iter__"):
        raise WrongNumber(f"{name} must return a list with a result for each message, not {type(returned).__name__}")
    answers = list(returned)
    if len(answers) != count:
        raise WrongNumber(f"{name} returned a list of {len(answers)} for {count} messages")
    return answers


def only_answer(returned: Any, name: str) -> Any:
    """The answer to a single message. Raises WrongNumber, or the exception that stands in its place."""
    (answer,) = answers_of(returned, 1, name)
    if isinstance(answer, BaseException):
        raise answer
    return answer
