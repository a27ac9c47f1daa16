"""The `openai` client with a limit on the time of one attempt, whatever the server sends meanwhile.

The client's own timeout is between two pieces of a body, so a server that keeps the connection alive with white space
could hold a question for ever.
"""

import asyncio
import importlib
from typing import Any

import openai


class _Limited(openai.DefaultAsyncHttpxClient):  # type: ignore[misc]  # the client is untyped here
    """Gives an attempt up, body included, after `limit` seconds."""

    def __init__(self, limit: float) -> None:
        super().__init__(timeout=limit)
        self._limit = limit

    async def send(self, request: Any, **options: Any) -> Any:
        """Send one attempt; the error at the limit is one that the openai client tries again."""
        try:
            async with asyncio.timeout(self._limit):
                return await super().send(request, **options)
        except TimeoutError:
            library = importlib.import_module(type(request).__module__.partition(".")[0])  # httpx or httpx2
            raise library.ReadTimeout(f"no whole answer in {self._limit:g} s", request=request) from None


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
