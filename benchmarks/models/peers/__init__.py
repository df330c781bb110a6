"""The services behind which the same model stands: how each is installed, started and asked.

Modules in here run in each peer's own environment: they import the standard library and that peer, never MLQ. Each
peer is set up as its documentation says, with batches of up to 32, and one instance of the model if nothing else is
said.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.models.work import FIELDS, MOST
from benchmarks.peers import ENVIRONMENTS

HERE = Path(__file__).parent
WINDOW = 0.005  # seconds for which those that wait for a fixed time gather a batch


@dataclass(frozen=True)
class Place:
    """Where a service runs."""

    name: str
    model: str
    port: int
    spare: tuple[int, int]  # more ports, for services that insist on several
    redis: str
    folder: Path  # for files; gone afterwards

    def program(self, name: str) -> str:
        """A program in the environment of the service; MLQ's is this one."""
        folder = Path(sys.executable).parent if self.name == "mlq" else ENVIRONMENTS / environment_of(self.name) / "bin"
        return str(folder / name)


Commands = Callable[[Place], list[list[str]]]  # its processes


@dataclass(frozen=True)
class Service:
    """One competitor."""

    title: str
    commands: Commands
    path: str  # of a prediction, with {model} in it
    body: Callable[[dict[str, float]], object]
    requirements: tuple[str, ...] = ()  # for pip; the first names the package; none for MLQ
    shares: str = ""  # another service's environment
    header: str = ""


def environment_of(name: str) -> str:
    return f"models_{SERVICES[name].shares or name}"


def mlq(place: Place, program: Sequence[str] = (), models: Path = HERE / "hosted.toml") -> list[list[str]]:
    """`program` if the worker is not the command `mlq` itself."""
    command, common = place.program("mlq"), ["--url", place.redis, "--namespace", "bench", "--log-level", "warning"]
    return [
        [command, "serve", "--port", str(place.port), *common],
        [*(program or (command,)), "worker", "--models", str(models), *common],
    ]


def _celery(*options: str) -> Commands:
    def commands(place: Place) -> list[list[str]]:
        module = "benchmarks.models.peers.fastapi_celery"
        uvicorn = ["--port", str(place.port), "--no-access-log", "--log-level", "warning", f"{module}:app"]
        worker = ["--app", f"{module}:queue", "worker", "--loglevel", "warning", *options]
        return [[place.program("uvicorn"), *uvicorn], [place.program("celery"), *worker]]

    return commands


def _bentoml(place: Place) -> list[list[str]]:
    named = "benchmarks.models.peers.bento_service:Flowers"
    return [[place.program("bentoml"), "serve", named, "--host", "127.0.0.1", "--port", str(place.port)]]


def _litserve(window: float) -> Commands:
    module = "benchmarks.models.peers.lit_service"
    return lambda place: [[place.program("python"), "-m", module, str(place.port), str(window)]]


def _mlserver(place: Place) -> list[list[str]]:
    grpc, metrics = place.spare
    ports = {"http_port": place.port, "grpc_port": grpc, "metrics_port": metrics}
    server = {"host": "127.0.0.1", "parallel_workers": 1, "debug": False} | ports
    model = {"name": place.model, "implementation": "benchmarks.models.peers.mlserver_runtime.Flowers",
             "max_batch_size": MOST, "max_batch_time": WINDOW}  # fmt: skip
    for name, settings in (("settings.json", server), ("model-settings.json", model)):
        (place.folder / name).write_text(json.dumps(settings))
    return [[place.program("mlserver"), "start", str(place.folder)]]


def _tensor(flower: dict[str, float]) -> object:
    row = {"name": "rows", "shape": [1, 4], "datatype": "FP64", "data": [flower[name] for name in FIELDS]}
    return {"inputs": [row]}


CELERY = ("celery[redis]", "fastapi", "uvicorn", "uvloop", "httptools", "hiredis", "scikit-learn")
MLSERVER = ("mlserver", "uvloop<0.22", "scikit-learn")  # with newer ones, its worker processes do not start
SERVICES = {
    "mlq": Service("MLQ", mlq, "/models/{model}/predict", dict, header="Prefer: wait=30\r\n"),
    # of the pools with one instance of the model (threads, prefork, solo), threads do best
    "celery": Service(
        "FastAPI + Celery, 10 threads", _celery("--pool", "threads", "--concurrency", "10"), "/predict", dict, CELERY
    ),
    "celery8": Service(
        "FastAPI + Celery, 8 processes, each with the model",
        _celery("--concurrency", "8"),
        "/predict",
        dict,
        shares="celery",
    ),
    "bentoml": Service(
        "BentoML", _bentoml, "/predict", lambda flower: {"flowers": [flower]}, ("bentoml", "scikit-learn")
    ),
    "litserve": Service(
        "LitServe, batch_timeout 5 ms", _litserve(WINDOW), "/predict", dict, ("litserve", "scikit-learn")
    ),
    "litserve0": Service("LitServe, no batch_timeout", _litserve(0.0), "/predict", dict, shares="litserve"),
    "mlserver": Service("MLServer", _mlserver, "/v2/models/{model}/infer", _tensor, MLSERVER),
}
