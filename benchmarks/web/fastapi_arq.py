"""The smallest FastAPI service that posts a validated message to arq and answers with the id."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from arq import create_pool
from arq.connections import RedisSettings
from fastapi import FastAPI
from pydantic import BaseModel


@asynccontextmanager
async def connected(app: FastAPI) -> AsyncIterator[None]:
    app.state.queue = await create_pool(RedisSettings.from_dsn(os.environ["BENCH_URL"]))
    yield


app = FastAPI(lifespan=connected)


class NewJob(BaseModel):
    msg: dict[str, str]


@app.post("/jobs", status_code=202)
async def post(job: NewJob) -> dict[str, str]:
    posted = await app.state.queue.enqueue_job("work", job.msg)
    return {"id": posted.job_id}
