"""The page at `/`: a prompt, two answers or more, and their scores term by term. Its files are served unchanged."""

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

STYLES = ("page.css", "result.css")

SCRIPTS = (
    "page.js",
    "answers.js",
    "asking.js",
    "comparison.js",
    "front.js",
    "profile.js",
    "ranking.js",
    "result.js",
    "scatter.js",
    "sliders.js",
    "steering.js",
    "terms.js",
    "weighting.js",
    "words.js",
)
"""ECMAScript modules; the first one imports the others."""

FILES = {"/": "index.html"} | {f"/{name}": name for name in (*STYLES, *SCRIPTS)}
"""Path -> file. All of them are open: the page asks the user for the token, if the server has one."""


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
