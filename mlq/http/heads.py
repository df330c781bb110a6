"""Parses the head of a request, strictly: everything that a proxy in front may understand differently is refused."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

END = b"\r\n\r\n"
LONGEST = 16_384  # bytes of the request line and all headers
MOST = 100  # headers
PARAMETERS = 200  # of the query: 100 functions, and the options
STRUCTURED = 1000  # bytes of a header with a structure, which takes up to 1 us per byte to parse
_STRUCTURED = ("CONTENT_TYPE", "HTTP_PREFER", "HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH", "HTTP_IF_RANGE", "HTTP_RANGE",
               "HTTP_CACHE_CONTROL", "HTTP_AUTHORIZATION")  # fmt: skip

# RFC 9112, sections 3 and 5, except that the target may be raw UTF-8, which curl can send. Possessive quantifiers like
# `++` prevent backtracking, so the time grows only with the length
_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([^\x00-\x20\x7f]++) HTTP/1\.([01])\r\n")
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*+")
_BARE = re.compile(rb"(?<!\r)\n")
_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)
_HOST = re.compile(r"(?:[A-Za-z0-9._~%!$&'()*+,;=-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_LENGTH = re.compile("[0-9]{1,18}")  # `int` accepts "+9" and "0_0", too
_ONCE = frozenset({"HTTP_HOST", "CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"})
_BARE_NAMES = ("CONTENT_TYPE", "CONTENT_LENGTH")  # WSGI gives these no HTTP_
_names: dict[bytes, str] = {}  # the WSGI names of headers
_NAMES = 256  # how many of them are cached


class Broken(ValueError):
    """A malformed request; nothing more is read from its connection."""

    def __init__(self, reason: str, status: int = 400) -> None:
        """`reason`: a text for people."""
        super().__init__(reason)
        self.status = status


@dataclass(slots=True)
class Head:
    """The head of a request: its first line and its headers."""

    method: str
    target: str  # as it was sent; bytes beyond ASCII are decoded as Latin-1, as in WSGI
    path: str  # decoded
    query: str
    minor: int  # of HTTP/1.x
    fields: dict[str, str] = field(default_factory=dict)  # headers by their WSGI names
    length: int = 0  # bytes of the body; unknown if it is chunked
    chunked: bool = False

    @property
    def has_body(self) -> bool:
        """Whether a body follows."""
        return self.chunked or self.length > 0

    @property
    def keeps(self) -> bool:
        """Whether the client may make another request on this connection."""
        wanted = self.fields.get("HTTP_CONNECTION", "").lower()
        return "close" not in wanted if self.minor else "keep-alive" in wanted


def has_bare_newline(some: bytes, start: int) -> bool:
    """Whether a line of an incomplete head ends with a newline without CR: such a head would never end."""
    return _BARE.search(some, start) is not None


def read_head(head: bytes) -> Head:
    """Parse a head; each of its lines ends with CRLF. Raises Broken."""
    line = _REQUEST.match(head)
    if line is None:
        raise Broken("the first line is not a request of HTTP/1.0 or 1.1")
    if _FIELDS.fullmatch(head, line.end()) is None:
        raise Broken("a malformed header line")
    lines = head[line.end() :].split(b"\r\n")
    if len(lines) > MOST + 1:
        raise Broken(f"more than {MOST} headers", 431)
    made, authority = _without_headers(line[1].decode(), line[2], int(line[3]))
    for name, _, value in (one.partition(b":") for one in lines[:-1]):
        _add(made.fields, name, value.strip(b" \t").decode("latin-1"))
    if made.minor and "HTTP_HOST" not in made.fields:
        raise Broken("HTTP/1.1 requires the header Host")
    if authority is not None:  # it takes precedence over the header: RFC 9112, section 3.2.2
        made.fields["HTTP_HOST"] = authority
    _check(made)
    return made


def _without_headers(method: str, raw: bytes, minor: int) -> tuple[Head, str | None]:
    """A head without headers, and the host and port that its target names, if any."""
    try:
        raw.decode()  # Flask assumes that it is UTF-8
    except UnicodeDecodeError:
        raise Broken("the address is not UTF-8") from None
    place = target = raw.decode("latin-1")
    authority = None
    if not target.startswith("/"):
        found = _ABSOLUTE.fullmatch(target)
        if found is None:
            raise Broken("the address does not begin with a slash")
        authority = found[1]
        place = found[2] if found[2].startswith("/") else f"/{found[2]}"
    path, _, query = place.partition("?")
    if "%" in path:
        path = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
    return Head(method, target, path, query, minor), authority


def _add(fields: dict[str, str], raw: bytes, value: str) -> None:
    """Add one header, unless it is one that is dropped."""
    name = _names.get(raw) or _named(raw)
    if not name:
        return
    if name not in fields:
        fields[name] = value
    elif name not in _ONCE:
        fields[name] += ("; " if name == "HTTP_COOKIE" else ",") + value
    else:
        raise Broken(f"two headers {raw.decode()}")


def _named(raw: bytes) -> str:
    """The WSGI name of a header; empty for headers that are dropped.

    Names with a `_` are dropped because WSGI can't distinguish them from those with a `-`. `Upgrade` is ignored, as
    RFC 9110, section 7.8, allows; Flask would take the request for one of WebSocket.
    """
    if b"_" in raw or raw.lower() == b"upgrade":
        return ""
    name = raw.decode().upper().replace("-", "_")
    name = name if name in _BARE_NAMES else f"HTTP_{name}"
    if len(_names) < _NAMES:
        _names[raw] = name
    return name


def _check(head: Head) -> None:
    """Check the host, what takes long to parse, and the length of the body, which is set. Raises Broken."""
    if head.query.count("&") >= PARAMETERS:
        raise Broken(f"more than {PARAMETERS} parameters in the query")
    for name in _STRUCTURED:
        if len(head.fields.get(name, "")) > STRUCTURED:
            raise Broken(f"the header {name.removeprefix('HTTP_').replace('_', '-').title()} is too long", 431)
    if _HOST.fullmatch(head.fields.get("HTTP_HOST", "")) is None:
        raise Broken("an invalid Host")
    length, encoding = head.fields.get("CONTENT_LENGTH"), head.fields.get("HTTP_TRANSFER_ENCODING")
    if encoding is not None:
        if length is not None:
            raise Broken("two headers that say how long the body is")
        if encoding.lower() != "chunked" or not head.minor:
            raise Broken("a transfer encoding other than chunked, or in HTTP/1.0")
        head.chunked = True
    elif length is not None:
        if _LENGTH.fullmatch(length) is None:
            raise Broken("a length that is not a number")
        head.length = int(length)
