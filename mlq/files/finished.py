"""Remembers for a day which runs were whole: the command that is repeated, since nobody saw its end, is told so.

It may have been killed after all files had their names; then there is no folder any more to go on with.
"""

import hashlib
from typing import TYPE_CHECKING, Any

from mlq.errors import InputError, Undecodable
from mlq.files import places
from mlq.files.prediction import Wanted
from mlq.files.report import Report

if TYPE_CHECKING:
    from mlq.client.blocking import Client

DAY = 86400.0  # seconds


def note(client: "Client", wanted: Wanted, report: Report) -> None:
    """Remember a run whose files have their names. Raises ServerError."""
    client.store_data({"about": _about(wanted), "report": list(report)}, _key(wanted), DAY)


def before(client: "Client", wanted: Wanted) -> Report | None:
    """How the same run has ended, if its input and its output are still what they were; else None.

    Raises ServerError.
    """
    try:
        about = _about(wanted)  # first, since it nearly always tells that there is no output
        found = None if wanted.restart else client.fetch_data(_key(wanted))
        return Report(*found["report"]) if found is not None and found["about"] == about else None
    except (InputError, Undecodable, TypeError, LookupError):  # one of the files is gone, or somebody else wrote this
        return None


def _about(wanted: Wanted) -> dict[str, Any]:
    return {
        "input": _fingerprint(wanted.input),
        "output": _fingerprint(wanted.output),
        "asked": [wanted.name, wanted.errors, sorted(map(list, wanted.fields.items())), list(wanted.keep)],
    }


def _fingerprint(address: str) -> str:
    file = places.open_input(address)
    try:
        return file.fingerprint()
    finally:
        file.close()


def _key(wanted: Wanted) -> str:
    addresses = [one if places.is_url(one) else places.path_of(one) for one in (wanted.input, wanted.output)]
    return f"predict-{hashlib.sha256(repr(addresses).encode('utf-8', 'surrogateescape')).hexdigest()}"
