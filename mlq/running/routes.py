"""Routes that are declared for a listener: `classify >> route({...}, by="kind")` says where what it returns goes on."""

from collections.abc import Callable, Container, Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mlq.core.checks import nearest
from mlq.errors import InputError, NoRoute
from mlq.running.declared import declaration_of, gives_another_result
from mlq.running.pipeline import Forward, Step, To, step

if TYPE_CHECKING:
    from mlq.running.listeners import Listeners

D = TypeVar("D")
T = TypeVar("T")
Value = str | int | Enum


class Branch(NamedTuple):
    """One line of the declared graph."""

    value: str  # by which it is chosen, as it is shown
    to: str  # names of listeners, or a model
    queue: str | None
    missing: str  # those of the names that no known listener has


class Routes:
    """What `route` returns. Declare it with `listener >> routes`."""

    def __init__(self, to: Mapping[Any, To], by: str | Callable[[Any], Any], otherwise: To = None) -> None:
        """Raises InputError."""
        if not isinstance(to, Mapping) or not to:
            raise InputError(f"routes are a dict, such as {{'book': read_book, 'phone': read_phone}}, not {to!r:.80}")
        for value in to:
            if not isinstance(value, (str, int, Enum)):
                raise InputError(f"a route's value is a text, a whole number or a member of an enum, not {value!r:.80}")
        if not callable(by) and (not isinstance(by, str) or not by):
            raise InputError(f"`by` is a name, such as 'kind', or a function of what is returned, not {by!r:.80}")
        self.by = by
        self.given = [*to.items(), *([(None, otherwise)] if otherwise is not None else [])]
        self.to = {key_of(value): _ready(target) for value, target in to.items()}
        self.otherwise = None if otherwise is None else _ready(otherwise)

    def __rrshift__(self, listener: D) -> D:
        """Declare these routes for a listener, which is returned. Raises InputError."""
        to = declaration_of(listener)
        if to is None:
            raise InputError(f"only a function that was declared with @mlq.listener has routes, not {listener!r:.80}")
        listeners: Listeners = to.client.listeners  # type: ignore[attr-defined]  # only `MLQ` declares listeners
        name = to.functions[0]
        for _, target in self.given:
            _check_known(target, listeners, to.client.namespace)
        if circle := _circle(name, self, listeners):
            raise InputError(f"these routes lead in a circle: {' -> '.join(circle)}; return a Forward to loop")
        listeners.route(name, self)
        gives_another_result(listener)
        return listener

    def forward(self, returned: Any) -> Forward:
        """Where what the listener has returned goes on. Raises NoRoute."""
        msg = message_of(returned)
        value = value_of(msg, self.by)
        found = found_in(self.to, value)
        found = self.otherwise if found is None else found
        if found is None:
            known = ", ".join(repr(value) for value, _ in self.given)
            kind = "" if isinstance(value, str) else f" ({type(value).__name__})"
            hint = nearest(value, [key for key, _ in self.given if isinstance(key, str)]) if kind == "" else ""
            raise NoRoute(f"no route for {value!r:.200}{kind}{hint}; the routes are {known:.500}")
        return Forward(msg, found)

    def branches(self, known: Container[str]) -> Iterator[Branch]:
        """The routes, for people. `known`: the names of listeners that exist."""
        for value, target in self.given:
            shown = "otherwise" if value is None else str(value.value if isinstance(value, Enum) else value)
            if names := _names(target):
                queue, missing = step(target).options.queue, [name for name in names if name not in known]
                yield Branch(shown, ", ".join(names), queue, ", ".join(missing))
            else:
                yield Branch(shown, repr(target), None, "")


def route(routes: Mapping[Any, To], *, by: str | Callable[[Any], Any], otherwise: To = None) -> Routes:
    """Where what a listener returns goes on. Declare it with `listener >> routes`.

    `routes`: a listener, its name, a `step` or a hosted model for each value. `by`: the key or the attribute of what is
    returned that has the value, or a function that gets it from there. `otherwise`: where all other values go; without
    it, the job of another value fails with NoRoute, and is not retried. What the listener returns is the message of the
    next step; a `Forward` or `Split` that it returns is left as it is. Raises InputError, now or when it is declared:
    for a function that is no listener, a listener that has routes already, and routes in a circle.
    """
    return Routes(routes, by, otherwise)


Key = tuple[str, Any]


def key_of(value: Any) -> Key:
    """What a value is looked up by: True is not 1 here, and a member of an enum is equal to itself alone."""
    if isinstance(value, Enum) and not isinstance(value, (str, int)):
        return "enum", f"{type(value).__qualname__}.{value.name}"
    return "bool" if isinstance(value, bool) else "", value


def found_in(table: Mapping[Key, T], value: Any) -> T | None:
    """What stands in the table under this value."""
    try:
        return table.get(key_of(value))
    except TypeError:  # a list, a dict: it has no hash
        return None


def message_of(returned: Any) -> Any:
    """What goes on of what a listener has returned: of a pair with a short result, the result."""
    return returned[1] if isinstance(returned, tuple) and len(returned) == 2 else returned


def value_of(msg: Any, by: str | Callable[[Any], Any]) -> Any:
    """What decides. Raises NoRoute if it is missing: that is a mistake in the listener, not a case of its own."""
    if not isinstance(by, str):
        return by(msg)
    try:
        return msg[by] if isinstance(msg, Mapping) else getattr(msg, by)
    except (KeyError, AttributeError):
        what = f"a {type(msg).__name__}" if msg is not None else "None"
        raise NoRoute(f"the listener returned {what} without {by!r}, by which its routes are chosen") from None


def _is_model(target: To) -> bool:
    return not callable(target) and hasattr(target, "version_for")


def _ready(target: To) -> Any:
    """What a Forward takes. Which version of a model is the newest is found when a job goes there."""
    return target if _is_model(target) else step(target)


def _names(target: To) -> list[str]:
    """The listeners that run a step; none for a model."""
    return [] if _is_model(target) else list(step(target).options.functions or ())


def _check_known(target: To, listeners: "Listeners", namespace: str) -> None:
    """Raises InputError for a function that can't run here. A name may be that of another module's listener."""
    if not callable(target) or isinstance(target, Step):
        return
    (name,) = _names(target)
    to = declaration_of(target)
    if to is not None and to.client.namespace != namespace:
        raise InputError(f"{name} is a listener of namespace {to.client.namespace!r}, not of {namespace!r}")
    if to is None and name not in listeners.names():
        raise InputError(f"{name} is not declared as a listener: write @mlq.listener before it")
    if to is not None and to.client.listeners is listeners and _is_replaced(name, target, listeners):  # type: ignore[attr-defined]
        raise InputError(f"another listener named {name!r} was declared after this one: rename one of them")


def _is_replaced(name: str, function: object, listeners: "Listeners") -> bool:
    """Whether the listener of this name runs another function by now."""
    inside = getattr(function, "__wrapped__", function)
    return not any(one.function == inside or one.function is function for one in listeners.all() if one.name == name)


def _circle(name: str, routes: Routes, listeners: "Listeners") -> list[str]:
    """The names of listeners from `name` back to it, if these routes close such a way; else nothing."""
    declared = {one.name: one.routes for one in listeners.all() if one.routes is not None} | {name: routes}
    seen: set[str] = set()

    def way(at: str, passed: list[str]) -> list[str]:
        if at == name and passed:
            return [*passed, at]
        found = None if at in seen else declared.get(at)
        seen.add(at)
        targets = [to for _, target in found.given for to in _names(target)] if found is not None else []
        return next((circle for to in targets if (circle := way(to, [*passed, at]))), [])

    return way(name, [])
