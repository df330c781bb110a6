"""Checks of what users hand in: what passes comes back as it is, all else is an InputError that says what was wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlq.core.checks import (
    LANE_LIMIT,
    check_count,
    check_functions,
    check_id,
    check_namespace,
    check_queue,
    check_seconds,
    check_size,
    check_url,
    functions_of,
    lane_of,
    queue_of,
)
from mlq.core.keys import Keys
from mlq.errors import InputError, TooLarge

CHECKS = [
    check_namespace,
    check_functions,
    lambda value: check_url("callback", value),
    check_id,
    check_queue,
    lambda value: check_seconds("ttl", value),
    lambda value: check_count("retries", value),
]
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.text(st.characters(codec=None)),
    st.lists(st.text(st.characters(codec=None))),
    st.lists(st.integers()),
)


@given(ANYTHING)
def test_checks_raise_nothing_but_input_errors(value):
    """Whatever comes, lone surrogates included; and what passes can be sent to the server."""
    for check in CHECKS:
        try:
            passed = check(value)
        except InputError:
            continue
        for text in passed if isinstance(passed, list) else [passed]:
            str(text).encode()


@pytest.mark.parametrize("name", ["a", "mlq_default", "my app", "ä", "[x]*", "a:b", "x" * 128])
def test_namespaces(name):
    """Any printable text will do; it is the hash tag of every key."""
    assert check_namespace(name) == name
    assert Keys(name).post.startswith(f"{{{name}}}:")


@pytest.mark.parametrize("name", ["", "a{b", "a}b", "a\nb", "a\0", "\x7f", "x" * 129, None, 5, b"a", "a\ud800"])
def test_no_namespaces(name):
    """Braces would end the hash tag."""
    with pytest.raises(InputError, match="namespace"):
        Keys(name)


@pytest.mark.parametrize(("given", "kept"), [(None, None), (["a", "b"], ["a", "b"]), (("b", "a", "b"), ["b", "a"])])
def test_functions(given, kept):
    """In the order given, each once."""
    assert check_functions(given) == kept


@pytest.mark.parametrize(
    "names", ["name", b"bytes", 5, [], [""], ["a,b"], ["a\n"], [None], [["a"]], [1], ["\ud800"], ["x" * 1001]]
)
def test_no_functions(names):
    """A single name is not a list of letters; the comma parts names in a lane."""
    with pytest.raises(InputError, match="functions"):
        check_functions(names)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "https://a.b:8080/p?q=1#f",
        "http://[::1]:5000/x",
        "HTTP://A/",
        None,
        "http://bücher.example./ä?ö=ü#ß",
        f"http://{'é.' * 20}a/",
        "http://a./",
    ],
)
def test_callbacks(url):
    """http and https, with a host."""
    assert check_url("callback", url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "ftp://a/",
        "http://",
        "http:///path",
        "http://a b/",
        "http://a\n/",
        "http://[::1",
        "http://a..b/",
        "http://.a/",
        f"http://{'a' * 64}.b/",
        "http://faß.example/",  # one host here, another one in a browser
        "http://a\u3002b/",
        f"http://{'ü' * 60}.b/",
        f"http://{'é.' * 50}a/",  # each label takes 25 us to encode, and each character 10 us
        f"http://{('é' * 10 + '.') * 15}a/",
        f"http://{'ﷺ' * 15}.a/",  # which becomes 270 characters
        f"http://{'a.' * 127}a/",
        "http://" + "\u0301" * 3990 + "\u0334" * 3990,  # whose order takes 60 ms to find
        "http://" + "\u0301" * 3990 + "@h/",
        "http://a:99999/",
        "http://a:x/",
        "javascript:x",
        5,
        b"http://a",
        "http://a/" + "x" * 8000,
    ],
)
def test_no_callbacks(url):
    """Refused when posted, not when it is to be sent."""
    with pytest.raises(InputError, match="callback"):
        check_url("callback", url)


@pytest.mark.parametrize("url", ["http://good@evil/", "http://a:b@c/", "http://good\\@evil/", "http://a/\r\nX: 1"])
def test_no_webhooks(url):
    """What parsers read differently, or what would be kept and never used."""
    with pytest.raises(InputError, match="webhook"):
        check_url("webhook", url)


@pytest.mark.parametrize(("given", "kept"), [("1", "1"), ("007", "007"), (12, "12"), ("9" * 18, "9" * 18)])
def test_ids(given, kept):
    """Digits, as a text or as a number."""
    assert check_id(given) == kept


@pytest.mark.parametrize(
    "job_id", ["", "a", -1, "1.0", "\uff11", "\u00b2", " 1", "1\n", None, True, 1.5, b"1", "9" * 19]
)
def test_no_ids(job_id):
    """Nothing that could become a part of another key."""
    with pytest.raises(InputError, match="id"):
        check_id(job_id)


@pytest.mark.parametrize(
    ("value", "zero", "kept"), [(None, False, None), (1, False, 1.0), (0.5, False, 0.5), (0, True, 0.0)]
)
def test_seconds(value, zero, kept):
    """Whole and broken numbers."""
    assert check_seconds("ttl", value, zero=zero) == kept


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "5", True, 1e10, [1]])
def test_no_seconds(value):
    """The error names the argument."""
    with pytest.raises(InputError, match="ttl"):
        check_seconds("ttl", value)


@pytest.mark.parametrize("queue", ["default", "slow", "my queue", "\u00e4", "x" * 100, "a.b/c-d"])
def test_queues(queue):
    """Any printable text without the signs that part a lane."""
    assert check_queue(queue) == queue
    assert queue_of(lane_of(queue, ["f", "g"])) == queue_of(lane_of(queue, None)) == queue


def test_queue_by_default():
    """Where none is named."""
    assert check_queue(None) == "default"


@pytest.mark.parametrize("queue", ["", "a,b", "a:b", "a\n", "#rows", "#", "x" * 101, 5, b"a", ["a"], "\ud800", True])
def test_no_queues(queue):
    """The error names the argument."""
    with pytest.raises(InputError, match="queue"):
        check_queue(queue)


@pytest.mark.parametrize(("value", "least"), [(None, 0), (0, 0), (5, 0), (1, 1), (10**9, 0)])
def test_counts(value, least):
    """Whole numbers."""
    assert check_count("retries", value, least) == value


@pytest.mark.parametrize(("value", "least"), [(-1, 0), (0, 1), (1.0, 0), ("1", 0), (True, 0), (10**9 + 1, 0), ([], 0)])
def test_no_counts(value, least):
    """The error names the argument and the least."""
    with pytest.raises(InputError, match=f"retries must be a whole number of at least {least}"):
        check_count("retries", value, least)


def test_size():
    """The limit itself passes."""
    assert check_size("the message", b"12345", 5) == b"12345"
    with pytest.raises(TooLarge, match=r"the message is 1,001 bytes; the limit is 1,000"):
        check_size("the message", b"x" * 1001, 1000)


def test_lanes():
    """A lane is a queue and a set: order and repetition don't matter."""
    assert lane_of("default", None) == "default"
    assert lane_of("default", ["b", "a", "b"]) == lane_of("default", ["a", "b"]) == "default:a,b"
    assert functions_of("default") == frozenset()
    assert functions_of("default:a,b") == {"a", "b"}


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters=","), min_size=1), min_size=1, max_size=5))
def test_lane_tells_its_functions(names):
    """Whatever they are called, a colon in a name included."""
    try:
        lane = lane_of("default", check_functions(names))
    except InputError:
        return
    assert functions_of(lane) == set(names)


def test_lane_is_bounded_in_bytes():
    """Scripts read that much of a record's head, no more."""
    with pytest.raises(InputError, match="functions"):
        lane_of("default", ["ä" * (LANE_LIMIT // 2)])
