"""Shares the places for tries among receivers, so that what is for others does not wait for slow ones.

A try has a place for 3 s. One that lasts longer goes on without: nothing waits for it but what is for its receiver.
"""

import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

PLACES = 16
MOST = 12  # of these places: for one receiver whose last try was quick, and for all others together
UNKNOWN = 8  # places for one of these others, or all of its domain: it may be slow
SLOW = 4  # places for all receivers together whose last try was slow; and slow tries with which one gets no place
SLOW_AFTER = 3.0  # seconds of a slow try
UNDER_WAY = 96  # tries, with and without a place: 16 in every 3 s, of up to 15 s, are 80
AGAIN = 1.0  # seconds until a delivery that got no place is looked at again
APART = 0.005  # seconds between two of these of one receiver: 200 a second
REMEMBERED = 1000  # receivers
PREFIX = 64  # bits of an IPv6 address: whoever has one has all that begin so


class Receiver(NamedTuple):
    """Who gets deliveries."""

    place: str  # host and port
    group: str  # of a stranger, all of its domain or network, in which names cost nothing; else the place


class Receivers:
    """Those that this worker sends deliveries of one kind to. One thread begins tries, and any may end them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """None yet."""
        self._clock = clock
        self._tries: defaultdict[Receiver, list[float]] = defaultdict(list)  # when those under way began
        self._again_at: dict[str, float] = {}  # when the last one that got no place is looked at again
        self._last: dict[str, bool] = {}  # whether the last try was quick, in the order of these tries
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)

    def until_room(self) -> float:
        """0 if there is a place; else for how many seconds to wait, unless a try ends before that."""
        with self._lock:
            now, all_tries = self._clock(), [at for tries in self._tries.values() for at in tries]
            if len(all_tries) >= UNDER_WAY:
                return AGAIN
            placed = [at for at in all_tries if now - at <= SLOW_AFTER]
            return min(placed) + SLOW_AFTER - now + 0.001 if len(placed) >= PLACES else 0.0

    def begin(self, receiver: Receiver) -> float | None:
        """Take a place for a try at this receiver; if it has no more, in how many seconds to look again."""
        with self._lock:
            now = self._clock()
            if self._has_place(receiver, now):
                self._tries[receiver].append(now)
                return None
            if len(self._again_at) >= REMEMBERED:
                self._again_at = {one: at for one, at in self._again_at.items() if at > now}
            key = receiver.place if self._last.get(receiver.place) else receiver.group
            at = self._again_at[key] = max(now + AGAIN, self._again_at.get(key, 0.0) + APART)
            return at - now

    def _has_place(self, receiver: Receiver, now: float) -> bool:
        last = self._last.get(receiver.place)
        if last:
            placed, slow = _counts(self._tries.get(receiver, ()), now)
            return slow < SLOW and placed < MOST
        together = placed_slow = own = own_slow = 0
        for one, tries in self._tries.items():
            quick = self._last.get(one.place)
            if not quick:
                placed, slow = _counts(tries, now)
                together += placed
                placed_slow += placed if quick is False else 0
                own += placed if one.group == receiver.group else 0
                own_slow += slow if one.group == receiver.group else 0
        if last is False and placed_slow >= SLOW:
            return False
        return own_slow < SLOW and own < UNKNOWN and together < MOST

    def end(self, receiver: Receiver, took: float) -> None:
        """A try has ended after so many seconds: the one that began first, since it does not matter which."""
        with self._ended:
            del self._tries[receiver][0]
            if not self._tries[receiver]:
                del self._tries[receiver]
            self._last.pop(receiver.place, None)
            self._last[receiver.place] = took <= SLOW_AFTER
            if len(self._last) > REMEMBERED:
                del self._last[next(iter(self._last))]
            self._ended.notify_all()

    def wait_for_all(self, timeout: float) -> None:
        """Wait until no try is under way, or for so many seconds."""
        with self._ended:
            self._ended.wait_for(lambda: not self._tries, timeout)


def _counts(tries: Iterable[float], now: float) -> tuple[int, int]:
    """How many of these tries have a place, and how many have lasted longer."""
    ages = [now - at for at in tries]
    slow = sum(age > SLOW_AFTER for age in ages)
    return len(ages) - slow, slow


def receiver_of(host: str, port: int | None, *, is_strangers: bool) -> Receiver:
    """The receiver at an address; `is_strangers`: a stranger named it, who may have many names."""
    host = host.rstrip(".")
    place = f"{host}:{port}"
    return Receiver(place, _group_of(host) if is_strangers else place)


def _group_of(host: str) -> str:
    """Its domain, or its network."""
    with suppress(OSError, ValueError):  # 0x7f.1, as the system's look-up reads it
        host = socket.inet_ntoa(socket.inet_aton(host))
    try:
        address = ip_address(host)
    except ValueError:
        return ".".join(host.split(".")[-2:])
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, PREFIX), strict=False))
