"""The `openai` client with limits on the time and the size of one attempt, and without redirects.

The client's own timeout is between two pieces of a body, so a server that keeps the connection alive with white space
could hold a question for ever; and it holds a body of any size. A redirect could lead questions and key elsewhere.
"""

import asyncio
import importlib
from typing import Any

import openai

MOST_BYTES = 8 << 20
"""Largest size of a body. A verdict after the longest thoughts of a model, 128 Ki tokens, has some 3 MB as JSON."""


class _Limited(openai.DefaultAsyncHttpxClient):  # type: ignore[misc]  # the client is untyped here
    """Gives an attempt up after `limit` seconds, and reads one byte more of a body than it may have."""

    def __init__(self, limit: float) -> None:
        super().__init__(timeout=limit, follow_redirects=False)
        self._limit = limit

    async def send(self, request: Any, **options: Any) -> Any:
        """Send one attempt; the error at the limit is one that the openai client tries again."""
        library = importlib.import_module(type(request).__module__.partition(".")[0])  # httpx or httpx2
        try:
            async with asyncio.timeout(self._limit):
                response = await super().send(request, **{**options, "stream": True})
                try:
                    body = await _start_of(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise library.ReadTimeout(f"no whole answer in {self._limit:g} s", request=request) from None
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_TRANSFER]
        return library.Response(
            response.status_code, headers=headers, content=body, request=request, extensions=response.extensions
        )


_OF_THE_TRANSFER = {"content-encoding", "content-length", "transfer-encoding"}
"""Headers that say how a body came; this one is decoded and whole."""


async def _start_of(response: Any) -> bytes:
    """The decoded body, or its beginning of one byte more than a body may have."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MOST_BYTES:
            break
    return bytes(body[: MOST_BYTES + 1])


def open_client(url: str, key: str, retries: int, limit: float) -> Any:
    """A client of an endpoint.

    Args:
        url: base URL of the endpoint.
        key: the endpoint's key.
        retries: attempts after the first at one question.
        limit: seconds of one attempt.
    """
    return openai.AsyncOpenAI(
        base_url=url, api_key=key, max_retries=retries, timeout=limit, http_client=_Limited(limit)
    )
