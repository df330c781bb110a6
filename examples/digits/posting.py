"""Asks for predictions in both ways, over HTTP and from Python, and reads them back in the same ways."""

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import numpy as np

from mlq import MLQ, MLQError
from mlq.client.models import Prediction

CLIENTS = 4  # threads that ask over HTTP, each with its own connection
TIMEOUT = 30.0  # seconds


class Posts:
    """Two predictions of each image, one asked for over HTTP and one from Python, both at the same time."""

    def __init__(self, mlq: MLQ, port: int, images: np.ndarray, callback: str) -> None:
        """Posts nothing yet. `port`: of the HTTP service; `callback`: the URL that hears of each outcome."""
        self._inputs = [{"pixels": image.ravel().tolist()} for image in images]
        self._model = mlq.model("digits")
        self._port = port
        self._callback = callback
        self._over_http: dict[int, dict[str, Any]] = {}  # by the number of the image, what the service answered
        self._from_python: list[Prediction] = []
        self._clients: list[Future[None]] = []

    @property
    def count(self) -> int:
        """How many predictions are posted."""
        return len(self._over_http) + len(self._from_python)

    @property
    def ids(self) -> list[str]:
        """Of all jobs: those posted over HTTP, then those posted from Python, both in the order of the images."""
        return [self._over_http[i]["id"] for i in range(len(self._inputs))] + [job.id for job in self._from_python]

    def start(self, threads: ThreadPoolExecutor) -> None:
        """Post all; those over HTTP are posted by `threads`."""
        self._clients = self._spread(threads, self._post)
        self._from_python = self._model.submit_many(self._inputs, callback=self._callback)

    def check(self) -> None:
        """Raise what has gone wrong in posting over HTTP, if anything has."""
        for client in self._clients:
            if client.done():
                client.result()

    def outcomes(self, threads: ThreadPoolExecutor) -> tuple[list[Any], list[Any]]:
        """What the model gave for each image, read over HTTP and from Python; None where there is no result."""
        read: dict[int, Any] = {}

        def get(connection: HTTPConnection, number: int) -> None:
            connection.request("GET", self._over_http[number]["links"]["result"])
            answer = connection.getresponse()
            body = answer.read()
            read[number] = json.loads(body) if answer.status == 200 else None

        for client in self._spread(threads, get):
            client.result()
        return [read[i] for i in range(len(self._inputs))], [_result(job) for job in self._from_python]

    def _post(self, connection: HTTPConnection, number: int) -> None:
        path = f"/models/digits/predict?{urlencode({'callback': self._callback})}"
        connection.request("POST", path, json.dumps(self._inputs[number]), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 202:
            raise RuntimeError(f"the service answered {answer.status}: {body.decode()}")
        self._over_http[number] = json.loads(body)

    def _spread(self, threads: ThreadPoolExecutor, act: Callable[[HTTPConnection, int], None]) -> list[Future[None]]:
        """Act for each image, in `CLIENTS` threads."""

        def run(first: int) -> None:
            with closing(HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)) as connection:
                for number in range(first, len(self._inputs), CLIENTS):
                    act(connection, number)

        return [threads.submit(run, first) for first in range(CLIENTS)]


def _result(job: Prediction) -> Any:
    try:
        return job.result(timeout=0)
    except MLQError:
        return None
