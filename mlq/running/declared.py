"""A function that was declared a listener: what type checkers know of it, and its methods `post` and `submit`."""

from contextlib import suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, Unpack, overload

from mlq.client.blocking import Client
from mlq.client.handle import JobHandle
from mlq.core import codec
from mlq.core.job_options import ListenerPostOptions
from mlq.running.listeners import Listener
from mlq.running.messages import Converter, for_result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Generator, Iterator

M_contra = TypeVar("M_contra", contravariant=True)  # the message
P = ParamSpec("P")  # the parameters after it
R_co = TypeVar("R_co", covariant=True)  # what the function returns
T = TypeVar("T")
Y = TypeVar("Y")


class Declared(Protocol[M_contra, P, R_co]):
    """A function that was declared a listener: still callable, and with methods to post jobs for it.

    The overloads of `submit` say what becomes of what the function returns (`execution._finished`, `outcomes.success`):
    of two values, the second one is the result; a coroutine is awaited; of a generator, the result is its return value,
    or if that is None, the list of what it yields.
    """

    __name__: str

    @overload
    def __call__(self, msg: M_contra, /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __call__(self, **kwargs: Any) -> R_co: ...  # the name of the first parameter can't be kept

    def post(self, msg: M_contra, callback: str | None = None, **options: Unpack[ListenerPostOptions]) -> str:
        """Post a job for it, with the options of `MLQ.post`; returns its id. Raises ValidationError."""

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


def declared(client: Client, listener: Listener) -> Any:
    """The listener's function with methods that post jobs for it by `client`."""
    function: Any = listener.function
    to_it: dict[str, Any] = {"functions": [listener.name], "queue": listener.queue}
    convert, back = listener.convert, for_result(function, listener.name)
    if convert is None and back is None:
        return _with_methods(function, post=partial(client.post, **to_it), submit=partial(client.submit, **to_it))
    return _with_methods(
        function,
        post=partial(_post, client, convert, **to_it),
        submit=partial(_submit, client, convert, back, **to_it),
    )


def _post(client: Client, convert: Converter | None, msg: Any, callback: str | None = None, **options: Any) -> str:
    _check(convert, msg)
    return client.post(msg, callback, **options)


def _submit(
    client: Client, convert: Converter | None, back: Converter | None, msg: Any, callback: str | None = None,
    **options: Any,
) -> JobHandle:  # fmt: skip
    _check(convert, msg)
    handle = client.submit(msg, callback, **options)
    return handle if back is None else JobHandle(client, handle.reference, back, handle.warning)


def _check(convert: Converter | None, msg: Any) -> None:
    """Convert what the worker would read, so that both refuse the same. Raises ValidationError, Unserializable."""
    if convert is not None:
        convert(codec.unpack(codec.pack(msg)))


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
