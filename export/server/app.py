"""The application: protocols, page, health and metrics, and the middleware that refuses requests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, Response

from export.reward_model import RewardModel
from export.server import page
from export.server.authorization import Authorization, is_loopback
from export.server.bodies import Bodies
from export.server.metrics import CountedRequests, Metrics
from export.server.protocols import ROUTERS
from export.server.refusals import fail, refuse_http, refuse_invalid
from export.server.scoring import ClientLeft, Scoring, say_nothing
from export.server.settings import ServerSettings

HERE = ["localhost", "127.0.0.1", "::1", "[::1]"]
"""Host names by which a browser on this machine reaches the server."""


def build_app(model: RewardModel, settings: ServerSettings, token: bytes | None) -> FastAPI:
    """The application over a loaded model; `token`, if any, is required but for the page's files."""
    metrics = Metrics()
    scoring = Scoring(model, settings, metrics)

    @asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        scoring.batcher.start()
        yield
        await scoring.close()

    # No pages of documentation: FastAPI's load their scripts from another site. /openapi.json is served.
    app = FastAPI(title="armorm", lifespan=running, docs_url=None, redoc_url=None)
    for router in ROUTERS.values():
        app.include_router(router(scoring))
    app.include_router(page.router())

    @app.get("/health")
    async def health() -> Response:
        """200 if requests are answered; 503 if the last pass of the model failed."""
        well = scoring.batcher.alive and not scoring.batcher.failing
        status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"status": "ok" if well else "failing", "model": scoring.model_name}, status)

    @app.get("/metrics", include_in_schema=False)
    async def exposition() -> Response:
        """Counters in Prometheus' text format."""
        return metrics.exposition()

    app.add_exception_handler(HTTPException, refuse_http)
    app.add_exception_handler(RequestValidationError, refuse_invalid)
    app.add_exception_handler(ClientLeft, say_nothing)
    app.add_exception_handler(Exception, fail)
    # The last one added is the first to see a request.
    app.add_middleware(Bodies, settings=settings)
    app.add_middleware(Authorization, token=token)
    if token is None and is_loopback(settings.host):
        # Another site can point its own host name at 127.0.0.1; requests then carry that name.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*HERE, settings.host], www_redirect=False)
    app.add_middleware(CountedRequests, metrics=metrics)
    return app
