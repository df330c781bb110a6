"""Listeners: which functions a worker runs, for which jobs, and with which declared options."""

import contextlib
import inspect
import logging
import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from mlq.core.checks import check_count, check_functions, check_queue, check_seconds, functions_of, lane_of, queue_of
from mlq.core.chunk import ROWS_QUEUE
from mlq.core.file_job import FILES_QUEUE, PREDICT_FILE
from mlq.core.limit import check_uses
from mlq.core.policy import Policy
from mlq.core.schedule import Schedule
from mlq.errors import InputError, ValidationError
from mlq.running.loads import Loads, Residency
from mlq.running.messages import for_message
from mlq.running.portions import Split
from mlq.running.scheduling import Scheduled
from mlq.running.signatures import is_async, takes_two
from mlq.system.importing import is_importing

if TYPE_CHECKING:
    from mlq.running.middleware import Middleware
    from mlq.running.routes import Routes

log = logging.getLogger("mlq.job")

MOST_IN_BATCH = 1000  # jobs of one call: more would make one claim and one settlement long for others

MAX_WAIT = 0.005  # seconds

RetryOn = tuple[type[BaseException] | str, ...]


class Listener(NamedTuple):
    """A function as the worker calls it. The parent of child processes knows everything but the function."""

    name: str
    function: Callable[..., Any] | None
    takes_context: bool = False
    is_async: bool = False
    queue: str | None = None  # of jobs that name no functions, it runs only those in this queue
    policy: Policy = Policy()
    retry_on: RetryOn | None = None  # None: retry after any exception
    middleware: tuple["Middleware", ...] = ()  # wraps the attempts; set only on listeners that are chosen for a job
    batch: int = 0  # jobs that it takes in one call, as lists of messages; 0: it takes one message
    max_wait: float = MAX_WAIT  # seconds: the longest pause after a batch, see worker/batch_pause.py
    per_worker: int = 0  # units (jobs, or batches) that one worker runs at a time; 0: as many as it has slots
    split: Split | None = None  # which messages of a batch share a call; None: all of them
    convert: Callable[[Any], Any] | None = None  # makes the message what the function declares; None if that is nothing
    convert_many: Callable[[list[Any]], list[Any]] | None = None  # of many at once; raises something if one is wrong
    about: str = ""  # a model's description for clients; see core/model.py
    routes: "Routes | None" = None  # where what it returns goes on
    # The routes of all listeners, if there are any; set, as the middleware, on listeners that are chosen for a job.
    declared: Mapping[str, "Routes | None"] = MappingProxyType({})
    warm_up: Callable[[], None] | None = None  # called once in each process, before it gets jobs
    residency: Residency = Residency()  # of a model
    uses: tuple[str, ...] = ()  # resources that may be limited

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        name: str | None = None,
        queue: str | None = None,
        policy: Policy = Policy(),  # noqa: B008 - immutable
        retry_on: object = None,
        batch: object = None,
        max_wait: object = None,
        split: Split | None = None,
        per_worker: object = None,
        uses: object = None,
    ) -> "Listener":
        """Raises InputError if the function has no usable name or parameters, or an option is invalid."""
        if not callable(function):
            raise InputError(f"a listener must be a function or another callable, not {function!r:.80}")
        name = name or name_of(function)
        check_functions([name])
        size = check_count("batch", batch, 1) or 0
        if size > MOST_IN_BATCH:
            raise InputError(f"batch must be at most {MOST_IN_BATCH:,}, not {size:,}")
        longest = MAX_WAIT if max_wait is None else check_seconds("max_wait", max_wait, zero=True) or 0.0
        return cls(
            name, function, takes_two(function, name), is_async(function),
            None if queue is None else check_queue(queue), policy, check_retry_on(retry_on),
            batch=size, max_wait=longest, per_worker=check_count("per_worker", per_worker, 1) or 0, split=split,
            convert=for_message(function, name, in_list=bool(size)), uses=check_uses(uses),
        )  # fmt: skip

    def retries(self, error: BaseException) -> bool:
        """Whether this listener is to be retried after `error`. A message that does not fit never will."""
        if isinstance(error, ValidationError):
            return False
        if self.retry_on is None:
            return True
        names = {
            name for kind in type(error).__mro__ for name in (kind.__name__, f"{kind.__module__}.{kind.__qualname__}")
        }
        return any(kind in names if isinstance(kind, str) else isinstance(error, kind) for kind in self.retry_on)


def name_of(function: object) -> str:
    """The name of a listener that was declared without one."""
    return getattr(function, "__name__", None) or type(function).__name__


def _place_of(listener: Listener) -> str:
    """Where its function is written."""
    with contextlib.suppress(Exception):  # user code: a callable's own attributes; it may also be written in C
        code: Any = inspect.unwrap(listener.function or _place_of).__code__
        return f"{code.co_filename}, line {code.co_firstlineno}"
    return "an unknown place"


def check_retry_on(retry_on: object) -> RetryOn | None:
    """One or several exceptions, by class or by name; None for all."""
    if retry_on is None:
        return None
    given = retry_on if isinstance(retry_on, (list, tuple, set)) else (retry_on,)
    for kind in given:
        if not isinstance(kind, str) and not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise InputError(f"retry_on must hold exception classes or their names, not {kind!r:.80}")
    return tuple(given)


class Listeners:
    """The listeners of a worker, in order, unique by name. Threads may read while others change it."""

    def __init__(self, known: Iterable[Listener] = (), middleware: Iterable["Middleware"] = ()) -> None:
        """`known`: the first listeners; `middleware`: wraps their attempts."""
        self._all = tuple(known)
        self._middleware = tuple(middleware)
        self._names = tuple(listener.name for listener in self._all)
        self._routes: tuple[tuple[Listener, ...], Mapping[str, Routes | None]] = (), {}  # of which listeners, and these
        self.loads = Loads()  # what became of the models among them
        self.scheduled = Scheduled()
        self._lock = threading.Lock()
        self._watchers: tuple[tuple[int, Callable[[], None]], ...] = ()  # each with the id of its process

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` after each change, on the thread that made the change, but not in forked children."""
        with self._lock:
            self._watchers += ((os.getpid(), changed),)

    def unwatch(self, changed: Callable[[], None]) -> None:
        """No longer call `changed`."""
        with self._lock:
            self._watchers = tuple(watcher for watcher in self._watchers if watcher[1] != changed)

    def _tell(self) -> None:
        for pid, changed in self._watchers:
            if pid == os.getpid():
                changed()

    def wrap(self, hook: "Middleware") -> None:
        """Wrap all attempts in one more hook, inside the earlier ones."""
        with self._lock:
            self._middleware += (hook,)
        self._tell()

    def add(self, new: Listener) -> Listener | None:
        """Add a listener. If there is one of the same name, replace it, at its position, and return the old one."""
        with self._lock:
            before = next((old for old in self._all if old.name == new.name), None)
            if before is not None:
                # in a notebook, that is how a function is changed
                level = logging.WARNING if is_importing() else logging.INFO
                places = _place_of(new), _place_of(before)
                log.log(level, "the listener %r at %s replaces the one at %s; else, rename one", new.name, *places)
                if before.routes is not None:
                    log.warning("the listener %r has no routes any more: declare them again", new.name)
                self._all = tuple(new if old is before else old for old in self._all)
            else:
                self._all += (new,)
                self._names += (new.name,)
        self._tell()
        return before

    def remove(self, name: str) -> bool:
        """Remove a listener; returns whether it existed."""
        with self._lock:
            before = len(self._all)
            self._all = tuple(listener for listener in self._all if listener.name != name)
            self._names = tuple(listener.name for listener in self._all)
            removed = len(self._all) < before
        if removed:
            self._tell()
        return removed

    def exchange(self, listener: Listener, instead: Listener | None) -> bool:
        """Replace this very listener with `instead`, or remove it if that is None; returns whether it existed."""
        with self._lock:
            found = any(one is listener for one in self._all)
            kept = (instead if one is listener else one for one in self._all)
            self._all = tuple(one for one in kept if one is not None)
            self._names = tuple(one.name for one in self._all)
        if found:
            self._tell()
        return found

    def schedule(self, schedule: Schedule, function: object = None) -> None:
        """Declare a schedule on a listener's function. Raises InputError if that has another one of this name."""
        self.scheduled.add(schedule, function)
        self._tell()

    def route(self, name: str, routes: "Routes") -> None:
        """Declare where what a listener returns goes on. Raises InputError if that is declared already."""
        listener = next((one for one in self._all if one.name == name), None)
        if listener is None:
            raise InputError(f"the listener {name!r} was removed, and can have no routes")
        if listener.routes is not None:
            raise InputError(f"the listener {name!r} has routes already: declare all of them in one `route`")
        self.exchange(listener, listener._replace(routes=routes))

    def warm_up(self, names: Collection[str] | None = None) -> None:
        """Have those that ask for it load what they need, before there are jobs; with `names`, only these."""
        for listener in self._all:
            if listener.warm_up is not None and (names is None or listener.name in names):
                listener.warm_up()

    def only(self, names: Collection[str]) -> "Listeners":
        """A copy with only these listeners. Raises InputError if one is missing."""
        if missing := set(names) - set(self.names()):
            there = ", ".join(self.names()) or "none"
            raise InputError(f"there is no listener {', '.join(sorted(missing))}; the listeners are: {there}")
        kept = {*names, PREDICT_FILE}  # whether a worker predicts files is told in another way
        chosen = Listeners((listener for listener in self._all if listener.name in kept), self._middleware)
        chosen.loads, chosen.scheduled = self.loads, self.scheduled
        return chosen

    def called(self, function: object) -> str:
        """The name under which a function was declared; if it was not, the name that it would have."""
        inside = getattr(function, "__wrapped__", function)
        for one in self._all:
            if one.function is function or one.function is inside:
                return one.name
            if inspect.ismethod(one.function) and one.function == inside:  # each attribute access makes a new object
                return one.name
        return name_of(function)

    def all(self) -> tuple[Listener, ...]:
        """All listeners, in order."""
        return self._all

    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        return self._names

    def queues(self) -> tuple[str, ...]:
        """The queues that they declare."""
        return tuple(dict.fromkeys(listener.queue for listener in self._all if listener.queue is not None))

    def own_lanes(self, queues: Collection[str]) -> list[str]:
        """The lanes of MLQ's own jobs that a worker of these queues serves, whose queues no user names.

        These are the chunks of files, but not of listeners for other queues, and the jobs that predict files.
        """
        rows = [lane_of(ROWS_QUEUE, [one.name]) for one in self._all if one.queue is None or one.queue in queues]
        return rows + [lane_of(FILES_QUEUE, [one.name]) for one in self._all if one.name == PREDICT_FILE]

    def chosen(self, lane: str) -> tuple[Listener, ...]:
        """The listeners that run jobs of `lane`, with the middleware: all that it names, or none if one is missing.

        For a lane without functions: those that declare its queue, or if there are none, all that declare no queue.
        """
        chosen, middleware, declared = self._chosen(lane), self._middleware, self._declared()
        if not middleware and not declared:
            return chosen
        return tuple(one._replace(middleware=middleware, declared=declared) for one in chosen)

    def _declared(self) -> Mapping[str, "Routes | None"]:
        """The routes of all listeners; nothing if none has any."""
        everyone, declared = self._routes
        if everyone is not self._all:
            everyone = self._all
            has_routes = any(one.routes is not None for one in everyone)
            declared = {one.name: one.routes for one in everyone} if has_routes else {}
            self._routes = everyone, declared
        return declared

    def _chosen(self, lane: str) -> tuple[Listener, ...]:
        everyone, wanted = self._all, functions_of(lane)
        if wanted:
            found = tuple(listener for listener in everyone if listener.name in wanted)
            return found if len(found) == len(wanted) else ()
        queue = queue_of(lane)
        return tuple(one for one in everyone if one.queue == queue) or tuple(
            one for one in everyone if one.queue is None
        )
