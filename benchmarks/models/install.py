"""Makes the environments of the peers, and says which of them are there."""

from benchmarks.models.peers import SERVICES, environment_of
from benchmarks.peers import environments


def install() -> None:
    """The latest versions."""
    for name, each in SERVICES.items():
        if each.requirements:
            environments.try_to_make(environment_of(name), each.requirements)


def lacking(name: str) -> str:
    """Why a service can't be measured; nothing if it can."""
    return "" if name == "mlq" else environments.lacking(environment_of(name), "python -m benchmarks.models install")
