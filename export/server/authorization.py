"""Who may ask: a bearer token, demanded wherever the server can be reached from another machine."""

import hmac
import ipaddress
import os
from http import HTTPStatus
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from cache import UserError
from cache.errors import first_line
from export.server.bodies import refuse_unread
from export.server.page import FILES
from export.server.refusals import refusal

VARIABLE = "ARMORM_TOKEN"
"""Environment variable with the token, for servers without a token file."""

SHORTEST_TOKEN = 16
"""Smallest number of characters. Guessing is not slowed down, so that the token itself must be out of its reach."""

OPEN = frozenset({*FILES, "/health"})
"""Paths that need no token: the page, which asks the user for it, and the health check of load balancers."""


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach a server at this host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_token(host: str, token_file: Path | None) -> bytes | None:
    """The token that requests must carry; None if there is none and the host is a loopback address.

    Raises:
        UserError: the file cannot be read, the token is unfit, or a host beyond loopback has none.
    """
    if token_file is not None:
        try:
            token, source = token_file.read_text(encoding="utf-8").strip(), str(token_file)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"--token-file: {token_file} cannot be read ({first_line(error)}): name a text file of yours"
            ) from None
    elif VARIABLE in os.environ:
        token, source = os.environ[VARIABLE].strip(), f"the environment's {VARIABLE}"
    elif is_loopback(host):
        return None
    else:
        raise UserError(
            f"--host {host} can be reached from other machines, which needs a token: set {VARIABLE}, or name a file"
            " with --token-file (`openssl rand -hex 32` makes one)"
        )
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise UserError(
            f"{source} is no token: give one of {SHORTEST_TOKEN} or more ASCII characters without spaces"
            " (`openssl rand -hex 32` makes one)"
        )
    return token.encode()


class Authorization:
    """ASGI middleware that passes on requests with the token; the others are refused before their body is read."""

    def __init__(self, app: ASGIApp, token: bytes | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] == "http" and self._token is not None and scope["path"] not in OPEN:
            kind, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
            allowed = hmac.compare_digest(given.strip().encode(), self._token)
            if kind.lower() != "bearer" or not allowed:
                sentence = "this server needs the header `Authorization: Bearer TOKEN` with its token"
                answer = refusal(HTTPStatus.UNAUTHORIZED, sentence, {"WWW-Authenticate": "Bearer"})
                await refuse_unread(answer, scope, receive, send)
                return
        await self._app(scope, receive, send)
