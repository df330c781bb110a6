"""What all posts share: their options, waiting for the result, and the links of a job."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from flask import request
from werkzeug.http import parse_list_header

from mlq import MLQ, MLQError, ServerError, State, UnknownJob
from mlq.client.arguments import state_of as end_of
from mlq.core.checks import check_url, from_outside
from mlq.core.identity import JobId, reference_of
from mlq.http.answers import link
from mlq.http.peer import CONNECTED, is_known_closed
from mlq.http.problems import Refused

LONGEST = 60.0  # seconds that a post may wait for its result; proxies cut requests that take longer
WAITERS = 200  # posts that may wait at a time, each with a connection to the server; others are answered at once
RETRIES = 10  # of a prediction: an input that makes a model run out of time must not come back for ever


class Waiting:
    """Posts that wait for their results."""

    def __init__(self, mlq: MLQ) -> None:
        """None yet."""
        self._mlq = mlq
        self._count = 0
        self._large = 0

    def has_room(self) -> bool:
        """Whether one more may wait."""
        return self._count < WAITERS

    @contextmanager
    def places(self, number: int) -> Iterator[None]:
        """Keep so many places. Raises Refused if there are not that many.

        Those who take several have half of them at most, so that others find one.
        """
        large = number if number > 1 else 0
        if self._count + number > WAITERS or (large and self._large + large > WAITERS // 2):
            raise Refused(503, "too many requests wait for their results: ask again", headers={"Retry-After": "1"})
        self._count, self._large = self._count + number, self._large + large
        try:
            yield
        finally:
            self._count, self._large = self._count - number, self._large - large

    def ended(self, job_id: JobId, seconds: float) -> dict[str, bytes]:
        """The fields of the job when it has ended, with a result of up to 64 KiB; none if that is not known in time."""
        self._count += 1
        try:
            return self._mlq._ended(job_id, seconds, large=False, between=check_open)  # noqa: SLF001 - spares two round trips for the result
        except MLQError:
            return {}
        finally:
            self._count -= 1

    def state(self, job_id: str, seconds: float) -> State | None:
        """The state when the job has ended or time is up; None if it can't be determined."""
        self._count += 1
        try:  # without the value, so that waiters hold no copies of it
            return end_of(self._mlq._ended(self._mlq._named(job_id), seconds, whole=False, between=check_open))  # noqa: SLF001
        except MLQError:  # time is up, or the server is away
            return state_of(self._mlq, job_id)
        finally:
            self._count -= 1


def check_open() -> None:
    """Raises Refused if the client has closed the connection: nobody waits, and others want the place."""
    if is_known_closed(request.environ.get(CONNECTED)):
        raise Refused(503, "the client has closed the connection")


def state_of(mlq: MLQ, job_id: str) -> State | None:
    """The state of a posted job; None if it can't be determined, because the client needs the id in any case."""
    try:
        return mlq.get_state(job_id)
    except (UnknownJob, ServerError):
        return None


def is_queued(given: dict[str, Any], key: str | None) -> bool:
    """Whether a job posted with these options waits in its lane; with a key, it may be that of an earlier post."""
    return key is None and given.keys().isdisjoint(("after", "delay", "at", "key"))


def preferred() -> float | None:
    """How many seconds the client wants to wait (`Prefer: wait=...`, the first one counts); None if it does not."""
    prefer = request.environ.get("HTTP_PREFER")
    for preference in parse_list_header(prefer) if prefer else ():
        name, _, wanted = preference.partition("=")
        if name.strip().lower() == "wait":
            wanted = wanted.strip().strip('"')
            return min(float(wanted), LONGEST) if is_number(wanted) else None
    return None


def given_options(options: msgspec.Struct, *, trusts: bool) -> dict[str, Any]:
    """The options that were given. Unless trusted, callback and webhook are marked for public addresses only."""
    given = {name: value for name, value in msgspec.structs.asdict(options).items() if value is not None}
    _check_models(given)
    for name in () if trusts else ("callback", "webhook"):
        if (url := check_url(name, given.get(name))) is not None:
            given[name] = from_outside(url)
    return given


def _check_models(given: dict[str, Any]) -> None:
    """Raises Refused for several models, since each set of them would get a process, and for endless retries of one.

    Also for MLQ's own listeners: their messages are made here, after a look at what the client may do.
    """
    if any(name.rpartition(":")[2].startswith("#") for name in (*given.get("functions", ()), *given.get("then", ()))):
        raise Refused(422, "functions: names that begin with # are those of MLQ's own listeners")
    models = [name for name in given.get("functions", ()) if "@" in name]  # name@version
    if len(models) > 1:
        raise Refused(422, "functions: a job may name one model here")
    if models:
        check_retries(given)


def check_retries(given: dict[str, Any]) -> None:
    """Raises Refused for more retries than a prediction may have."""
    if given.get("retries", 0) > RETRIES:
        raise Refused(422, f"retries: a prediction may be tried again {RETRIES} times")


def links(job_id: str) -> dict[str, str]:
    """The paths of a job and its parts. They contain its reference, so they never lead to another job with its id."""
    base = link(f"/jobs/{reference_of(job_id)}")
    return {"self": base} | {name: f"{base}/{name}" for name in ("result", "progress", "events", "cancel")}


def is_number(words: str) -> bool:
    """Whether this is a whole number of up to 18 digits."""
    return words.isascii() and words.isdigit() and len(words) <= 18
