"""Request bodies are read whole before they are used, within limits on size, time, and their sum over all requests."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from export.server.leaving import ClientLeft, unless_left
from export.server.parsing_turns import LARGE_BYTES, ParsingTurns
from export.server.refusals import refusal
from export.server.settings import ServerSettings

LINGER_SECONDS = 1.0
"""Seconds for which a refused body is still read and discarded. Closing a connection with unread bytes resets it, and
the client may lose the answer that says why."""


class _TooLongError(Exception):
    """The body is longer than allowed."""


class _TooMuchError(Exception):
    """All bodies together are more than allowed."""


class _GoneError(Exception):
    """The client left before its body was whole."""


class Bodies:
    """ASGI middleware that passes on requests with complete bodies, and refuses the others."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings
        self._held_bytes = 0  # of all bodies, also those being read
        self._turns = ParsingTurns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body; pass the request on with it, or answer 408, 413 or 429."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(self._settings.body_seconds):
                    await self._read(scope, receive, body)
            except _GoneError:
                return
            except (_TooLongError, _TooMuchError, TimeoutError) as reason:
                answer = self._refusal(reason)
            else:
                await self._pass_on(bytes(body), scope, receive, send)
                return
        finally:
            self._held_bytes -= len(body)
        await refuse_unread(answer, scope, receive, send)

    async def _pass_on(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        if len(body) <= LARGE_BYTES:
            await self._app(scope, _replaying(body, receive, lambda: None), send)
            return
        try:
            await unless_left(receive, self._turns.wait())
        except ClientLeft:
            return
        given = False

        def begin() -> None:
            nonlocal given
            given = True
            self._turns.begin()

        try:
            await self._app(scope, _replaying(body, receive, begin), send)
        finally:
            if not given:
                self._turns.unused()

    async def _read(self, scope: Scope, receive: Receive, body: bytearray) -> None:
        most = self._settings.body_bytes
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > most:
            raise _TooLongError
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _GoneError
            part = message.get("body", b"")
            if len(body) + len(part) > most:
                raise _TooLongError
            if self._held_bytes + len(part) > self._settings.held_bytes:
                raise _TooMuchError
            body += part
            self._held_bytes += len(part)
            if not message.get("more_body", False):
                return

    def _refusal(self, reason: Exception) -> Response:
        if isinstance(reason, _TooLongError):
            sentence = (
                f"the body is longer than {self._settings.body_bytes:,} bytes: send fewer conversations at a time"
            )
            return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)
        if isinstance(reason, _TooMuchError):
            sentence = "the server holds as many requests as it may: send this one again later"
            return refusal(HTTPStatus.TOO_MANY_REQUESTS, sentence, {"Retry-After": "1"})
        sentence = f"the body did not come whole within {self._settings.body_seconds:g} seconds: send it again"
        return refusal(HTTPStatus.REQUEST_TIMEOUT, sentence)


def _replaying(body: bytes, receive: Receive, begin: Callable[[], None]) -> Receive:
    """A `receive` that returns the body once, and then passes on the server's messages: that the client has left.

    Args:
        body: of the request.
        receive: the server's.
        begin: called when the body is asked for.
    """
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        begin()
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def refuse_unread(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request whose body was not read: send the answer, read on for a moment, then close."""
    answer.headers["Connection"] = "close"

    async def send_and_linger(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send(message)
            return
        await send({**message, "more_body": True})
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while (await receive()).get("more_body", False):
                    pass
        except TimeoutError:
            pass
        await send({"type": "http.response.body"})

    await answer(scope, receive, send_and_linger)
