"""What a step carries of the routes with which its pipeline began, and where it goes on by them after a deploy."""

import itertools
from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest

from mlq import MLQ, Forward, NoRoute, Split, route, step
from mlq.core.job import Claimed, Outcome, Record
from mlq.core.job_options import PLAIN, JobOptions
from mlq.core.part import Part
from mlq.core.policy import Policy
from mlq.core.states import State
from mlq.core.stored_options import read_options
from mlq.running import kept_routes
from mlq.running.becoming import outcome_of, post_split
from mlq.running.listeners import Listener

CLAIMED = Claimed("7", 1, "w.1", "w", 1000.0, b"")


class Colour(Enum):
    """Its members are equal to nothing else."""

    RED = "red"


def program(*names: str, routes: Callable[[MLQ], None] = lambda shop: None) -> MLQ:
    """With listeners of these names, and the routes of one deploy."""
    shop = MLQ("shop")
    for name in names:
        shop.listener(lambda message: message, name=name)
    routes(shop)
    return shop


def routed(**of: Any) -> Callable[[MLQ], None]:
    """Declares routes by `kind` for listeners."""

    def declare(shop: MLQ) -> None:
        functions = {one.name: one.function for one in shop.listeners.all()}
        for name, given in of.items():
            functions[name] >> (given if isinstance(given, kept_routes.Routes) else route(given, by="kind"))

    return declare


def options_in(body: bytes) -> JobOptions:
    """Of a job that is posted with this body."""
    size, _, rest = body.partition(b"\n")
    return read_options("default", rest[: int(size)])


def after(shop: MLQ, name: str, value: Any, routes: bytes = b"", then: tuple[str, ...] | None = None) -> Outcome:
    """The outcome of a step whose listener returned `value`, and which carries `routes`."""
    options = JobOptions(part=Part("1", 1, tail="1", routes=routes) if routes else None, then=then)
    return outcome_of(value, CLAIMED, Record("default", 1.0, options, b""), shop.listeners.chosen(f"default:{name}"))


def carried(outcome: Outcome) -> bytes:
    """The routes that the next step carries."""
    part = options_in(outcome.fields["body"]).part
    assert part is not None
    return part.routes


class Posts:
    """A channel that keeps what is posted."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def post_parts(self, lane: str, bodies: list[bytes]) -> str:
        self.bodies += bodies
        return "8"


CHAIN = {"sort": {"book": "read"}, "read": {"old": "store"}}


def test_a_step_goes_on_as_when_its_pipeline_began():
    began = program("sort", "read", "store", routes=routed(**CHAIN))
    deployed = program("sort", "read", "other", "third", routes=routed(read={"old": "other"}, other={"old": "third"}))
    read = after(began, "sort", {"kind": "book"})
    assert read.fields["lane"] == "default:read"
    stored = after(deployed, "read", {"kind": "old"}, carried(read))
    assert stored.fields["lane"] == "default:store"


@pytest.mark.parametrize("names", [("read",), ("read", "store")])
def test_routes_that_were_removed_are_still_followed(names):
    read = after(program("sort", "read", "store", routes=routed(**CHAIN)), "sort", {"kind": "book"})
    assert after(program(*names), "read", {"kind": "old"}, carried(read)).fields["lane"] == "default:store"


def test_a_listener_that_had_no_routes_ends_the_pipeline():
    began = program("sort", "read", "store", routes=routed(sort={"book": "read"}))
    deployed = program("sort", "read", "store", routes=routed(**CHAIN))
    read = after(began, "sort", {"kind": "book"})
    assert after(deployed, "read", {"kind": "old"}, carried(read)).state is State.SUCCEEDED
    assert after(deployed, "read", {"kind": "old"}).fields["lane"] == "default:store"  # another pipeline


def test_listeners_that_the_first_worker_did_not_know_have_the_routes_of_their_own():
    read = after(program("sort", routes=routed(sort={"book": "read"})), "sort", {"kind": "book"})
    assert carried(read) == b""
    elsewhere = program("read", "store", routes=routed(read={"old": "store"}))
    assert after(elsewhere, "read", {"kind": "old"}, carried(read)).fields["lane"] == "default:store"


@pytest.mark.parametrize(
    ("returned", "lane"),
    [
        ({"kind": "new"}, "default:other"),
        ({"kind": "old"}, "default:store"),
        ({"sort": "new"}, None),
    ],
)
def test_what_the_first_routes_do_not_know_goes_by_those_of_today(returned, lane):
    began = program("sort", "read", "store", routes=routed(**CHAIN))
    deployed = program("read", "other", routes=routed(read={"old": "other", "new": "other"}))
    routes = carried(after(began, "sort", {"kind": "book"}))
    if lane is None:
        with pytest.raises(NoRoute, match="returned a dict without 'kind'"):
            after(deployed, "read", returned, routes)
    else:
        assert after(deployed, "read", returned, routes).fields["lane"] == lane


def test_a_value_that_neither_knows_has_no_route():
    began = program("sort", "read", "store", routes=routed(**CHAIN))
    routes = carried(after(began, "sort", {"kind": "book"}))
    with pytest.raises(NoRoute, match=r"no route for .*'new'.* in those with which the pipeline began"):
        after(program("read"), "read", {"kind": "new"}, routes)
    with pytest.raises(NoRoute, match=r"no route for 'new'; the routes are 'x'"):
        after(program("read", "y", routes=routed(read={"x": "y"})), "read", {"kind": "new"}, routes)


def test_values_of_all_kinds_and_the_options_of_steps_are_kept():
    given = {"text": step("a", queue="slow", retries=2, timeout=3.5, backoff=0.5), 2: "b", True: "c", Colour.RED: "d"}
    read = route(given, by="kind", otherwise="e")
    began = program("sort", "read", routes=routed(sort={"x": "read"}, read=read))
    routes = carried(after(began, "sort", {"kind": "x"}))
    (listener,) = program("read").listeners.chosen("default:read")
    values = ("text", 2, True, Colour.RED, 1, "unknown", ["list"])
    found = [kept_routes.going_on({"kind": value}, listener, routes) for value in values]
    options = [forward.to.options for forward in found if forward]
    assert [one.lane.partition(":")[2] for one in options] == ["a", "b", "c", "d", "e", "e", "e"]
    assert (options[0].queue, options[0].policy) == ("slow", JobOptions(retries=2, timeout=3.5, backoff=0.5).policy)


def test_a_function_that_chooses_is_that_of_the_worker():
    def by_length(text: Any) -> str:
        return "long" if len(text) > 3 else "short"

    read = route({"long": "a", "short": "b"}, by=by_length)
    began = program("sort", "read", routes=routed(sort={"x": "read"}, read=read))
    routes = carried(after(began, "sort", {"kind": "x"}))
    deployed = program("read", routes=routed(read=route({"long": "c"}, by=by_length)))
    assert after(deployed, "read", "four", routes).fields["lane"] == "default:a"
    with pytest.raises(NoRoute, match="this worker's"):
        after(program("read"), "read", "four", routes)


def test_a_function_that_chose_and_is_gone_leaves_no_way_otherwise():
    """What it would have chosen is not known: the job fails, instead of going on in the wrong place."""
    read = route({"long": "a"}, by=lambda text: "long" if len(text) > 3 else "short", otherwise="b")
    began = program("sort", "read", routes=routed(sort={"x": "read"}, read=read))
    routes = carried(after(began, "sort", {"kind": "x"}))
    with pytest.raises(NoRoute, match="this worker's"):
        after(program("read"), "read", "four", routes)


@pytest.mark.parametrize("value", [2**64, "\ud800"])
def test_routes_that_cannot_be_packed_are_those_of_the_worker(value):
    """A function that chooses may give such values; what leads to its listener goes on."""
    read = route({value: "store"}, by=lambda text: value)
    shop = program("sort", "read", "store", routes=routed(sort={"x": "read"}, read=read))
    routes = carried(after(shop, "sort", {"kind": "x"}))
    assert after(shop, "read", "text", routes).fields["lane"] == "default:store"


def test_the_routes_of_what_goes_on_with_the_result_are_kept_too():
    """By `then`: after one step, and after a split, whose parts have no need of them."""
    began = program("sort", "read", "store", "last", routes=routed(store={"old": "last"}))
    sort = after(began, "sort", Forward(1, to="read"), then=("slow:store",))
    deployed = program("read", "store", "other", routes=routed(store={"old": "other"}))
    stored = after(deployed, "read", 1, carried(sort), then=("slow:store",))
    assert stored.fields["lane"] == "slow:store"
    assert after(deployed, "store", {"kind": "old"}, carried(stored)).fields["lane"] == "default:last"
    posts: Any = Posts()
    (listener,) = began.listeners.chosen("default:sort")
    record = Record("default", 1.0, JobOptions(then=("slow:store",)), b"")
    post_split(Split([1], each="read", into="read"), posts, CLAIMED, record, listener)
    join, part = (options_in(body).part for body in posts.bodies)
    assert [list(kept_routes._entries(one.routes)) for one in (join, part)] == [["read", "store", "last"], ["read"]]


def test_routes_to_a_hosted_model_are_those_of_the_worker():
    """It finds out which version is the newest."""

    def declare(shop: MLQ) -> None:
        routed(sort={"x": "read"}, read=route({"iris": shop.model("iris")}, by="kind"))(shop)

    routes = carried(after(program("sort", "read", routes=declare), "sort", {"kind": "x"}))
    assert routes == b""


def test_a_program_without_routes_has_steps_without_any():
    body = after(program("sort", "read"), "sort", Forward(1, to="read")).fields["body"]
    assert options_in(body).part == Part("7", 1, tail="7")


def test_a_forward_and_both_sides_of_a_split_carry_routes():
    shop = program("sort", "read", "store", routes=routed(**CHAIN))
    read = carried(after(shop, "sort", {"kind": "book"}))
    assert carried(after(shop, "store", Forward(1, to="read"))) == read
    posts: Any = Posts()
    split = Split([1], each="read", into="store")
    post_split(split, posts, CLAIMED, Record("default", 1.0, PLAIN, b""), shop.listeners.chosen("default:store")[-1])
    join, part = (options_in(body).part for body in posts.bodies)
    assert (join.joins, part.into, part.routes) == (True, "8", read)
    assert list(kept_routes._entries(join.routes)) == ["store"]


def test_what_is_carried_is_bounded_and_begins_with_the_next_steps():
    names = [f"listener_with_a_long_name_{number}" for number in range(300)]
    chain = {name: {"x": later} for name, later in itertools.pairwise(names)}
    routes = carried(after(program(*names, routes=routed(**chain)), names[0], {"kind": "x"}))
    known = list(kept_routes._entries(routes))
    assert known == names[1 : len(known) + 1]
    assert 30 < len(known) < 299
    assert len(routes) < kept_routes.LIMIT + 10 * len(known)


@pytest.mark.parametrize(
    "routes",
    [
        b"\xff",
        b"\xc1",
        b"\x01",
        b"\x81\xa4read\x01",
        b"\x81\xa4read\xc4\x01\x01",
        b"\x81\xa4read\xc4\x04\x93\xc0\x91\x01",
        b"\x81\xa4read\xc4\x08\x93\xc0\x90\x94\x05\xc0\xc0\xc0",
    ],
)
def test_damaged_routes_are_the_error_of_this_job(routes):
    with pytest.raises(ValueError, match="routes"):
        after(program("read"), "read", {"kind": "x"}, routes)
    listener = Listener.of(print, "read", policy=Policy(retries=3))
    record, posts = Record("default", 1.0, JobOptions(part=Part("1", 1, tail="1", routes=routes)), b""), Posts()
    outcome = post_split(Split([1], each="read", into="read"), posts, CLAIMED, record, listener)
    assert (outcome.state, outcome.again, posts.bodies) == (State.FAILED, False, [])
