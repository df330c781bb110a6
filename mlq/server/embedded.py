"""The one server that all processes of a user share: started on first need, it stays until it is stopped."""

from dataclasses import dataclass
from pathlib import Path

from mlq.server import process
from mlq.server.home import Home


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A running server, by its own account."""

    url: str
    pid: int
    version: str  # "valkey 9.1.2"
    home: Path
    uptime: int  # seconds
    used_memory: int  # bytes


def ensure_running(home: Path | None = None) -> str:
    """The URL of the user's server, started unless it runs; 0.2 ms when it does, about 50 ms when it doesn't.

    `home` is its directory (MLQ_HOME, or the platform's place for a user's data). Raises NoServer where no server
    program is installed, ServerError where it does not start.
    """
    at = Home.at(home)
    # The server forks away from what we launch, so that it is no child of ours that could become a zombie.
    launched = process.start(at, [*process.arguments(at, "everysec"), "--daemonize", "yes"])
    if launched:
        process.end(launched)
    return at.url


def running(home: Path | None = None) -> str | None:
    """The URL of the user's server if it runs, maybe still loading its data; None where none does.

    Raises ServerError where somebody else may have put another one in its place.
    """
    at = Home.at(home)
    return None if process.ask(at, "PING") is None else at.url


def stop(home: Path | None = None) -> bool:
    """End the server and wait until it is gone, its data on disk; False where none ran."""
    return process.shut_down(Home.at(home))


def status(home: Path | None = None) -> ServerStatus | None:
    """What the server says of itself; None where none runs. Raises ServerError for one that does not answer."""
    at = Home.at(home)
    answer = process.ask(at, "INFO")
    if not answer:
        if process.is_free(at):
            return None
        raise process.silent(at, answer)
    info = dict(line.split(":", 1) for line in answer.decode().splitlines() if ":" in line)
    return ServerStatus(
        url=at.url,
        pid=int(info["process_id"]),
        version=f"{info.get('server_name', 'redis')} {info.get('valkey_version') or info['redis_version']}",
        home=at.path,
        uptime=int(info["uptime_in_seconds"]),
        used_memory=int(info["used_memory"]),
    )
