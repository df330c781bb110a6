"""A function that was declared a listener: what type checkers know of it, and its methods `post` and `submit`."""

from contextlib import suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, TypeVar, Unpack, overload

from mlq.client.blocking import Client
from mlq.client.handle import JobHandle
from mlq.core import codec
from mlq.core.destination import declared_with
from mlq.core.job_options import ListenerPostOptions
from mlq.errors import InputError
from mlq.running.listeners import Listener
from mlq.running.messages import for_result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterable, Iterator

    from mlq.running.pipeline import Forward, Split

M_contra = TypeVar("M_contra", contravariant=True)  # the message
P = ParamSpec("P")  # the parameters after it
R_co = TypeVar("R_co", covariant=True)  # what the function returns
T = TypeVar("T")
Y = TypeVar("Y")


class Declared(Protocol[M_contra, P, R_co]):
    """A function that was declared a listener: still callable, and with methods to post jobs for it.

    The result of the job is what the function returns; of two values, it is the second one. A coroutine is awaited. The
    result of a generator is its return value, or if that is None, the list of what it yields.
    """

    # The overloads of `submit` tell that to type checkers; see `execution._finished` and `outcomes.success`.

    __name__: str

    @overload
    def __call__(self, msg: M_contra, /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __call__(self, **kwargs: Any) -> R_co: ...  # the name of the first parameter can't be kept

    def post(self, msg: M_contra, callback: str | None = None, **options: Unpack[ListenerPostOptions]) -> str:
        """Post a job for it, with the options of `MLQ.post`; returns its id. Raises ValidationError."""

    @overload
    def submit(
        self: "Declared[M_contra, ..., Forward | Split | Coroutine[Any, Any, Forward | Split]]",
        msg: M_contra,
        callback: str | None = None,
        **options: Unpack[ListenerPostOptions],
    ) -> JobHandle[Any]: ...
    @overload
    def submit(
        self: "Declared[M_contra, ..., Coroutine[Any, Any, tuple[Any, T]]]",
        msg: M_contra,
        callback: str | None = None,
        **options: Unpack[ListenerPostOptions],
    ) -> JobHandle[T]: ...
    @overload
    def submit(
        self: "Declared[M_contra, ..., Coroutine[Any, Any, T]]",
        msg: M_contra,
        callback: str | None = None,
        **options: Unpack[ListenerPostOptions],
    ) -> JobHandle[T]: ...
    @overload
    def submit(
        self: "Declared[M_contra, ..., Generator[Y, Any, None]]",
        msg: M_contra,
        callback: str | None = None,
        **options: Unpack[ListenerPostOptions],
    ) -> JobHandle[list[Y]]: ...
    @overload
    def submit(  # type: ignore[overload-overlap]  # a generator is an iterator, too: the first that fits counts
        self: "Declared[M_contra, ..., Generator[Any, Any, tuple[Any, T]]]",
        msg: M_contra,
        callback: str | None = None,
        **options: Unpack[ListenerPostOptions],
    ) -> JobHandle[T]: ...
    @overload
    def submit(  # type: ignore[overload-overlap]
        self: "Declared[M_contra, ..., Generator[Any, Any, T]]",
        msg: M_contra,
        callback: str | None = None,
        **options: Unpack[ListenerPostOptions],
    ) -> JobHandle[T]: ...
    @overload
    def submit(
        self: "Declared[M_contra, ..., Iterator[Y] | AsyncIterator[Y]]",
        msg: M_contra,
        callback: str | None = None,
        **options: Unpack[ListenerPostOptions],
    ) -> JobHandle[list[Y]]: ...
    @overload
    def submit(
        self: "Declared[M_contra, ..., tuple[Any, T]]",
        msg: M_contra,
        callback: str | None = None,
        **options: Unpack[ListenerPostOptions],
    ) -> JobHandle[T]: ...
    @overload
    def submit(
        self: "Declared[M_contra, ..., T]",
        msg: M_contra,
        callback: str | None = None,
        **options: Unpack[ListenerPostOptions],
    ) -> JobHandle[T]: ...
    def submit(self, msg: Any, callback: str | None = None, **options: Unpack[ListenerPostOptions]) -> JobHandle:
        """Post a job for it; returns a handle on the job. Raises ValidationError."""


class DeclaredBatch(Protocol[M_contra, P, R_co]):
    """A function that was declared a listener with `batch`: it takes a list of messages, and a job has one of them.

    The result of a job is the item of the list that the function returns for its message.
    """

    __name__: str

    @overload
    def __call__(self, msgs: list[Any], /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __call__(self, **kwargs: Any) -> R_co: ...  # the name of the first parameter can't be kept

    def post(self, msg: M_contra, callback: str | None = None, **options: Unpack[ListenerPostOptions]) -> str:
        """Post a job for it, with the options of `MLQ.post`; returns its id. Raises ValidationError."""

    @overload
    def submit(
        self: "DeclaredBatch[M_contra, ..., Iterable[T] | Coroutine[Any, Any, Iterable[T]]]",
        msg: M_contra,
        callback: str | None = None,
        **options: Unpack[ListenerPostOptions],
    ) -> JobHandle[T]: ...
    @overload
    def submit(
        self, msg: M_contra, callback: str | None = None, **options: Unpack[ListenerPostOptions]
    ) -> JobHandle[Any]: ...
    def submit(self, msg: Any, callback: str | None = None, **options: Unpack[ListenerPostOptions]) -> JobHandle:
        """Post a job for it; returns a handle on the job. Raises ValidationError."""


class _Destination(NamedTuple):
    """Where the methods of a declared listener post to, and what they convert."""

    client: Client
    functions: list[str]
    queue: str | None
    convert: "Callable[[Any], Any] | None"  # messages, so that a client refuses what the worker would refuse
    back: "Callable[[Any], Any] | None"  # results

    def check(self, msg: Any, callback: object, options: dict[str, Any]) -> None:
        """Convert what the worker would read. Raises ValidationError, Unserializable; InputError, TypeError."""
        name = self.functions[0]
        if callback is not None and "://" not in str(callback):
            raise InputError(f"a job has one message: write {name}.submit([1, 2]) or {name}.submit({{'a': 1, 'b': 2}})")
        if "functions" in options:
            raise TypeError(f"leave functions= out: {name}.submit posts jobs for {name}")
        if self.convert is not None:
            self.convert(codec.unpack(codec.pack(msg)))


def declared(client: Client, listener: Listener) -> Any:
    """The listener's function with methods that post jobs for it by `client`."""
    function: Any = listener.function
    back = for_result(function, listener.name, in_list=bool(listener.batch))
    to = _Destination(client, [listener.name], listener.queue, listener.convert, back)
    return _with_methods(function, post=partial(post, _to=to), submit=partial(submit, _to=to))


# Errors of Python's own, such as that of a missing argument, show the names of these two.
def post(msg: Any, callback: str | None = None, *, _to: _Destination, **options: Any) -> str:
    """`Declared.post`."""
    _to.check(msg, callback, options)
    return _to.client.post(msg, callback, _to.functions, **{"queue": _to.queue, **options})


def submit(msg: Any, callback: str | None = None, *, _to: _Destination, **options: Any) -> JobHandle:
    """`Declared.submit`."""
    _to.check(msg, callback, options)
    handle = _to.client.submit(msg, callback, _to.functions, **{"queue": _to.queue, **options})
    if _to.back is None:
        return handle
    return JobHandle(_to.client, handle.reference, _to.back, handle.warning, new=handle.new)


def declaration_of(function: object) -> _Destination | None:
    """Where the methods of a declared listener post to; None for any other object."""
    found = declared_with(function)
    return found if isinstance(found, _Destination) else None


def gives_another_result(function: Any) -> None:
    """The results of a declared listener's jobs are those of other listeners: they are no longer made its own type."""
    to = declaration_of(function)
    if to is not None:
        function.submit = partial(submit, _to=to._replace(back=None))


def _with_methods(function: Any, **methods: Any) -> Any:
    """Return `function` with these as attributes, or if it can't have attributes, a function that calls it."""
    with suppress(Exception):  # user code: an object's own __getattr__ and __setattr__ may raise anything
        # Only if it has no such attributes of its own; those that an earlier declaration set are partials.
        if all(isinstance(getattr(function, name, method), partial) for name, method in methods.items()):
            for name, method in methods.items():
                setattr(function, name, method)
            return function

    @wraps(function, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return _with_methods(call, **methods)
