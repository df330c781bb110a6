"""Uploaded listeners as bytes, their signature and its secret, and their place among the listeners of a worker."""

import functools
import pickle
import threading
import time

import pytest

from mlq import InputError, TooLarge, Undecodable
from mlq.core import codec
from mlq.pools.loading import DEATHS, LOAD_TIME, ChildUploads, load_listener
from mlq.running.listeners import Listener, Listeners
from mlq.running.uploaded import Uploaded
from mlq.uploads import functions, sealed, secret

SECRET = "0123456789abcdef"  # noqa: S105 - for tests


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """No secret is configured, and the user's own file is not there yet."""
    monkeypatch.setenv("MLQ_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(secret.VARIABLE, raising=False)
    return tmp_path / "home"


def double(value):
    return value * 2


def head_of(namespace="n", name="f", code=b"code", **options):
    return b"1.5 " + sealed.seal(namespace, name, code, **options)


# --- signatures


def test_what_was_sealed_is_accepted():
    head = sealed.check("n", "f", head_of(), b"code")
    assert (head.uploaded, head.python, head.size) == (1.5, sealed.PYTHON, 4)
    assert head.fingerprint == sealed.fingerprint(b"code")


@pytest.mark.parametrize(("namespace", "name", "code"), [("o", "f", b"code"), ("n", "g", b"code"), ("n", "f", b"core")])
def test_a_signature_holds_for_one_namespace_name_and_code(namespace, name, code):
    with pytest.raises(Undecodable, match="signature is wrong"):
        sealed.check(namespace, name, head_of(), code)


def test_the_version_of_python_is_signed_and_checked():
    with pytest.raises(InputError, match=r"uploaded from Python 3\.1, "):
        sealed.check("n", "f", head_of(python="3.1"), b"code")
    head = codec.unpack(sealed.seal("n", "f", b"code", "3.1")) | {"python": sealed.PYTHON}
    with pytest.raises(Undecodable, match="signature is wrong"):
        sealed.check("n", "f", b"1.5 " + codec.pack(head), b"code")


def test_another_secret_is_another_signature(monkeypatch):
    raw = head_of()
    monkeypatch.setenv(secret.VARIABLE, SECRET)
    with pytest.raises(Undecodable, match="signature is wrong"):
        sealed.check("n", "f", raw, b"code")


@pytest.mark.parametrize("raw", [b"", b"1.5 ", b"x " + codec.pack({}), b"1.5 " + codec.pack([1]), b"1.5 \xc1", b"1.5 "
    + codec.pack({"python": 1, "fingerprint": 2, "size": 3, "signature": 4})])  # fmt: skip
def test_heads_that_mlq_did_not_write_are_refused_and_not_listed(raw):
    with pytest.raises(Undecodable):
        sealed.read_head(raw)
    assert sealed.overview({"junk": raw}) == []


def test_too_much_code_is_refused():
    with pytest.raises(TooLarge):
        sealed.seal("n", "f", bytes(sealed.LIMIT + 1))


# --- the secret


def test_without_a_secret_nothing_is_accepted(home):
    raw = head_of()
    (home / secret.FILE).unlink()
    with pytest.raises(InputError, match="no secret"):
        sealed.check("n", "f", raw, b"code")
    assert not (home / secret.FILE).exists()  # only who signs makes one


def test_the_users_own_secret_is_made_once_and_for_nobody_else(home):
    def seal():
        made.append(head_of())

    made, threads = [], [threading.Thread(target=seal) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1
    assert [path.name for path in home.iterdir()] == [secret.FILE]
    assert (home / secret.FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("change", [lambda path: path.chmod(0o640), lambda path: path.write_text("short")])
def test_a_secret_that_others_can_read_or_guess_is_refused(home, change):
    raw = head_of()
    change(home / secret.FILE)
    for use in (head_of, functools.partial(sealed.check, "n", "f", raw, b"code")):
        with pytest.raises(InputError, match="can't use the secret"):
            use()


def test_a_link_is_no_secret(home, tmp_path):
    head_of()
    (home / secret.FILE).rename(tmp_path / "elsewhere")
    (home / secret.FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="can't use the secret"):
        head_of()


def test_a_short_configured_secret_is_refused(monkeypatch, home):
    monkeypatch.setenv(secret.VARIABLE, SECRET[1:])
    with pytest.raises(InputError, match="16 characters"):
        head_of()
    monkeypatch.setenv(secret.VARIABLE, SECRET)
    assert sealed.check("n", "f", head_of(), b"code")
    assert not home.exists()


# --- functions


class Callable:
    def __call__(self, value):
        return value


@pytest.mark.parametrize(
    "given", [lambda value: value, Callable, Callable(), functools.partial(double), print, 7, None]
)
def test_only_functions_with_a_name_can_be_uploaded(given):
    with pytest.raises(InputError):
        functions.pickled(given)


@pytest.mark.parametrize("name", ["a,b", "", "line\nbreak", "x" * 1000])
def test_a_name_is_one_that_jobs_can_ask_for(name):
    def function(value):
        return value

    function.__name__ = name
    with pytest.raises(InputError):
        functions.pickled(function)


def test_what_can_t_be_pickled_is_refused():
    lock = threading.Lock()

    def holds(value):
        return lock, value

    with pytest.raises(InputError, match="holds can't be uploaded: TypeError"):
        functions.pickled(holds)


async def waits(value):
    return value


def test_functions_come_back_as_listeners():
    for function in (double, waits):
        name, code = functions.pickled(function)
        listener = load_listener(name, code)
        assert (listener.name, listener.is_async) == (function.__name__, function is waits)
    with pytest.raises(InputError, match="named 'waits'"):
        load_listener("double", code)


class Raises:
    def __reduce__(self):
        return exec, ("raise SystemExit('no')",)


@pytest.mark.parametrize("code", [b"", b"junk", pickle.dumps(7), pickle.dumps(Raises())])
def test_code_that_can_t_be_loaded_is_one_error(code):
    with pytest.raises(InputError):
        load_listener("f", code)


# --- among the listeners


def named(name):
    return Listener(name, double)


@pytest.fixture
def listeners():
    return Listeners([named("a"), named("b")])


def test_an_upload_hides_the_programs_own_and_gives_it_back(listeners):
    own, mine = listeners.all()[0], Uploaded(listeners)
    first, second = named("a"), named("a")
    mine.put(first)
    mine.put(second)
    assert listeners.all()[0] is second
    assert listeners.names() == ("a", "b")
    assert mine.remove("a")
    assert listeners.all()[0] is own
    assert not mine.remove("a")


def test_an_upload_of_a_new_name_comes_and_goes(listeners):
    mine = Uploaded(listeners)
    mine.put(named("c"))
    assert listeners.names() == ("a", "b", "c")
    mine.clear()
    assert listeners.names() == ("a", "b")


def test_what_the_program_declares_or_removes_later_stands(listeners):
    mine, later = Uploaded(listeners), named("a")
    for name in ("a", "b"):
        mine.put(named(name))
    listeners.add(later)
    listeners.remove("b")
    mine.clear()
    assert listeners.all() == (later,)
    assert listeners.all()[0] is later


def test_an_upload_over_a_later_declaration_gives_that_back(listeners):
    mine, later = Uploaded(listeners), named("a")
    mine.put(named("a"))
    listeners.add(later)
    mine.put(named("a"))
    mine.clear()
    assert listeners.all()[0] is later


# --- what children are taught


class Child:
    """What uploads need of a child."""

    def __init__(self):
        self.ready, self.busy, self.pid = True, False, 1
        self.uploads_sent, self.known, self.loading, self.load_by = 0, {}, None, 0.0
        self.sent = []

    def reads(self):
        return not self.busy

    def send(self, *frame):
        self.sent.append(frame[:2])


def test_a_child_learns_one_after_the_other_and_runs_nothing_meanwhile():
    uploads, child, news = ChildUploads(), Child(), []
    for name in ("f", "g"):
        uploads.load_upload(name, b"code", lambda *told: news.append(told))
    assert uploads.send_next(child)
    assert uploads.send_next(child)
    assert child.sent == [("load", "f")]
    assert child.load_by > time.monotonic() + LOAD_TIME - 10
    uploads.heard(child, "loaded", ["f", False, False])
    assert uploads.send_next(child)
    uploads.heard(child, "refused", ["g", "no"])
    assert not uploads.send_next(child)
    assert child.sent == [("load", "f"), ("load", "g")]
    assert [(name, listener is None, why) for name, listener, why in news] == [("f", False, ""), ("g", True, "no")]


def test_a_busy_child_learns_later_and_the_first_speaks_for_all():
    uploads, busy, idle, news = ChildUploads(), Child(), Child(), []
    busy.busy = True
    uploads.load_upload("f", b"code", lambda *told: news.append(told))
    assert uploads.send_next(busy)
    assert not busy.sent
    assert uploads.send_next(idle)
    uploads.heard(idle, "loaded", ["f", False, False])
    busy.busy = False
    assert uploads.send_next(busy)
    uploads.heard(busy, "refused", ["f", "not here"])
    assert len(news) == 1


def test_a_child_forgets_and_one_that_never_knew_is_not_told():
    uploads, child, other = ChildUploads(), Child(), Child()
    uploads.load_upload("f", b"code", lambda *told: None)
    uploads.send_next(child)
    uploads.heard(child, "loaded", ["f", False, False])
    uploads.send_next(child)
    uploads.unload("f")
    assert not uploads.send_next(child)
    assert not uploads.send_next(other)
    assert (child.sent[1:], other.sent) == ([("unload", "f")], [])


def test_an_upload_of_which_children_die_is_given_up():
    uploads, news = ChildUploads(), []
    uploads.load_upload("f", b"code", lambda *told: news.append(told))
    for _ in range(DEATHS):
        assert not news
        child = Child()
        assert uploads.send_next(child)
        uploads.died(child)
    assert news[0][1] is None
    assert "died" in news[0][2]
    assert not uploads.send_next(Child())
