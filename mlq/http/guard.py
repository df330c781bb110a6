"""Access control: tokens and their roles, rates, allowed web pages and host names.

Without tokens the service is only for programs on this machine, not for web pages in a user's browser. So requests must
name a loopback host (else a page whose DNS name was pointed here could read everything), and requests that change
something must have no `Origin`, or an allowed one.
"""

import functools
import hmac
import threading
import time
from urllib.parse import urlsplit

from flask import Flask, Response, request

from mlq.http.problems import Refused
from mlq.http.routes import Role, Route
from mlq.http.settings import Settings

SAFE = ("GET", "HEAD", "OPTIONS")
KEPT = 600  # seconds for which a browser caches what web pages may do
BURST = 2.0  # how many seconds' worth of requests may come at once
HEADERS = "Accept, Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Prefer, Range, X-API-Key"
EXPOSED = "Content-Disposition, ETag, Location, MLQ-Job-State, Preference-Applied, Retry-After"


class Guard:
    """Checks every request of one application."""

    def __init__(self, settings: Settings, routes: list[Route]) -> None:
        """`routes`: the routes whose roles are enforced."""
        self._settings = settings
        self._roles = {f"{route.method} {route.path}": route.role for route in routes}
        self._rates = {token: _Rate(settings.rate) for token, _ in settings.tokens} if settings.rate else {}

    def install(self, app: Flask) -> None:
        """Check every request of `app`, and add headers to every answer."""
        app.before_request(self._check)
        app.after_request(self._add_headers)

    def _check(self) -> Response | None:
        if request.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.environ:
            return Response(status=204)  # the headers say what the page may do
        wanted = self._roles.get(request.endpoint or "", Role.NOBODY)
        if self._settings.tokens:
            self._check_token(wanted)
        else:
            self._check_place()
        return None

    def _check_token(self, wanted: Role) -> None:
        if wanted is Role.NOBODY:
            return
        given = _given_token()
        found = _known(self._settings, given)
        if found is None:
            why = "this token is unknown" if given else "send a token: Authorization: Bearer <token>"
            raise Refused(401, why, headers={"WWW-Authenticate": 'Bearer realm="mlq"'})
        if found[1] < wanted:
            raise Refused(403, f"this token has the role {found[1].name.lower()}; {wanted.name.lower()} is required")
        if self._rates and (wait := self._rates[found[0]].take()):
            raise Refused(429, f"more than {self._settings.rate:g} requests a second with this token",
                          headers={"Retry-After": str(int(wait) + 1)})  # fmt: skip

    def _check_place(self) -> None:
        environ = request.environ  # `request.headers` takes 2 us per access
        host = _host_in(f"//{environ.get('HTTP_HOST') or 'localhost'}")
        # if a proxy passes on the client's own X-Forwarded-Host, the original Host must be allowed as well
        called = (environ.get("werkzeug.proxy_fix.orig") or {}).get("HTTP_HOST")
        for name in (host, _host_in(f"//{called}")) if called else (host,):
            if name not in self._settings.hosts:
                raise Refused(403, f"the host name {name:.100} is not allowed: allow it with --host-name")
        origin = environ.get("HTTP_ORIGIN")
        if origin and environ["REQUEST_METHOD"] not in SAFE and not (self._allows(origin) or _is_own(origin, host)):
            raise Refused(403, f"web pages of {origin:.100} may not do this: allow them with --cors")

    def _allows(self, origin: str) -> bool:
        """Whether web pages of that origin may use the service."""
        return origin in self._settings.origins or "*" in self._settings.origins

    def _add_headers(self, answer: Response) -> Response:
        answer.headers.setdefault("X-Content-Type-Options", "nosniff")
        origin = request.environ.get("HTTP_ORIGIN")
        if origin and self._allows(origin):
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Expose-Headers"] = EXPOSED
            answer.headers.add("Vary", "Origin")
            if request.method == "OPTIONS":
                answer.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, DELETE"
                answer.headers["Access-Control-Allow-Headers"] = HEADERS
                answer.headers["Access-Control-Max-Age"] = str(KEPT)
        return answer


def may(settings: Settings, role: Role) -> bool:
    """Whether this request, to a route for everybody, comes from a client that also has this role."""
    if not settings.tokens:
        return True
    found = _known(settings, _given_token())
    return found is not None and found[1] >= role


def owner(settings: Settings) -> bytes:
    """Who makes this request: its token, or nothing where there are none and all is one user's."""
    found = _known(settings, _given_token())
    return found[0] if found is not None else b""


def _known(settings: Settings, given: bytes) -> tuple[bytes, Role] | None:
    found = None
    for token, role in settings.tokens:  # always all of them, so that the time reveals nothing
        if hmac.compare_digest(token, given):
            found = token, role
    return found


def _given_token() -> bytes:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    given = token.strip() if kind.lower() == "bearer" else request.headers.get("X-API-Key", "")
    return given.encode("latin-1", "replace")  # the original bytes, which WSGI decodes as Latin-1


def _is_own(origin: str, host: str) -> bool:
    """Whether the page is from this service itself: from the same host and port."""
    return _host_in(origin) == host and origin.partition("//")[2] == request.environ.get("HTTP_HOST")


@functools.lru_cache(maxsize=64)  # it is nearly always the same host
def _host_in(url: str) -> str:
    """The host in a URL; empty if the URL is invalid."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


class _Rate:
    """Allows a number of requests a second, on average; each process counts separately."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate or 1.0
        self._most = max(1.0, self._rate * BURST)
        self._left = self._most
        self._at = time.monotonic()
        self._lock = threading.Lock()

    def take(self) -> float:
        """0 if the request is allowed, else the seconds until the next one is."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self._most, self._left + (now - self._at) * self._rate)
            self._at = now
            if self._left < 1:
                return (1 - self._left) / self._rate
            self._left -= 1
            return 0.0
