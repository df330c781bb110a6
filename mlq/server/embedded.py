"""The one server that all processes of a user share: started when first needed, it runs until it is stopped."""

from dataclasses import dataclass
from pathlib import Path

from mlq.server import process
from mlq.server.home import Home


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A running server, as it describes itself."""

    url: str
    pid: int
    version: str  # "valkey 9.1.2"
    home: Path
    uptime: int  # seconds
    used_memory: int  # bytes


def ensure_running(home: Path | None = None) -> str:
    """The URL of the user's server, which is started unless it runs. Takes 0.2 ms if it runs, else about 50 ms.

    `home` is its directory (default: MLQ_HOME, or the platform's place for a user's data). Raises NoServer if no server
    program is installed, ServerError if it does not start.
    """
    at = Home.at(home)
    # The launched process forks the server, so that the server is not our child and can't become a zombie.
    launched = process.start(at, [*process.arguments(at, "everysec"), "--daemonize", "yes"])
    if launched:
        process.end(launched)
    return at.url


def running(home: Path | None = None) -> str | None:
    """The URL of the user's server if it runs, even if it is still loading its data; else None.

    Raises ServerError if somebody else may have put another server in its place.
    """
    at = Home.at(home)
    return None if process.ask(at, "PING") is None else at.url


def stop(home: Path | None = None) -> bool:
    """Stop the server, and return when its data is on disk and its process is gone; False if none ran."""
    return process.shut_down(Home.at(home))


def status(home: Path | None = None) -> ServerStatus | None:
    """What the server reports about itself; None if none runs. Raises ServerError if it does not respond."""
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
