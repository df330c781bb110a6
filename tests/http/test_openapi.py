"""The OpenAPI document and its page; and what schemathesis finds when it uses the service as the document says."""

import contextlib
import re
from html.parser import HTMLParser

import hypothesis
import hypothesis.errors
import pytest
import schemathesis
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.generation import GenerationMode

from mlq import server
from mlq.http import documents
from mlq.http.app import MODULES, make_app
from mlq.http.routes import Role
from mlq.http.settings import Settings
from mlq.queue import MLQ

pytestmark = pytest.mark.slow

FEW = hypothesis.settings(
    max_examples=20, derandomize=True, deadline=None, database=None, phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)  # fmt: skip
TOKENS = ((b"a" * 16, Role.ADMIN),)


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json


@pytest.mark.parametrize("settings", [Settings(), Settings(TOKENS, prefix="/mlq")])
def test_the_document_is_valid(mlq, settings):
    OpenAPIV31SpecValidator(make_app(mlq, settings).test_client().get("/openapi.json").json).validate()


def test_every_route_is_in_it_and_no_other(mlq, document):
    app = make_app(mlq)
    served = {
        (method, re.sub(r"<(?:path:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    described = {(method.upper(), path) for path, one in document["paths"].items() for method in one}
    assert described == served
    assert len(described) == sum(len(module.routes(mlq, Settings())) for module in MODULES) + 2  # itself, its page


def test_every_operation_is_complete(document):
    operations = [one for path in document["paths"].values() for one in path.values()]
    ids = [one["operationId"] for one in operations]
    assert len(set(ids)) == len(ids)
    for one in operations:
        assert one["summary"]
        assert one["tags"]
        assert all(answer["description"] for answer in one["responses"].values())
        assert any(status.startswith("2") or status == "409" for status in one["responses"])


def test_what_is_answered_has_the_shape_that_is_described(mlq, client, document):
    from openapi_schema_validator import OAS31Validator

    shapes = document["components"]["schemas"]
    job_id = mlq.post(1, functions=["f"])
    asked = {
        "Posted": client.post("/jobs", json={"msg": 1}, headers={"Accept": "application/json"}),
        "PostedMany": client.post("/jobs/bulk", json={"msgs": [1, 2]}),
        "Job": client.get(f"/jobs/{job_id}"),
        "Page": client.get("/jobs"),
        "Count": client.get("/jobs/count", headers={"Accept": "application/json"}),
        "Problem": client.get("/jobs/999", headers={"Accept": "application/json"}),
        "Scale": client.get("/scale"),
        "Deliveries": client.get(f"/jobs/{job_id}/deliveries"),
    }
    for name, given in asked.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": shapes}}
        OAS31Validator(schema).validate(given.json)


def test_examples_are_bodies_that_are_accepted(client, document):
    """And at least each route that posts jobs has one."""
    shown = [
        (path, content["example"])
        for path, methods in document["paths"].items()
        for one in methods.values()
        for content in one.get("requestBody", {"content": {}})["content"].values()
        if "example" in content
    ]
    assert [path for path, _ in shown] == ["/jobs", "/jobs/bulk", "/schedules/{name}"]
    assert [client.post(path, json=example).status_code for path, example in shown[:2]] == [200, 202]
    assert client.put("/schedules/digest", json=shown[2][1]).status_code == 200


def test_the_page_names_the_host_that_was_asked(mlq):
    """The page is made once and kept: another client's Host must not stay in it."""
    page = make_app(mlq, Settings()).test_client()
    told = [page.get("/docs", headers={"Host": host}).text for host in ("localhost:8001", "127.0.0.1:8002")]
    assert ["curl http://localhost:8001/jobs/bulk -H" in one for one in told] == [True, False]
    assert ["curl http://127.0.0.1:8002/jobs/bulk -H" in one for one in told] == [False, True]
    assert [one.count("8001") for one in told] == [4, 0]
    assert not any("{{" in one for one in told)


def test_tokens_are_described_where_they_are_needed(mlq, document):
    assert "securitySchemes" not in document["components"]
    told = make_app(mlq, Settings(TOKENS)).test_client().get("/openapi.json").json
    assert told["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    assert told["paths"]["/jobs"]["post"]["security"] == [{"token": []}]
    assert "security" not in told["paths"]["/healthz"]["get"]
    assert "a" * 16 not in str(told)


class Page(HTMLParser):
    """Collects what a page refers to."""

    def __init__(self):
        super().__init__()
        self.links, self.tags, self.ids = [], set(), set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name in {"href", "src", "action", "srcset", "poster", "data"}:
                self.links.append(value)
            elif name == "id":
                self.ids.add(value)
            assert not name.startswith("on")


@pytest.mark.parametrize("prefix", ["", "/mlq"])
def test_the_page_refers_to_nothing_elsewhere(mlq, prefix):
    given = make_app(mlq, Settings(prefix=prefix)).test_client().get("/docs")
    assert (given.status_code, given.mimetype) == (200, "text/html")
    page = Page()
    page.feed(given.text)
    assert not {"script", "iframe", "img", "link", "object"} & page.tags
    inside = {link.removeprefix("#") for link in page.links if link.startswith("#")}
    assert {link for link in page.links if not link.startswith("#")} == {f"{prefix}/openapi.json"}
    assert inside <= page.ids
    assert not re.search(r"@import|url\(", given.text)


def test_the_page_may_load_and_run_nothing(client):
    policy = client.get("/docs").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy


def test_a_hostile_host_or_prefix_does_not_get_into_the_page(mlq):
    client = make_app(mlq, Settings(TOKENS)).test_client()
    given = client.get("/docs", headers={"Host": 'x"><script>alert(1)</script>'})
    assert "<script>" not in given.text
    escaped = make_app(mlq, Settings(prefix='/"><script>')).test_client().get("/docs").text
    assert "<script>" not in escaped


def test_the_document_is_made_once(mlq, monkeypatch):
    made = []
    real = documents.openapi
    monkeypatch.setattr(documents, "openapi", lambda *args: made.append(1) or real(*args))
    client = make_app(mlq).test_client()
    assert made == []
    for _ in range(3):
        client.get("/openapi.json")
        client.get("/docs")
    assert made == [1]


# --- schemathesis: a server of its own, since it has one namespace for all its examples


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    """The document's operations over an application with jobs in several states, and with a directory of files."""
    files = str(tmp_path_factory.mktemp("files"))
    with server.scratch(appendfsync=None, port=0) as running:
        queue = MLQ("fuzzed", url=running.url)
        queue.post_many(range(5), functions=["nobody"])
        queue.cancel("2")
        app = make_app(queue, Settings(files=files, places=(files,)))
        app.config["PROPAGATE_EXCEPTIONS"] = False
        yield schemathesis.openapi.from_wsgi("/openapi.json", app)
        queue.close()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_nothing_that_the_document_allows_or_forbids_is_a_server_error(fuzzed, mode):
    operations = [found.ok() for found in fuzzed.get_all_operations()]
    assert len(operations) > 20
    for operation in operations:
        if operation.path.endswith("/events"):  # who follows a job that waits is never done
            continue

        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        @FEW
        def check(case):
            given = case.call(headers={"Host": "localhost"})
            assert given.status_code < 500 or given.status_code == 503, (case.as_curl_command(), given.text)
            assert case.path == "/readyz" or given.status_code != 503, given.text

        with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # nothing that could be wrong with it
            check()
