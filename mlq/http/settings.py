"""What an operator sets of the HTTP service, and the checks of it."""

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlq import InputError
from mlq.http.routes import Role

BODY_LIMIT = 64 * 1024 * 1024  # bytes of a request; a message may not be larger either
REQUEST_TIMEOUT = 30.0  # seconds that a client has to send its request
TOKENS = "MLQ_SERVE_TOKENS"  # the environment variable
TOKEN_LEAST = 16  # characters
LOOPBACK = ("localhost", "127.0.0.1", "::1")
ROLES = {"read": Role.READ, "post": Role.POST, "admin": Role.ADMIN}


@dataclass(frozen=True, slots=True)
class Settings:
    """How one server serves."""

    tokens: tuple[tuple[bytes, Role], ...] = ()  # none: whoever reaches the address may do everything
    origins: tuple[str, ...] = ()  # web pages of other origins that may use it (CORS)
    hosts: tuple[str, ...] = LOOPBACK  # names by which it may be called where there are no tokens
    rate: float | None = None  # requests per second of one token
    body_limit: int = BODY_LIMIT
    prefix: str = ""  # the path below which a proxy shows it
    proxies: int = 0  # proxies in front of it, whose X-Forwarded-For is believed
    request_timeout: float = REQUEST_TIMEOUT  # seconds
    access_log: bool = False
    is_local: bool = True  # bound to loopback


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
    return Settings(tokens, is_local=local, **others)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach a server at `address`."""
    try:
        return address in LOOPBACK or ipaddress.ip_address(address).is_loopback
    except ValueError:  # a name: who knows where it leads
        return False


def read_tokens(file: str | None) -> tuple[tuple[bytes, Role], ...]:
    """The tokens of a file and of MLQ_SERVE_TOKENS, one a line (there also with commas): `admin 9f86d081884c7d65`.

    Raises InputError.
    """
    lines = os.environ.get(TOKENS, "").replace(",", "\n").splitlines()
    if file is not None:
        try:
            lines += Path(file).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"can't read the tokens in {file}: {error}") from None
    wanted = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if file is not None and not wanted:  # else everybody could do everything, though tokens were asked for
        raise InputError(f"there is no token in {file}: write one a line, such as `admin 9f86d081884c7d65`")
    return tuple(_token(words) for words in wanted)


def _token(words: list[str]) -> tuple[bytes, Role]:
    if len(words) != 2 or words[0] not in ROLES:
        raise InputError(f"a token is written as a role ({', '.join(ROLES)}) and the token, not in {len(words)} words")
    if len(words[1]) < TOKEN_LEAST:
        raise InputError(f"a token has at least {TOKEN_LEAST} characters: openssl rand -hex 32 makes a good one")
    return words[1].encode(), ROLES[words[0]]
