"""Which addresses callbacks and webhooks may go to (protection against SSRF). Pure except for `find`.

Anybody who may post a job can make a worker send a request to any host, from inside its network. So the check applies
to the very addresses that are connected to: a name that is looked up twice may have another address the second time. If
a host has several addresses, all must be allowed, and so must the IPv4 addresses that IPv6 addresses map to.
"""

import ipaddress
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

from mlq.errors import InputError

SETTING = "MLQ_CALLBACK_TARGETS"  # the environment variable
LOCAL, PUBLIC = "local", "public"
NAME = re.compile(r"[\w-]+(\.[\w-]+)*\.?")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Always refused, unless the setting names a network that contains the address: link-local addresses, where clouds serve
# credentials to machines, their other addresses for that (Alibaba, Azure, Oracle, AWS, Google), addresses that are not
# a single host, IPv6 addresses that map to IPv4 in a way that only their operator knows, and route segments (SRv6).
REFUSED = _networks(
    "169.254.0.0/16", "fe80::/10", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::/32", "fd20:ce::254",
    "0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8", "255.255.255.255", "64:ff9b:1::/48", "::ffff:0:0:0/96",
    "5f00::/16",
)  # fmt: skip

# `public` allows GLOBAL without NOT_PUBLIC, by IANA's registries of special-purpose addresses. Python's `is_global`
# differs between patch versions, and allows whatever was assigned later. Of IPv6, only global unicast addresses are
# public, and NAT64 addresses if the IPv4 address that they map to is: a network without IPv4 needs them.
GLOBAL = _networks("0.0.0.0/0", "2000::/3", "64:ff9b::/96")
NOT_PUBLIC = _networks(
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/3",
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",  # Teredo and 6to4 among them
)  # fmt: skip
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")
ISATAP = (0x00005EFE, 0x02005EFE)  # bits 64 to 95 of an address that ends with an IPv4 one


class TargetRefused(Exception):
    """A callback or webhook may not be sent to this host."""


class Targets:
    """What `MLQ_CALLBACK_TARGETS` allows.

    `local` (the default): all but REFUSED. `public`: no private, loopback or shared addresses either. Otherwise a
    comma-separated list of host names, addresses and networks, and only these are allowed; a host name never allows an
    address in REFUSED.
    """

    def __init__(self, setting: str = "") -> None:
        """Raises InputError."""
        self._is_set = bool(setting.strip())
        self._setting = setting.strip().lower() or LOCAL
        self._names: set[str] = set()
        self._networks: list[Network] = []
        if self._setting not in (LOCAL, PUBLIC):
            for word in filter(None, (word.strip() for word in self._setting.split(","))):
                self._allow(word)

    @classmethod
    def of_environment(cls) -> "Targets":
        """Raises InputError."""
        return cls(os.environ.get(SETTING, ""))

    def for_strangers(self) -> "Targets":
        """The rules for URLs that came in over HTTP with a token: `public`, unless the environment sets something."""
        return self if self._is_set else Targets(PUBLIC)

    def _allow(self, word: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(word))
        except ValueError as error:
            if word in (LOCAL, PUBLIC) or not NAME.fullmatch(word) or word.replace(".", "").isdigit():
                raise InputError(
                    f"{SETTING} must be {LOCAL}, {PUBLIC}, or a comma-separated list of host names and networks, "
                    f"and {word!r:.80} is neither ({error})"
                ) from None
            self._names.add(word.rstrip("."))

    def check(self, host: str, addresses: list[str]) -> None:
        """Raises TargetRefused unless all `addresses` of `host` are allowed."""
        for address in addresses:
            if not self._allows(host.lower().rstrip("."), ipaddress.ip_address(address)):
                which = host if host == address else f"{host} ({address})"
                raise TargetRefused(f"{which} is refused as a target by {SETTING}={self._setting:.80}")

    def _allows(self, host: str, address: Address) -> bool:
        forms = tuple(forms_of(address))
        if any(forms[0] in network for network in self._networks):
            return True
        if any(form in network for form in forms for network in REFUSED):
            return False
        if self._setting == LOCAL:
            return True
        if self._setting == PUBLIC:
            return _is_public(address) and all(map(_is_public, forms))
        return host in self._names


def trusts_strangers() -> bool:
    """Whether the environment allows strangers' URLs to go to the same targets as ours.

    Only an explicit `local` does. A narrower setting may be known only to the HTTP service; workers without it would
    allow everything.
    """
    return os.environ.get(SETTING, "").strip().lower() == LOCAL


def _is_public(address: Address) -> bool:
    """Whether it belongs to one host on the internet, and is not an IPv4 address in the form of an IPv6 one."""
    return any(address in network for network in GLOBAL) and not any(address in network for network in NOT_PUBLIC)


def forms_of(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 addresses that it maps to; of an IPv4-mapped IPv6 address, only its IPv4 address."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    yield address
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    interface = int(address) >> 32 & 0xFFFFFFFF
    if address in NAT64 or interface in ISATAP or (address in IPV4_COMPATIBLE and int(address) > 1):
        yield low
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo


def find(host: str, port: int, seconds: float) -> list[str]:
    """The addresses of a host, in the order in which to try them. Raises OSError, TimeoutError.

    Uses a thread, since a resolver that hangs can't be interrupted.
    """
    with suppress(ValueError):
        return [str(ipaddress.ip_address(host))]
    found: list[str] = []
    trouble: list[Exception] = []

    def ask() -> None:
        try:
            for *_, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                found.append(str(where[0]))
        except (OSError, UnicodeError) as error:
            trouble.append(error)

    thread = threading.Thread(target=ask, name="mlq-resolve", daemon=True)
    thread.start()
    thread.join(seconds)
    if trouble:
        raise OSError(f"no address is known for {host}: {trouble[0]}")
    if thread.is_alive() or not found:
        raise TimeoutError(f"no address was found for {host} within {seconds:g} s")
    return list(dict.fromkeys(found))
