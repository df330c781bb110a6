"""The backend: takes numbers from the page, posts them as jobs, and tells the page what became of them.

Start it with `python examples/full_workflow/backend.py [--port 8000]`, and open http://127.0.0.1:8000 .
"""

import argparse
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Flask, Response, request, send_file
from werkzeug.exceptions import HTTPException

from mlq import MLQ, InputError, JobFailed, ServerError, State, UnknownJob

PAGE = Path(__file__).with_name("index.html")
LIMIT = 1_000_000
KEEP_CALLBACKS = 3600.0  # seconds


def create_app(mlq: MLQ, own_address: str) -> Flask:
    """The web application. `own_address` is where the worker finds it, for the callbacks."""
    app = Flask(__name__)

    @app.get("/")
    def page() -> Response:
        return send_file(PAGE)

    @app.post("/do_inference")
    def do_inference() -> tuple[dict[str, Any], int]:
        number = checked_number(request.get_json(silent=True))
        job_id = mlq.post({"number": number}, callback=f"{own_address}/callback", functions=["square"])
        return {"id": job_id}, HTTPStatus.ACCEPTED

    @app.get("/status/<job_id>")
    def status(job_id: str) -> dict[str, Any]:
        return status_of(mlq, job_id)

    @app.get("/result/<job_id>")
    def result(job_id: str) -> tuple[dict[str, Any], int]:
        if not mlq.job(job_id).ready():
            return {"result": None}, HTTPStatus.ACCEPTED  # 202: ask again later
        return {"result": mlq.get_result(job_id)}, HTTPStatus.OK

    @app.get("/callback")
    def callback() -> tuple[str, int]:
        """The worker calls this when a job has ended; the queue's storage shows it to every process of the backend."""
        job_id, success = request.args.get("job_id", ""), request.args.get("success") == "1"
        mlq.get_state(job_id)  # an unknown job is refused
        told = {"success": success, "short_result": request.args.get("short_result"), "at": time.time()}
        mlq.store_data(told, key=f"callback-{job_id}", expiry=KEEP_CALLBACKS)
        return "", HTTPStatus.NO_CONTENT

    add_error_answers(app)
    return app


def status_of(mlq: MLQ, job_id: str) -> dict[str, Any]:
    """All that the page shows of a job but its result."""
    job = mlq.get_job(job_id)
    return {
        "id": job_id,
        "state": job["state"],
        "progress": job["progress"],
        "ahead": mlq.position(job_id) if job["state"] == State.QUEUED else None,
        "retries": job["retries"],
        "callback": mlq.fetch_data(f"callback-{job_id}"),
    }


def checked_number(body: object) -> int | float:
    """The number in the request's body; raises InputError, which says what is wrong with it."""
    if not isinstance(body, dict) or "number" not in body:
        raise InputError('Send a JSON object like {"number": 12}.')
    number = body["number"]
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InputError(f"That is not a number: {number!r:.40}")
    if not abs(number) <= LIMIT:  # so that NaN is refused, too
        raise InputError(f"Please choose a number from -{LIMIT:,} to {LIMIT:,}.")
    return number


def add_error_answers(app: Flask) -> None:
    """Every error is answered with its status and {"error": "..."}; one status for each kind of MLQ's errors."""
    statuses = {
        InputError: HTTPStatus.BAD_REQUEST,
        UnknownJob: HTTPStatus.NOT_FOUND,
        JobFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
        ServerError: HTTPStatus.SERVICE_UNAVAILABLE,
    }
    for kind, status in statuses.items():
        app.register_error_handler(kind, lambda error, status=status: ({"error": str(error)}, status))
    app.register_error_handler(HTTPException, lambda error: ({"error": error.description}, error.code))


def main() -> None:
    """Serve the page on this machine. Flask's own server is fine for trying things out, not for production."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    app = create_app(MLQ("full_workflow"), f"http://127.0.0.1:{port}")
    app.run(port=port, threaded=True)


if __name__ == "__main__":
    main()
