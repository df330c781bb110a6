"""The page of examples/full_workflow in a real browser, with a real worker and `mlq serve`.

run_tests.sh sees to it that there is a Chromium. Where that is impossible, MLQ_NO_BROWSER=1 leaves these tests out.
"""

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3
from playwright.sync_api import Browser, Page, expect, sync_playwright

import mlq as mlq_package
from tests.programs import EXAMPLES, MLQ, START_LIMIT, cleared, free_port, running, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.environ.get("MLQ_NO_BROWSER") == "1", reason="MLQ_NO_BROWSER=1"),
]

FOLDER = EXAMPLES / "full_workflow"
SLOW = {"epochs": 200, "neurons": 8}  # half a minute
expect.set_options(timeout=20_000)


class Site:
    """The page's address, the service that it talks to, and the queue behind both."""

    def __init__(self, server_url: str, queue: mlq_package.MLQ, worker: int) -> None:
        """Nothing is served yet. `worker`: the id of its process."""
        self.queue = queue
        self._worker = worker
        self._server_url = server_url
        self._page_port, self._api_port = free_port(), free_port()
        self.origin, self.api = f"http://localhost:{self._page_port}", f"http://localhost:{self._api_port}"
        self.address = f"{self.origin}/?api={self.api}"
        self._serving = ExitStack()

    def pages(self) -> AbstractContextManager[Any]:
        """Python's own server of files, with the page."""
        where = ("--bind", "127.0.0.1", "--directory", str(FOLDER / "page"))
        return running(self._server_url, "-m", "http.server", str(self._page_port), *where)

    def start(self) -> None:
        """Begin to serve the API."""
        options = ("--namespace", "full_workflow", "--port", str(self._api_port), "--cors", self.origin)
        self._serving.enter_context(running(self._server_url, MLQ, "serve", *options))
        for address in (self.origin, f"{self.api}/healthz"):
            until(lambda address=address: answers(address), START_LIMIT)

    def stop(self) -> None:
        """End the API, and with it all connections."""
        self._serving.close()

    @contextmanager
    def away(self) -> Iterator[None]:
        """The API is not there for as long as the `with` block lasts."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def kill_child(self) -> None:
        """End the process in which the job runs, as a crash would."""
        for thread in Path(f"/proc/{self._worker}/task").iterdir():
            for child in (thread / "children").read_text().split():
                os.kill(int(child), signal.SIGKILL)


def answers(address: str) -> bool:
    """Whether somebody does, at this address."""
    try:
        return urllib3.request("GET", address, retries=False, timeout=5).status == 200
    except urllib3.exceptions.HTTPError:
        return False


@pytest.fixture(scope="module")
def site(server_url: str) -> Iterator[Site]:
    """All programs of the example, as its README starts them."""
    program = str(FOLDER / "worker.py")
    with cleared("full_workflow", server_url) as queue, running(server_url, MLQ, "worker", program) as worker:
        made = Site(server_url, queue, worker.pid)
        with made.pages():
            made.start()
            yield made
            made.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, or the one that Playwright installed."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A new window at the page's address; it may not say that anything in it went wrong."""
    errors: list[str] = []
    with browser.new_context() as context:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(site.address)
        yield page
    for job in site.queue.jobs():
        if job.state not in ("succeeded", "failed", "cancelled"):
            site.queue.cancel(job.id)
    assert not errors


def train(page: Page, epochs: object, neurons: object = 8) -> str:
    """Fill in the form and send it; the id of the job that the page then shows."""
    before = page.url
    page.get_by_label("Epochs").fill(str(epochs))
    page.get_by_label("Neurons").fill(str(neurons))
    page.get_by_role("button", name="Train").click()
    page.wait_for_function("before => location.href !== before", arg=before)
    return page.url.partition("#")[2]


def points(page: Page) -> int:
    """How many partial results are drawn."""
    return int(page.evaluate("document.getElementById('curve').points.length"))


def wait_for_points(page: Page, least: int) -> None:
    """Until so many are drawn."""
    page.wait_for_function("least => document.getElementById('curve').points.length >= least", arg=least)


def state(page: Page) -> Any:
    """What is to be expected of the job's state."""
    return expect(page.locator("#state"))


def epochs_logged(page: Page) -> list[int]:
    """The epochs that the log tells of, in its order."""
    return [int(number) for number in re.findall(r"^epoch (\d+):", page.locator("#log").inner_text(), re.MULTILINE)]


def test_a_job_is_seen_at_work_and_then_its_result(page: Page, site: Site) -> None:
    """State, progress, partial results and log come while it runs; the result when it has ended."""
    job_id = train(page, 30)
    wait_for_points(page, 5)
    assert site.queue.get_state(job_id) == "running", "partial results come before the end"
    state(page).to_have_text("running")
    assert 0 < page.locator("#progress").evaluate("bar => bar.value") < 100
    assert epochs_logged(page)[:3] == [1, 2, 3]
    expect(page.locator("#result")).to_be_hidden()

    state(page).to_have_text("succeeded")
    expect(page.locator("#score")).to_contain_text("of 600 held-out images")
    expect(page.locator("#pictures li")).to_have_count(16)
    assert page.locator("#progress").evaluate("bar => bar.value") == 100
    assert points(page) == 30
    assert epochs_logged(page) == list(range(1, 31))
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()


def test_the_page_polls_nothing_and_needs_nothing_from_elsewhere(page: Page, site: Site) -> None:
    """One post, one stream of events, one result; all else is the page itself."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    page.reload()
    job_id = train(page, 3)
    expect(page.locator("#result")).to_be_visible()
    assert [one for one in asked if site.origin not in one] == [
        f"POST {site.api}/jobs",
        f"GET {site.api}/jobs/{job_id}/events",
        f"GET {site.api}/jobs/{job_id}/result",
    ]


def test_a_job_that_waits_is_shown_as_queued_until_it_runs(page: Page, site: Site) -> None:
    """The worker has one slot, and something else to do first."""
    other = site.queue.post(SLOW, functions=["train"])
    until(lambda: site.queue.get_state(other) == "running")
    train(page, 3)
    state(page).to_have_text("queued")
    site.queue.cancel(other)
    state(page).to_have_text("succeeded")


def test_the_button_cancels_the_job_that_runs(page: Page, site: Site) -> None:
    """It is cancelled in the queue, too, and the page says so."""
    job_id = train(page, 200)
    wait_for_points(page, 1)
    page.get_by_role("button", name="Cancel").click()
    state(page).to_have_text("cancelled")
    assert site.queue.get_state(job_id) == "cancelled"
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()


def test_what_the_listener_raises_is_shown(page: Page) -> None:
    """The page checks nothing itself."""
    train(page, "many")
    state(page).to_have_text("failed")
    expect(page.locator("#error")).to_have_text("epochs must be a whole number from 1 to 200, not 'many'")


@pytest.mark.parametrize("seen", [5, 30], ids=["while it runs", "after its end"])
def test_a_reload_shows_the_same_job_from_its_beginning(page: Page, seen: int) -> None:
    """The address names the job."""
    job_id = train(page, 30)
    wait_for_points(page, seen)
    page.reload()
    expect(page.get_by_role("heading", name=f"Job {job_id}")).to_be_visible()
    state(page).to_have_text("succeeded")
    assert points(page) == 30
    assert epochs_logged(page) == list(range(1, 31))


def test_a_broken_connection_is_mended_and_nothing_comes_twice(page: Page, site: Site) -> None:
    """`mlq serve` ends in the middle and is started again; the browser goes on after what it has seen."""
    asked = last_event_ids(page)
    train(page, 60)
    wait_for_points(page, 3)
    with site.away():
        expect(page.locator("#line")).to_contain_text("Connection lost")
    expect(page.locator("#line")).to_have_text("")
    state(page).to_have_text("succeeded")
    assert points(page) == 60
    assert epochs_logged(page) == list(range(1, 61))
    assert re.fullmatch(r"1-\d+", asked()[-1])


def test_another_attempt_begins_the_curve_anew(page: Page, site: Site) -> None:
    """The partial results of an attempt that was lost are void."""
    train(page, 60)
    wait_for_points(page, 5)
    expect(page.locator("#log")).to_contain_text("epoch 5:")  # the line comes after its point
    site.kill_child()
    expect(page.locator("#line")).to_have_text("attempt 2")
    state(page).to_have_text("succeeded")
    assert points(page) == 60
    assert epochs_logged(page)[-60:] == list(range(1, 61))
    assert len(epochs_logged(page)) >= 65


def last_event_ids(page: Page) -> Callable[[], list[str]]:
    """What the browser names as seen when it asks for events."""
    requests: list[Any] = []
    page.on("request", lambda request: requests.append(request) if "/events" in request.url else None)
    return lambda: [request.all_headers().get("last-event-id", "") for request in requests]


def test_a_service_that_is_away_and_an_unknown_job_are_told(page: Page, site: Site) -> None:
    """In words, with what to do."""
    page.goto(f"{site.address}#999999")
    page.reload()
    expect(page.locator("#line")).to_contain_text("999999")
    with site.away():
        page.get_by_role("button", name="Train").click()
        expect(page.locator("#refused")).to_have_text(f"Nobody answers at {site.api}. Is mlq serve running?")
