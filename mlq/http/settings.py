"""What an operator sets of the HTTP service, and the checks of it."""

import ipaddress
import os
import re
import stat
from dataclasses import dataclass, field
from typing import Any

import click

from mlq import InputError
from mlq.http.routes import Role

BODY_LIMIT = 64 * 1024 * 1024  # bytes of a request; a message may not be larger either
REQUEST_TIMEOUT = 30.0  # seconds that a client has to send its request
CONNECTIONS = 4096  # 0.1 to 0.6 GB where each has an event stream, and 16 kB each where it has half a request
TOKENS = "MLQ_SERVE_TOKENS"  # the environment variable
LOCAL_UPLOADS = "MLQ_SERVE_LOCAL_UPLOADS"  # of the option --local-uploads
TOKEN_LEAST = 16  # characters
LOOPBACK = ("localhost", "127.0.0.1", "::1")
ROLES = {"read": Role.READ, "post": Role.POST, "admin": Role.ADMIN}
_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^\[\]:/?#@]+)(:(?P<port>[0-9]{1,5}))?")
_USUAL = (("http", "80"), ("https", "443"))  # ports that browsers leave out


@dataclass(frozen=True, slots=True)
class Settings:
    """How one server serves."""

    tokens: tuple[tuple[bytes, Role], ...] = field(
        default=(), repr=False
    )  # none: whoever reaches the address may do everything
    origins: tuple[str, ...] = ()  # web pages of other origins that may use it (CORS)
    hosts: tuple[str, ...] = LOOPBACK  # names by which it may be called where there are no tokens
    rate: float | None = None  # requests per second of one token
    body_limit: int = BODY_LIMIT
    prefix: str = ""  # the path below which a proxy shows it
    proxies: int = 0  # proxies in front of it, whose X-Forwarded-For is believed
    request_timeout: float = REQUEST_TIMEOUT  # seconds
    connections: int = CONNECTIONS  # at a time, event streams among them
    access_log: bool = False
    is_local: bool = True  # bound to loopback
    local_uploads: bool = False  # whoever reaches it may upload where there are no tokens


def settings_for(address: str, tokens: tuple[tuple[bytes, Role], ...], **others: Any) -> Settings:
    """The settings of a server at `address`. Raises InputError where everybody on the network could use it."""
    local = is_loopback(address)
    if not (local or tokens):
        raise InputError(
            f"serving at {address} lets everybody who reaches it post jobs: name tokens with --token-file, or in "
            f"{TOKENS} (`admin 9f86...`, one a line), or serve at 127.0.0.1"
        )
    if local and address not in LOOPBACK:  # 127.0.0.2 is a name of it, too
        others["hosts"] = (*others.get("hosts", LOOPBACK), address)
    others["origins"] = tuple(map(_origin, others.get("origins", ())))
    others["hosts"] = tuple(map(_host, others.get("hosts", LOOPBACK)))
    return Settings(tokens, is_local=local, **others)


def _origin(given: str) -> str:
    """An origin as browsers send it; with anything else no page would ever match."""
    origin = given.lower()
    found = _ORIGIN.fullmatch(origin)
    if origin != "*" and (found is None or found.group("scheme", "port") in _USUAL or not _is_host(found["host"])):
        raise InputError(
            f"--cors takes * or origins as browsers send them, https://app.example or http://localhost:3000: no path, "
            f"no slash at the end, and no port where it is the usual one; not {given!r:.200}"
        )
    return origin


def _host(given: str) -> str:
    """A name as the guard compares it."""
    name = given.lower()
    if _is_host(f"[{name}]"):
        return name
    if not _is_host(name):
        raise InputError(f"--host-name takes names alone, such as gpu-box: no scheme, port or path; not {given!r:.200}")
    return name.strip("[]")


def _is_host(name: str) -> bool:
    """Whether it is a host as URLs have it: an IPv6 address stands in brackets."""
    if not (name.startswith("[") and name.endswith("]")):
        return _NAME.fullmatch(name) is not None
    try:
        return ipaddress.IPv6Address(name[1:-1]) is not None
    except ValueError:
        return False


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach a server at `address`."""
    try:
        return address in LOOPBACK or ipaddress.ip_address(address).is_loopback
    except ValueError:  # a name: who knows where it leads
        return False


def local_uploads() -> bool:
    """What MLQ_SERVE_LOCAL_UPLOADS says, in the words that `mlq serve` takes (1, true, yes, on). Raises InputError."""
    try:
        return bool(click.BOOL.convert(os.environ.get(LOCAL_UPLOADS) or "0", None, None))
    except click.BadParameter as error:
        raise InputError(f"{LOCAL_UPLOADS}: {error.message}") from None


def read_tokens(file: str | None) -> tuple[tuple[bytes, Role], ...]:
    """The tokens of a file and of MLQ_SERVE_TOKENS, one a line (there also with commas): `admin 9f86d081884c7d65`.

    Raises InputError.
    """
    given = os.environ.get(TOKENS, "").replace(",", "\n").splitlines()
    tokens = [_token(words, f"{TOKENS}, entry {number}") for number, words in _entries(given)]
    if file is None:
        return tuple(tokens)
    try:
        lines = _read(file).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't read the tokens in {file}: {error}") from None
    tokens += [_token(words, f"{file}, line {number}") for number, words in _entries(lines)]
    if not tokens:  # else everybody could do everything, though tokens were asked for
        raise InputError(f"there is no token in {file}: write one a line, such as `admin 9f86d081884c7d65`")
    return tuple(tokens)


def _read(file: str) -> str:
    """The file's text; refused if others may read it, or group or others may write it.

    Raises OSError (PermissionError where it is refused) and UnicodeDecodeError.

    Kubernetes and Docker mount secrets so that all may read them, in a place of the container's own. Such mounts are
    read-only, which tells them from a file that somebody left open on a host that others use.
    """
    with open(file, encoding="utf-8") as opened:
        mode = os.fstat(opened.fileno()).st_mode
        mounted = os.fstatvfs(opened.fileno()).f_flag & os.ST_RDONLY
        if stat.S_ISREG(mode) and mode & 0o026 and not mounted:
            raise PermissionError("others can read or change it: chmod 600 (640 where a group is to read it)")
        return opened.read()


def _entries(lines: list[str]) -> list[tuple[int, list[str]]]:
    """The words of each line that says something, and its number."""
    split = [(number, line.split()) for number, line in enumerate(lines, 1)]
    return [(number, words) for number, words in split if words and not words[0].startswith("#")]


def _token(words: list[str], place: str) -> tuple[bytes, Role]:
    """One of them. Raises InputError, which must not show a token to whoever reads the log."""
    roles = ", ".join(ROLES)
    if len(words) != 2:
        raise InputError(f"{place}: write a role ({roles}) and the token, two words, not {len(words)}")
    role, token = words
    if role not in ROLES:
        # a long word, or one before a role, may be the token itself
        shown = f" {role!r}" if len(role) < TOKEN_LEAST and token not in ROLES else ""
        raise InputError(f"{place}: the first word{shown} is no role: write {roles}, and then the token")
    if len(token) < TOKEN_LEAST:
        raise InputError(
            f"{place}: a token has at least {TOKEN_LEAST} characters: openssl rand -hex 32 makes a good one"
        )
    return token.encode(), ROLES[role]
