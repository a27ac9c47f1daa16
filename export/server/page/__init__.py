"""The page at `/`: a prompt, two answers, and their scores term by term. Its three files are served unchanged."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Only these files run or are loaded, whatever text is scored."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

FILES = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js"}


def router() -> APIRouter:
    """The routes of the page's files."""
    routes = APIRouter(include_in_schema=False)
    for path, name in FILES.items():
        routes.add_api_route(path, _serving(name), methods=["GET"])
    return routes


def _serving(name: str) -> Callable[[], Awaitable[FileResponse]]:
    file = Path(__file__).with_name(name)

    async def serve() -> FileResponse:
        return FileResponse(file, headers=HEADERS)

    return serve
