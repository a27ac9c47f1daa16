"""One HTTP connection: uvicorn's, with a deadline for heads, and with every refusal in JSON."""

import asyncio
import logging
from http import HTTPStatus
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from export.server.bodies import refuse_unread
from export.server.refusals import refusal
from export.server.settings import ServerSettings

log = logging.getLogger(__name__)

FRAMED_TWICE = (
    "the request has both Content-Length and Transfer-Encoding, which others read differently: send one of them"
)


def connection_of(settings: ServerSettings) -> type[H11Protocol]:
    """Uvicorn's protocol with the server's limits.

    - A connection whose request head is not complete `headers_seconds` after its start is closed; uvicorn alone would
      wait for ever. The clock starts with the connection, and after an answer with the next byte; between requests
      uvicorn's own timeout for idle connections applies.
    - A request beyond the number of connections is refused.
    - A request whose length is given twice is refused, and the connection closed (RFC 9112, 6.3): a proxy in front that
      reads the other length would take the rest of one client's body for the next request.
    """

    class Connection(H11Protocol):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._deadline: asyncio.TimerHandle | None = None
            self._served: ASGIApp = self.app
            self.app = self._serve

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._deadline = self.loop.call_later(settings.headers_seconds, self.transport.abort)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is not h11.IDLE:
                self._stop()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(settings.headers_seconds, self.transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            """Answer what is no HTTP request, as uvicorn does, but in JSON."""
            answer = refusal(HTTPStatus.BAD_REQUEST, msg, {"Connection": "close"})
            status = HTTPStatus.BAD_REQUEST
            head = h11.Response(status_code=status, headers=answer.raw_headers, reason=status.phrase.encode())
            for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

        def _unsupported_upgrade_warning(self) -> None:
            """Say nothing: a request to upgrade is answered without, and uvicorn's advice to install more is wrong."""

        async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
            names = {name for name, _ in scope["headers"]}
            if len(self.connections) > settings.connections:
                log.warning("more than %s connections: one was refused", settings.connections)
                sentence = f"the server has {settings.connections} connections already: send this again later"
                headers = {"Connection": "close", "Retry-After": "1"}
                await refusal(HTTPStatus.SERVICE_UNAVAILABLE, sentence, headers)(scope, receive, send)
            elif {b"content-length", b"transfer-encoding"} <= names:
                await refuse_unread(refusal(HTTPStatus.BAD_REQUEST, FRAMED_TWICE), scope, receive, send)
            else:
                await self._served(scope, receive, send)

        def _stop(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return Connection
