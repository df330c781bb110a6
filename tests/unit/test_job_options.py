"""The options of a job: checked once, packed with each message, and read again from a record."""

import pytest

from mlq.core import codec, job_options
from mlq.core.job import Record
from mlq.core.job_options import PLAIN, JobOptions, PostOptions, options_of
from mlq.core.policy import Policy
from mlq.core.stored_options import read_options
from mlq.errors import InputError, TooLarge, Undecodable, Unserializable
from mlq.http import shapes


def test_plain_options_are_shared():
    """Most posts have none."""
    assert options_of(None, None, {}) is PLAIN
    assert Record.parse(b"default\n1\n" + PLAIN.body("m"))[2:] == (PLAIN, codec.pack("m"))


def test_options_travel_with_the_message():
    """What is posted is what is read."""
    given = {"queue": "slow", "ttl": 60, "timeout": 5, "retries": 0, "backoff": 0, "webhook": "http://localhost/w"}
    posted = options_of("http://localhost/", ("g", "f"), given)
    assert posted.lane == "slow:f,g"
    read = Record.parse(b"slow:f,g\n1\n" + posted.body("m")).options
    assert read == posted
    assert read == JobOptions("http://localhost/", ("g", "f"), "slow", 60.0, 5.0, 0, 0.0, "http://localhost/w")
    assert read.policy == Policy(5.0, 0, 0.0)


@pytest.mark.parametrize("name", ["callback", "webhook"])
def test_the_host_of_a_stored_url_is_not_checked_again(name):
    """That takes milliseconds, and whoever reads a hundred records would pay for it."""
    url = "http://" + ("é" * 10 + ".") * 15 + "de/"
    with pytest.raises(InputError, match=name):
        JobOptions.of({name: url})
    packed = codec.pack({name: url})
    read = Record.parse(b"default\n1\n%d\n%b" % (len(packed), packed) + codec.pack("m")).options
    assert getattr(read, name) == url


@pytest.mark.parametrize("url", [5, "", "http://a\nb/", "http://a/" + "x" * 8000])
def test_what_is_stored_is_text_of_a_bounded_length(url):
    packed = codec.pack({"webhook": url})
    record = b"default\n1\n%d\n%b" % (len(packed), packed) + codec.pack("m")
    with pytest.raises(Undecodable, match="webhook"):
        Record.parse(record)


def test_posts_alike_share_their_options():
    """A list of names is as good as a tuple; a number that is equal to another one is not taken for it."""
    assert options_of(None, ["f"], {"retries": 1}) is options_of(None, ("f",), {"retries": 1})
    with pytest.raises(InputError, match="retries"):
        options_of(None, ["f"], {"retries": True})


def test_the_queue_stands_in_the_lane_alone():
    """It takes no byte of a job's options."""
    assert options_of(None, None, {"queue": "slow"}).body("m") == PLAIN.body("m")
    assert options_of(None, None, {"queue": "default"}) == options_of(None, None, {"queue": None}) == PLAIN


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("callback", "no url"),
        ("webhook", "no url"),
        ("functions", "name"),
        ("functions", ["x" * 600, "y" * 600]),
        ("queue", "a:b"),
        ("queue", []),
        ("ttl", -1),
        ("timeout", 0),
        ("retries", -1),
        ("backoff", "1"),
    ],
)
def test_bad_values_are_refused(name, value):
    """Before anything is packed; the error names the option."""
    given = {name: value} if name not in {"callback", "functions"} else {}
    with pytest.raises(InputError, match=name):
        options_of(value if name == "callback" else None, value if name == "functions" else None, given)


def test_an_option_that_does_not_exist_is_refused():
    """As any keyword that a function does not take."""
    with pytest.raises(TypeError, match="'retrys'"):
        options_of(None, None, {"retrys": 1})


def test_an_option_of_a_later_version_is_ignored():
    """A record that holds one is still read."""
    body = job_options.pack_body(codec.pack("m"), {"ttl": 5, "tomorrow": [1]})
    assert Record.parse(b"slow\n1\n" + body).options == JobOptions(ttl=5.0, queue="slow")


def test_every_face_knows_every_option():
    """Keyword arguments, and bodies of HTTP."""
    names = set(JobOptions.__dataclass_fields__) - {"part", "since", "tick"}
    assert PostOptions.__annotations__.keys() == names - {"callback", "functions"}
    assert set(shapes.OptionsOfPosts.__struct_fields__) == names
    of_posts = {"after", "on_failure", "at", "key", "unique", "replace"}  # schedules have none of these
    assert set(shapes.Options.__struct_fields__) == names - of_posts


def test_after_names_each_job_once():
    """A reference counts more than the id alone; two references with one id mean that the server lost a job."""
    stamped = "7@1795888888.123456"
    for given in (["7", stamped], [stamped, "7"], [stamped, stamped]):
        assert JobOptions.of({"after": given}).needs == "fail 7:1795888888.123456"
    with pytest.raises(InputError, match="two jobs had the id 7"):
        JobOptions.of({"after": [stamped, "7@1795888888.123457"]})


def test_then_is_bounded():
    """Each job of a bulk stores it."""
    with pytest.raises(InputError, match="then: the names are too long"):
        JobOptions.of({"then": ["x" * 90] * 50})
    assert JobOptions.of({"then": ["x" * 90] * 40}).then == ("x" * 90,) * 40


def test_a_message_is_refused(monkeypatch):
    """What can't be packed, or is too large."""
    with pytest.raises(Unserializable):
        PLAIN.body(object())
    monkeypatch.setattr(job_options, "check_size", lambda what, packed: (_ for _ in ()).throw(TooLarge(what)))
    with pytest.raises(TooLarge, match="message"):
        PLAIN.body("m")


@pytest.mark.parametrize("given", [{"queue": "#rows"}, {"then": ["#rows:f"]}])
def test_queues_of_mlq_itself_are_refused(given):
    """But they are read in stored jobs."""
    with pytest.raises(InputError, match="must not begin with #"):
        JobOptions.of(given)
    assert read_options("#rows:f", b"").queue == "#rows"
