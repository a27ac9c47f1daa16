"""The answer to a refused request: one sentence as JSON, the same in every protocol."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

SHOWN_ERRORS = 3
"""Number of mistakes in a body that are named."""

LONGEST_PLACE = 200
"""Largest number of characters of a named key; a longer one is cut."""


FAILED = "the server failed at this request; its log says why"
"""Sentence for an error of the program."""


class RefusedRequest(HTTPException):
    """A request that is refused; the sentence names the reason and the remedy.

    Args:
        status: HTTP status.
        sentence: message for the person who sent the request.
        retry_after: seconds after which the same request may be sent again.
    """

    def __init__(self, status: HTTPStatus, sentence: str, retry_after: int | None = None) -> None:
        headers = {"Retry-After": str(retry_after)} if retry_after is not None else None
        super().__init__(status, sentence, headers)


def refusal(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer to a refused request, in the form that clients of OpenAI and of vLLM read."""
    status = HTTPStatus(status)
    error = {"message": sentence, "type": status.phrase, "code": status.value}
    return JSONResponse({"error": error}, status, headers)


async def refuse_http(_request: Request, error: Exception) -> JSONResponse:
    """Answer a request that a route or the router refused."""
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, error.detail, error.headers)


async def refuse_invalid(request: Request, error: Exception) -> JSONResponse:
    """Answer a body that is not JSON or not of the protocol: names the place of a mistake, never the content."""
    assert isinstance(error, RequestValidationError)
    if not _is_json(kind := request.headers.get("content-type", "")):
        given = f"is {kind[:LONGEST_PLACE]!r}" if kind else "is missing"
        return refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the Content-Type {given}: send JSON, as `Content-Type: application/json`",
        )
    wrong = error.errors()
    sentences = [f"{_place(part['loc'])}: {part['msg'].removeprefix('Value error, ')}" for part in wrong[:SHOWN_ERRORS]]
    if len(wrong) > SHOWN_ERRORS:
        sentences.append(f"and {len(wrong) - SHOWN_ERRORS} more")
    return refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(sentences))


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _place(location: tuple[int | str, ...]) -> str:
    """`("body", "query", 3)` as `query[3]`, without pydantic's names of the types that a value may have."""
    place = ""
    for part in location[1:] if location[:1] == ("body",) else location:
        if isinstance(part, str) and "[" in part:
            continue
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
    return place[:LONGEST_PLACE] or "body"
