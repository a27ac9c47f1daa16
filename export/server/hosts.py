"""By which names the server may be asked: another site can point a name of its own at this machine."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from export.server.bodies import refuse_unread
from export.server.refusals import refusal

HERE = frozenset({"localhost", "127.0.0.1", "::1"})
"""Host names by which a browser on this machine reaches the server."""


class KnownHosts:
    """ASGI middleware that passes on requests whose `Host` names this machine.

    Args:
        app: serves them.
        host: address that the server listens at.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = HERE | {host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 400."""
        if scope["type"] == "http" and _name(Headers(scope=scope).get("host", "")) not in self._names:
            sentence = "the Host header does not name this machine: ask at localhost, 127.0.0.1 or [::1]"
            await refuse_unread(refusal(HTTPStatus.BAD_REQUEST, sentence), scope, receive, send)
            return
        await self._app(scope, receive, send)


def _name(host: str) -> str:
    """A `Host` header without its port, and without the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
