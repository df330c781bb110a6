"""Why a job does not run, or has not ended: the answer to `why`."""

from typing import Any, NamedTuple


class Why(NamedTuple):
    """The first reason that holds. As a string, its text."""

    reason: str  # one word, for programs: docs/why.md lists them
    text: str  # for people: what the job waits for, and what to do about it
    facts: dict[str, Any]  # what the text says, for programs; which ones depends on the reason

    def __str__(self) -> str:
        """The text."""
        return self.text

    def data(self) -> dict[str, Any]:
        """Everything in one mapping, as HTTP and `mlq why --json` give it."""
        return {"reason": self.reason, "text": self.text} | self.facts
