"""A client that closes its connection ends the work on its request at once."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

CLIENT_LEFT = 499
"""nginx's status for a client that left before its answer; it appears only in the metrics."""

Done = TypeVar("Done")


class ClientLeft(Exception):  # noqa: N818 - nothing is wrong
    """The client has closed its connection."""


async def unless_left(receive: Receive, work: Coroutine[Any, Any, Done]) -> Done:
    """Do the work on a request; if its client leaves meanwhile, cancel it.

    Args:
        receive: the server's messages about the request, behind those with its body.
        work: is cancelled, or done when this returns.

    Raises:
        ClientLeft: the client has closed its connection.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeft
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()


async def say_nothing(_request: Request, _error: Exception) -> Response:
    """The answer to a client that has left."""
    return Response(status_code=CLIENT_LEFT)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
