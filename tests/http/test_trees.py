"""Pipelines over HTTP: trees, posts after others, blocked jobs, and changes of the whole."""

import pytest

from mlq import Progress, Split, State
from mlq.core.json_values import to_json
from mlq.http import jobs, trees
from mlq.http.turns import Places

JSON = {"Accept": "application/json"}


@pytest.fixture
def pipeline(mlq, gate):
    """A job of 5 parts whose last one runs."""

    def scan(count):
        return Split(range(count), each="read", into="merge", on_failure="run")

    def read(number):
        if number == 3:
            raise ValueError("page 3")
        if number == 4:
            assert gate.wait(20)
        return number

    def merge(results):
        return len(results)

    for function in (scan, read, merge):
        mlq.listener(function)
    mlq.create_listener()
    job = mlq.submit(5, functions=["scan"])
    for update in job.follow(every=5):
        if isinstance(update.progress, Progress) and update.progress.done + update.progress.failed == 4:
            break
    while mlq.get_state("7") != State.RUNNING:
        next(iter(mlq.follow("7", every=0.1)))
    return job


def test_a_tree(client, mlq, pipeline, gate):
    """The same as in Python, also of a step; linked from the job."""
    told = client.get("/jobs/1").json
    assert (told["progress"], told["steps"], told["becomes"]) == ({"done": 3, "failed": 1, "of": 6}, 6, "2")
    assert told["unserved"] == "it waits for job 7, which is running"
    found = client.get(told["links"]["tree"])
    assert (found.status_code, found.content_type) == (200, "application/json")
    assert [one["runs_as"] for one in found.json["steps"][0]["steps"]] == ["part"] * 5
    step = client.get("/jobs/7").json
    assert (step["root"], "tree" in step["links"]) == ("1", True)
    gate.set()
    assert pipeline.result(60) == 5
    assert client.get("/jobs/7/tree").text == client.get("/jobs/1/tree").text == to_json(mlq.tree("1"))
    assert client.get("/jobs/1/tree?limit=2").json["left_out"] == 4


def test_few_changes_and_posts_after_many_are_made_at_a_time(client, mlq, monkeypatch):
    """Each of them may concern thousands of jobs."""
    mlq.post_many([1] * (jobs.FEW + 1))
    for places in ("_changing", "_bulk"):
        monkeypatch.setattr(jobs, places, Places(1, most_waiting=0))  # as if too many waited
    after = [str(number + 1) for number in range(jobs.FEW + 1)]
    asked = [
        client.post("/jobs/1/cancel"), client.post("/jobs/1/requeue"), client.delete("/jobs/1"),
        client.post("/jobs", json={"msg": 1, "after": after}),
        client.post("/jobs/bulk", json={"msgs": [1, 2], "after": after[: jobs.FEW // 2]}),
    ]  # fmt: skip
    assert [answer.status_code for answer in asked] == [503] * 5
    assert client.post("/jobs", json={"msg": 1, "after": after[1:]}).status_code == 200
    assert mlq.get_state("1") == "queued"


@pytest.mark.parametrize(
    ("module", "places", "path"), [(trees, "_reading", "/jobs/1/tree"), (jobs, "_listing", "/jobs")]
)
def test_few_long_answers_are_made_at_a_time(client, mlq, monkeypatch, module, places, path):
    mlq.post(1)
    assert client.get(path).status_code == 200
    monkeypatch.setattr(module, places, Places(1, most_waiting=0))  # as if too many waited
    given = client.get(path)
    assert (given.status_code, given.headers["Retry-After"]) == (503, "1")


def test_a_tree_of_what_is_no_pipeline(client, mlq):
    """The job itself. Limits and ids are checked."""
    job_id = mlq.post(1)
    found = client.get(f"/jobs/{job_id}/tree").json
    assert (found["id"], found["runs_as"], found["progress"], found["steps"]) == (job_id, "root", None, [])
    assert "tree" not in client.get(f"/jobs/{job_id}").json["links"]
    assert [client.get(f"/jobs/{job_id}/tree?limit={limit}").status_code for limit in ("0", "x", "5001", "5000")] == [
        400, 400, 400, 200]  # fmt: skip
    mlq.delete(job_id)
    assert [client.get(f"/jobs/{one}/tree").status_code for one in (job_id, "9", "x")] == [410, 404, 404]


def test_progress_wherever_it_is_told(client, mlq, pipeline):
    """As an object, or in words."""
    wanted = {"done": 3, "failed": 1, "of": 6}
    assert client.get("/jobs/1/progress").text == "[3 of 6 steps, 1 failed]"
    assert client.get("/jobs/1/result").text == "[3 of 6 steps, 1 failed]"
    assert client.get("/jobs/1/result", headers=JSON).json["progress"] == wanted
    page = client.get("/jobs?state=blocked").json["jobs"]
    assert [(one["id"], one["progress"]) for one in page] == [("2", None), ("1", wanted)]
    assert client.get("/jobs/count", headers=JSON).json["blocked"] == 2
    assert client.get("/jobs/count").text == "3"


def test_events_tell_of_progress(serve, follow, mlq, pipeline, gate):
    """As an object, until the end."""
    told = iter(follow(serve(), "1"))
    about = {"id": "1", "state": "blocked", "attempt": 1}
    assert next(told) == ("state", about, None)
    assert next(told) == ("progress", about | {"progress": {"done": 3, "failed": 1, "of": 6}}, None)
    gate.set()
    *others, (name, last, _) = told
    assert {event[0] for event in others} <= {"progress"}
    assert (name, last["state"], last["short_result"]) == ("end", "succeeded", 5)


def test_metrics_and_the_number_to_scale_on(client, pipeline):
    """Blocked jobs are counted, but no worker is needed for them."""
    assert 'mlq_jobs{queue="",state="blocked"} 2.0' in client.get("/metrics").text
    scale = client.get("/scale", headers=JSON).json
    assert (scale["waiting"], scale["running"], scale["wanted"]) == (0, 1, 1)


def test_the_result_of_a_step_is_that_of_the_job_that_got_it(client, pipeline, gate):
    """With its state while that one has not ended."""
    gate.set()
    pipeline.result(60)
    assert client.get("/jobs/2").json["gave"] == "1"
    for path in ("result", "short_result"):
        found = client.get(f"/jobs/2/{path}")
        assert (found.status_code, found.text, found.headers["MLQ-Job-State"]) == (200, "5", "succeeded")


def test_the_whole_is_cancelled_and_deleted(client, mlq, pipeline, gate):
    """By the id of its root."""
    assert client.post("/jobs/1/cancel").status_code == 202
    assert {mlq.get_state(one) for one in ("1", "2", "7")} == {State.CANCELLED}
    gate.set()
    refused = client.delete("/jobs/7")
    assert (refused.status_code, "it is a step of job 1; delete that one" in refused.text) == (409, True)
    assert client.delete("/jobs/1").status_code == 204
    assert client.get("/jobs", headers=JSON).json["jobs"] == []


# --- posts after others

FORM = "multipart/form-data; boundary=b"


def form(*fields):
    """A form's body with the message 1."""
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("msg", 1), *fields)
    ]
    return "".join(parts) + "--b--\r\n"


def in_json(client, after, **others):
    return client.post("/jobs", json={"msg": 1, "after": after, **others})


def pairs(after, others):
    """The options as parameters: those that are lists once for each item."""
    given = {"after": after} | others
    return [(name, one) for name, value in given.items() for one in ([value] if isinstance(value, str) else value)]


def in_a_query(client, after, **others):
    query = pairs(after, others)
    return client.post("/jobs", query_string=query, data=b"1", content_type="application/octet-stream")


def in_a_form(client, after, **others):
    return client.post("/jobs", data=form(*pairs(after, others)), content_type=FORM)


@pytest.mark.parametrize("post", [in_json, in_a_query, in_a_form])
def test_posts_after_others(client, mlq, post):
    """However the options are sent."""
    first, second = mlq.submit(1), mlq.post(2)
    made = post(client, [first.reference, second], on_failure="run", then=["a", "b"])
    assert made.status_code == 200, made.text
    told = client.get(f"/jobs/{made.text}").json
    assert [told[name] for name in ("state", "after", "on_failure", "then", "progress", "position")] == [
        "blocked", [first.id, second], "run", ["a", "b"], None, None]  # fmt: skip
    assert told["unserved"].startswith(f"it waits for job {first.id}, which is queued; no worker is running")
    assert [one["runs_as"] for one in client.get(told["links"]["tree"]).json["steps"]] == ["needed", "needed"]


@pytest.mark.parametrize("post", [in_json, in_a_query, in_a_form])
@pytest.mark.parametrize(
    ("after", "others", "status", "words"),
    [
        (["99"], {}, 404, "after: there is no job 99; nothing was posted"),
        (["1"], {}, 409, "after: job 1 has ended without a result (cancelled), and nothing was posted"),
        (["2@1.000000"], {}, 404, "after: job 2 is another one now"),
        (["x"], {}, 422, "after"),
        (["2"], {"on_failure": "ignore"}, 422, "on_failure"),
        (["2"], {"then": ["a", ""]}, 422, "then"),
    ],
)
def test_posts_after_what_can_not_be_needed(client, mlq, post, after, others, status, words):
    """The client is told why, and nothing is posted."""
    mlq.cancel(mlq.post(1))
    mlq.post(2)
    refused = post(client, after, **others)
    assert (refused.status_code, words in refused.text) == (status, True), refused.text
    assert mlq.last_id() == 2


def test_bulk_posts_after_others(client, mlq):
    """All of them wait."""
    first = mlq.post(1)
    made = client.post("/jobs/bulk", json={"msgs": [1, 2], "after": [first]})
    assert [mlq.get_state(one) for one in made.json["ids"]] == ["blocked", "blocked"]
    assert client.post("/jobs/bulk", json={"msgs": [1, 2], "after": ["77"]}).status_code == 404


def test_a_bulk_has_a_bound_beyond_its_messages(client, mlq):
    """Else a short request could take gigabytes: each job stores the options, and links to those it comes after."""
    needed = mlq.post_many([0] * 101)
    refused = client.post("/jobs/bulk", json={"msgs": [1] * 100, "after": needed})
    assert (refused.status_code, "10,000 in one request" in refused.text) == (422, True)
    long = f"http://localhost/{'x' * 7000}"
    refused = client.post("/jobs/bulk", json={"msgs": [1] * 2500, "webhook": long})
    assert (refused.status_code, "each job stores the options" in refused.text) == (422, True)
    assert mlq.last_id() == 101
