"""Which listeners there are, what was declared of them, and which of them a job gets."""

import asyncio
import functools
import operator

import pytest

from mlq.core.policy import Policy
from mlq.errors import InputError
from mlq.running.listeners import Listener, Listeners, check_retry_on


def first(message):
    """A listener."""


def second(message):
    """Another."""


def test_added_in_order_and_unique_by_name():
    """One of the same name is replaced in its place."""
    listeners = Listeners()
    for function in (first, second):
        listeners.add(Listener.of(function))
    other = lambda message: None  # noqa: E731
    other.__name__ = "first"
    listeners.add(Listener.of(other))
    assert listeners.names() == ("first", "second")
    assert listeners.chosen("default")[0].function is other


def test_removed_by_name():
    """Whether it was there is told."""
    listeners = Listeners()
    listeners.add(Listener.of(first))
    listeners.add(Listener.of(second))
    assert [listeners.remove(name) for name in ("first", "second", "first")] == [True, True, False]
    assert listeners.names() == ()


def test_which_jobs_can_be_run():
    """All functions that they name must be there, and any at all."""
    listeners = Listeners()
    assert listeners.chosen("default") == ()
    listeners.add(Listener.of(first))
    assert [one.name for one in listeners.chosen("default")] == ["first"]
    assert [one.name for one in listeners.chosen("default:first")] == ["first"]
    assert listeners.chosen("default:first,second") == ()
    listeners.add(Listener.of(second))
    assert [one.name for one in listeners.chosen("default:first,second")] == ["first", "second"]
    assert [one.name for one in listeners.chosen("default:second")] == ["second"]


def test_function_without_a_usable_name():
    """A comma parts names in a lane."""
    bad = lambda message: None  # noqa: E731
    bad.__name__ = "a,b"
    with pytest.raises(InputError):
        Listener.of(bad)
    assert Listener.of(bad, "a").name == "a"
    with pytest.raises(InputError):
        Listener.of(first, "a,b")


def listed(*queues):
    """Listeners a, b, c, ... that declare these queues."""
    return Listeners(Listener.of(first, name, queue) for name, queue in zip("abcdef", queues, strict=False))


@pytest.mark.parametrize(
    ("queues", "lane", "names"),
    [
        ((None, "slow", None, "slow"), "default", "ac"),
        ((None, "slow", None, "slow"), "slow", "bd"),
        ((None, "slow", None, "slow"), "other", "ac"),
        ((None, "slow"), "slow:a", "a"),
        ((None, "slow"), "default:b", "b"),
        ((None, "slow"), "slow:a,b", "ab"),
        ((None, "slow"), "slow:a,x", ""),
        (("slow", "slow"), "default", ""),
        (("default", None), "default", "a"),
        ((), "default", ""),
    ],
)
def test_which_listeners_a_job_gets(queues, lane, names):
    """All that it names; else those of its queue; where none declares that, those that declare none."""
    assert "".join(one.name for one in listed(*queues).chosen(lane)) == names


def test_queues_that_are_declared():
    """Each once."""
    assert listed(None, "slow", "fast", "slow").queues() == ("slow", "fast")
    assert listed(None).queues() == ()


def test_only_some_of_them():
    """In their old order; one that is not there is a mistake, and the error says what is."""
    listeners = listed(None, None, None)
    some = listeners.only(["c", "a"])
    assert some.names() == ("a", "c")
    listeners.remove("a")
    assert some.names() == ("a", "c")
    with pytest.raises(InputError, match=r"no listener x; the listeners are: b, c"):
        listeners.only(["b", "x"])
    with pytest.raises(InputError, match="the listeners are: none"):
        Listeners().only(["x"])


# --- what is declared


class Odd(ValueError):
    """An error of this module."""


@pytest.mark.parametrize(
    ("retry_on", "again"),
    [
        (None, True),
        (ValueError, True),
        (Exception, True),
        (KeyError, False),
        ((KeyError, ValueError), True),
        ([KeyError, "ValueError"], True),
        ({"Odd"}, True),
        ("Odd", True),
        (f"{__name__}.Odd", True),
        ("builtins.ValueError", True),
        ("other.Odd", False),
        ("odd", False),
        ((), False),
    ],
)
def test_retry_on(retry_on, again):
    """Exceptions by class or by name, their children included."""
    assert Listener.of(first, retry_on=retry_on).retries(Odd("x")) == again


def test_retry_on_takes_what_is_no_exception():
    """An error that is not one of Exception's children may be named too."""
    assert Listener.of(first, retry_on=SystemExit).retries(SystemExit(1))
    assert Listener.of(first, retry_on="CancelledError").retries(asyncio.CancelledError())


@pytest.mark.parametrize("retry_on", [5, int, [ValueError()], [None], b"ValueError", (ValueError, 5)])
def test_retry_on_that_names_no_exceptions(retry_on):
    """Refused when it is declared."""
    with pytest.raises(InputError, match="retry_on"):
        check_retry_on(retry_on)


@pytest.mark.parametrize("queue", ["", "a,b", "a:b", 5, "x" * 101])
def test_queue_that_can_not_be(queue):
    """Refused when it is declared."""
    with pytest.raises(InputError, match="queue"):
        Listener.of(first, queue=queue)


def test_what_kind_of_function_it_is():
    """Coroutines, and what gives them."""

    class Callable:
        async def __call__(self, message):
            """Awaited."""

    async def coroutine(message):
        """Awaited."""

    async def generator(message):
        yield 1

    assert all(Listener.of(each, "x").is_async for each in (coroutine, generator, Callable()))
    assert Listener.of(functools.partial(coroutine), "x").is_async
    assert not Listener.of(first).is_async
    assert not Listener.of(functools.partial(first), "x").is_async


class Methods:
    """Callable in many ways."""

    def one(self, msg):
        """The message alone."""

    def none(self):
        """Nothing."""

    def __call__(self, msg, ctx):
        """The message and the context."""


def wrapped(outer, inner):
    """As a decorator leaves it."""
    return functools.wraps(inner)(outer)


@pytest.mark.parametrize(
    ("function", "takes_context"),
    [
        (lambda msg: None, False),
        (lambda msg, ctx: None, True),
        (lambda msg, ctx=None: None, True),
        (lambda msg, ctx, more=1: None, True),
        (lambda msg, *args: None, True),  # as programs for MLQ 0.2 have it
        (lambda *args: None, True),
        (lambda msg=None: None, False),
        (lambda msg, *, key=1: None, False),
        (lambda msg, **more: None, False),
        (Methods().one, False),
        (Methods(), True),
        (str, False),
        (operator.itemgetter(0), False),
        (functools.partial(operator.methodcaller("f")), False),
        (functools.lru_cache(lambda msg, ctx: None), True),
        (functools.partial(lambda a, msg, ctx: None, 1), True),
        (functools.partial(lambda msg, ctx: None, ctx=1), False),
        (int, False),
        (dict.fromkeys, True),
        (print, True),
        (max, False),  # has no signature
        (wrapped(lambda msg: None, lambda: None), False),
        (wrapped(lambda msg: None, lambda msg, ctx: None), False),
        (wrapped(lambda *args: None, lambda msg: None), False),
        (wrapped(lambda *args: None, lambda msg, ctx, given: None), True),
    ],
)
def test_which_functions_get_the_context(function, takes_context):
    """Those that take two; a wrapper is what is called."""
    assert Listener.of(function, "x").takes_context is takes_context


@pytest.mark.parametrize(
    "function",
    [
        lambda: None,
        lambda a, b, c: None,
        lambda a, b, c, *args: None,
        lambda msg, *, key: None,
        lambda *args, key: None,
        lambda **more: None,
        Methods().none,
        Methods,
        functools.partial(lambda msg: None, 1),
        wrapped(lambda: None, lambda msg: None),
    ],
)
def test_functions_that_can_not_be_called(function):
    """Refused when they are declared, for each of their jobs would fail."""
    with pytest.raises(InputError, match=r"^x\(\) can't be called as a listener: write x\(msg\), x\(msg, ctx\) or"):
        Listener.of(function, "x")


@pytest.mark.parametrize("thing", [5, "name", None, classmethod(first), property(first)])
def test_what_can_not_be_called_at_all(thing):
    """Refused when it is declared."""
    with pytest.raises(InputError, match="must be a function"):
        Listener.of(thing)


def test_watched():
    """Whoever watches is told of changes alone, when they are made, until it watches no more."""
    listeners, told = Listeners(), []

    def changed():
        told.append(listeners.names())

    listeners.watch(changed)
    mine, other = Listener.of(first), Listener.of(second)
    listeners.add(mine)
    listeners.exchange(mine, other)
    listeners.exchange(mine, other)
    listeners.remove("first")
    listeners.remove("second")
    listeners.unwatch(changed)
    listeners.add(mine)
    assert told == [("first",), ("second",), ()]


def test_the_name_that_something_was_declared_under():
    """Found by the thing itself, also through what wraps it; a bound method is another object each time."""
    methods, listeners = Methods(), Listeners()
    listeners.add(Listener.of(first, "a"))
    listeners.add(Listener.of(methods.one, "b"))
    assert [listeners.called(each) for each in (first, methods.one, wrapped(lambda: None, first))] == ["a", "b", "a"]
    assert [listeners.called(each) for each in (second, Methods().one, 5)] == ["second", "one", "int"]


def test_policy_is_kept():
    """As it was declared."""
    assert Listener.of(first).policy == Policy()
    assert Listener.of(first, policy=Policy(1.0, 2, 3.0)).policy == (1.0, 2, 3.0)
