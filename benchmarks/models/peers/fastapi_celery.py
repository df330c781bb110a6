"""A FastAPI service that posts a Celery task and waits for its result, as a team would write it."""

import os

from celery import Celery
from celery.signals import worker_process_init
from fastapi import FastAPI

from benchmarks.models.shapes import Flower, Species
from benchmarks.models.work import FIELDS, loaded

MODEL = os.environ["BENCH_MODEL"]

queue = Celery("models", broker=os.environ["BENCH_URL"], backend=os.environ["BENCH_URL"])
queue.conf.broker_connection_retry_on_startup = True  # silences a warning, changes nothing here
app = FastAPI()


@worker_process_init.connect
def load_model(**_: object) -> None:
    """Once in each process of the worker."""
    loaded(MODEL)


@queue.task(name="predict")
def predict_task(flower: dict[str, float]) -> str:
    return loaded(MODEL).predict_batch([[flower[name] for name in FIELDS]])[0]


@app.post("/predict")
def predict(flower: Flower) -> Species:
    return Species(species=predict_task.delay(flower.model_dump()).get(timeout=30))
