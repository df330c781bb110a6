"""The smallest FastAPI service that posts a validated message to celery and answers with the id."""

import os

from celery import Celery
from fastapi import FastAPI
from pydantic import BaseModel

queue = Celery("service", broker=os.environ["BENCH_URL"], backend=os.environ["BENCH_URL"])
app = FastAPI()


class NewJob(BaseModel):
    msg: dict[str, str]


@queue.task(name="work")
def work(msg: dict[str, str]) -> dict[str, str]:
    return msg


@app.post("/jobs", status_code=202)
def post(job: NewJob) -> dict[str, str]:
    return {"id": work.delay(job.msg).id}
