"""A FastAPI program that predicts through MLQ: it checks the features, posts a job, and answers at once or waits.

Run it with `uvicorn examples.fastapi_service.service:app`; the model runs in the worker, wherever that is.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from mlq import AsyncMLQ, JobCancelled, JobFailed, MLQError, ServerError, UnknownJob, WaitTimeout

KEEP = 3600.0  # seconds for which a result can be fetched
POLL = {"Retry-After": "1"}  # seconds

log = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for all requests. It connects when it is first used, and again whenever the connection broke."""
    async with AsyncMLQ("irises") as mlq:
        app.state.mlq = mlq
        yield


app = FastAPI(title="Irises", lifespan=lifespan)


def client(request: Request) -> AsyncMLQ:
    """The client of this program."""
    return request.app.state.mlq


Queue = Annotated[AsyncMLQ, Depends(client)]
# Anything else as an id is an InputError, not an UnknownJob
TaskId = Annotated[str, Path(pattern=r"^\d{1,18}$")]
Centimetres = Annotated[float, Field(gt=0, le=30, allow_inf_nan=False)]


class Flower(BaseModel):
    """The features. What is wrong with them is answered 422, and no job is posted."""

    model_config = ConfigDict(extra="forbid")

    sepal_length: Centimetres
    sepal_width: Centimetres
    petal_length: Centimetres
    petal_width: Centimetres


class Task(BaseModel):
    """A prediction that is under way."""

    task_id: str
    state: str


class Prediction(BaseModel):
    """What the model said."""

    species: str
    probabilities: dict[str, float]


@app.post("/predictions", status_code=202, responses={200: {"model": Prediction}})
async def predict(
    flower: Flower, mlq: Queue, request: Request, response: Response, wait: Annotated[float, Query(ge=0, le=30)] = 0.0
) -> Task | Prediction:
    """Post the job; its result is at the Location. With `wait`, it is answered if it is there in so many seconds."""
    task_id = await mlq.post(flower.model_dump(), functions=["classify"], ttl=KEEP)
    request.state.task_id = task_id
    response.headers.update({"Location": f"/predictions/{task_id}"})
    with suppress(WaitTimeout):
        if wait:
            await mlq.wait_end(task_id, wait)
            response.status_code = 200
            return Prediction(**await mlq.get_result(task_id))
    response.headers.update(POLL)
    return Task(task_id=task_id, state="queued")


@app.get("/predictions/{task_id}", responses={202: {"model": Task}, 404: {}, 410: {}, 500: {}, 503: {}})
async def prediction(task_id: TaskId, mlq: Queue) -> Prediction:
    """The prediction, or 202 as long as there is none."""
    result = await mlq.get_result(task_id)
    if result is None:
        under_way = Task(task_id=task_id, state=await mlq.get_state(task_id))
        return JSONResponse(under_way.model_dump(), 202, headers=POLL)  # type: ignore[return-value]
    return Prediction(**result)


async def known(task_id: TaskId, mlq: Queue) -> str:
    """The id of a job that exists: asked before a stream begins, whose status could not be changed any more."""
    await mlq.get_state(task_id)
    return task_id


@app.get("/predictions/{task_id}/events", response_class=EventSourceResponse)
async def events(task_id: Annotated[str, Depends(known)], mlq: Queue) -> AsyncIterator[ServerSentEvent]:
    """Its states as they change, for `EventSource` in a page, which asks for the prediction after the last one."""
    async for news in mlq.follow(task_id):
        yield ServerSentEvent(event="end" if news.ended else "state", data={"state": news.state})


@app.exception_handler(MLQError)
async def refused(request: Request, error: MLQError) -> JSONResponse:
    """One status for each thing that can go wrong with a job."""
    mlq, task_id = client(request), request.path_params.get("task_id") or getattr(request.state, "task_id", "")
    status, detail = 500, "the prediction failed"
    if isinstance(error, JobFailed) and error.error_type == "builtins.ValueError":
        status, detail = 422, (await mlq.get_info(task_id))["error"]  # the model's own word on the features
    elif isinstance(error, JobCancelled):
        status, detail = 410, "the prediction was cancelled"
    elif isinstance(error, ServerError):
        status, detail = 503, "the queue does not answer; try again"
    elif isinstance(error, UnknownJob):
        was_there = int(task_id) <= await mlq.last_id()
        status, detail = (410, "the prediction is gone") if was_there else (404, "there is no such prediction")
    if status >= 500:
        log.error("%s %s: %s", request.method, request.url.path, error)
    return JSONResponse({"detail": detail}, status)
