"""The settings of the HTTP service, and their checks."""

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
FILE_LIMIT = 200 * 1024 * 1024  # bytes of a file that is uploaded for batches: as in OpenAI's API
FILES_LIMIT = 10 * 1024**3  # bytes of all files together
CONNECTIONS = 4096  # 0.1 to 0.6 GB if each is an event stream; 16 kB each if it has sent half a request
TOKENS = "MLQ_SERVE_TOKENS"  # the environment variable
LOCAL_UPLOADS = "MLQ_SERVE_LOCAL_UPLOADS"  # the environment variable of the option --local-uploads
TOKEN_LEAST = 16  # characters
LOOPBACK = ("localhost", "127.0.0.1", "::1")
ROLES = {"read": Role.READ, "post": Role.POST, "admin": Role.ADMIN}
_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^\[\]:/?#@]+)(:(?P<port>[0-9]{1,5}))?")
_DEFAULT_PORTS = (("http", "80"), ("https", "443"))  # browsers leave them out


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one HTTP server."""

    tokens: tuple[tuple[bytes, Role], ...] = field(
        default=(), repr=False
    )  # none: everybody who reaches the address may do everything
    origins: tuple[str, ...] = ()  # other origins whose web pages may use it (CORS)
    hosts: tuple[str, ...] = LOOPBACK  # names by which it may be called if there are no tokens
    rate: float | None = None  # requests per second of one token
    body_limit: int = BODY_LIMIT
    prefix: str = ""  # the path below which a proxy serves it
    proxies: int = 0  # the number of proxies in front of it, whose X-Forwarded-For is trusted
    request_timeout: float = REQUEST_TIMEOUT  # seconds
    connections: int = CONNECTIONS  # at a time, including event streams
    access_log: bool = False
    is_local: bool = True  # bound to loopback
    local_uploads: bool = False  # if there are no tokens, everybody who reaches it may upload
    places: tuple[str, ...] = ()  # directories and URLs below which clients may have files predicted
    files: str | None = None  # the directory that keeps uploaded files and those of batches; None: there are none
    file_limit: int = FILE_LIMIT  # bytes of an uploaded file
    files_limit: int = FILES_LIMIT  # bytes of all files together, from which on no more are accepted
    failed_is_200: bool = False  # as in the first MLQ: the result of a failed job, as text, is that of its error


def settings_for(address: str, tokens: tuple[tuple[bytes, Role], ...], **others: Any) -> Settings:
    """The settings of a server at `address`. Raises InputError if everybody on the network could use it."""
    local = is_loopback(address)
    if not (local or tokens):
        raise InputError(
            f"serving at {address} lets everybody who reaches it post jobs: set tokens with --token-file, or in "
            f"{TOKENS} (`admin 9f86...`, one per line), or serve at 127.0.0.1"
        )
    if local and address not in LOOPBACK:  # such as 127.0.0.2, which must be allowed as a host, too
        others["hosts"] = (*others.get("hosts", LOOPBACK), address)
    others["origins"] = tuple(map(_origin, others.get("origins", ())))
    others["hosts"] = tuple(map(_host, others.get("hosts", LOOPBACK)))
    return Settings(tokens, is_local=local, **others)


def _origin(given: str) -> str:
    """An origin as browsers send it; anything else would never match."""
    origin = given.lower()
    found = _ORIGIN.fullmatch(origin)
    valid = found is not None and found.group("scheme", "port") not in _DEFAULT_PORTS and _is_host(found["host"])
    if origin != "*" and not valid:
        raise InputError(
            f"--cors takes * or origins as browsers send them, https://app.example or http://localhost:3000: no path, "
            f"no slash at the end, and no port if it is the default one; not {given!r:.200}"
        )
    return origin


def _host(given: str) -> str:
    """A host name in the form in which the guard compares it."""
    name = given.lower()
    if _is_host(f"[{name}]"):
        return name
    if not _is_host(name):
        raise InputError(f"--host-name takes only names, such as gpu-box: no scheme, port or path; not {given!r:.200}")
    return name.strip("[]")


def _is_host(name: str) -> bool:
    """Whether it is a valid host of a URL, where an IPv6 address is in brackets."""
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
    except ValueError:  # a name, which may resolve to any address
        return False


def local_uploads() -> bool:
    """The value of MLQ_SERVE_LOCAL_UPLOADS, as `mlq serve` accepts it (1, true, yes, on). Raises InputError."""
    try:
        return bool(click.BOOL.convert(os.environ.get(LOCAL_UPLOADS) or "0", None, None))
    except click.BadParameter as error:
        raise InputError(f"{LOCAL_UPLOADS}: {error.message}") from None


def read_tokens(file: str | None) -> tuple[tuple[bytes, Role], ...]:
    """The tokens in a file and in MLQ_SERVE_TOKENS, one per line, such as `admin 9f86d081884c7d65`.

    In the variable, commas may separate them, too. Raises InputError.
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
    if not tokens:  # else everybody could do everything, although the operator wants tokens
        raise InputError(f"there is no token in {file}: write one per line, such as `admin 9f86d081884c7d65`")
    return tuple(tokens)


def _read(file: str) -> str:
    """The file's text. A file that others may read, or that group or others may write, is refused.

    Raises OSError (PermissionError if it is refused) and UnicodeDecodeError.

    Kubernetes and Docker mount secrets within the container so that everybody may read them. Such mounts are read-only,
    unlike a file that was left readable by mistake on a shared host.
    """
    with open(file, encoding="utf-8") as opened:
        mode = os.fstat(opened.fileno()).st_mode
        mounted = os.fstatvfs(opened.fileno()).f_flag & os.ST_RDONLY
        if stat.S_ISREG(mode) and mode & 0o026 and not mounted:
            raise PermissionError("others can read or change it: chmod 600 (640 if a group should read it)")
        return opened.read()


def _entries(lines: list[str]) -> list[tuple[int, list[str]]]:
    """The number and the words of each line that is neither empty nor a comment."""
    split = [(number, line.split()) for number, line in enumerate(lines, 1)]
    return [(number, words) for number, words in split if words and not words[0].startswith("#")]


def _token(words: list[str], place: str) -> tuple[bytes, Role]:
    """One token. Raises InputError, whose text must not contain a token, since it may be logged."""
    roles = ", ".join(ROLES)
    if len(words) != 2:
        raise InputError(f"{place}: write a role ({roles}) and the token, two words, not {len(words)}")
    role, token = words
    if role not in ROLES:
        # a long word, or one before a role, may be the token itself
        shown = f" {role!r}" if len(role) < TOKEN_LEAST and token not in ROLES else ""
        raise InputError(f"{place}: the first word{shown} is not a role: write {roles}, and then the token")
    if len(token) < TOKEN_LEAST:
        raise InputError(
            f"{place}: a token must have at least {TOKEN_LEAST} characters: openssl rand -hex 32 makes a good one"
        )
    return token.encode(), ROLES[role]
