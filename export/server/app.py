"""The application: protocols, page, health and metrics, and the middleware that refuses requests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from export.reward_model import RewardModel
from export.server import page
from export.server.authorization import Authorization, is_loopback
from export.server.bodies import Bodies
from export.server.heads import Heads
from export.server.health import Health
from export.server.hosts import KnownHosts
from export.server.leaving import ClientLeft, say_nothing
from export.server.metrics import CountedRequests, Metrics
from export.server.probe import Probe
from export.server.protocols import ROUTERS
from export.server.refusals import FAILED, refusal, refuse_http, refuse_invalid
from export.server.scoring import Scoring
from export.server.settings import ServerSettings


def build_app(model: RewardModel, settings: ServerSettings, token: bytes | None) -> FastAPI:
    """The application over a loaded model; `token`, if any, is required but for the page's files."""
    metrics = Metrics()
    health = Health()
    scoring = Scoring(model, settings, metrics, health)
    probe = Probe(health, scoring.probe)

    @asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        scoring.batcher.start()
        yield
        await probe.close()
        await scoring.close()

    # No pages of documentation: FastAPI's load their scripts from another site. /openapi.json is served.
    app = FastAPI(title="armorm", lifespan=running, docs_url=None, redoc_url=None)
    for router in ROUTERS.values():
        app.include_router(router(scoring))
    app.include_router(page.router())

    @app.get("/health")
    async def state() -> Response:
        """200 if requests are answered; 503, with the reason and since when, if they fail by the server's own fault.

        After ten seconds without a failure, being asked starts a small pass of the model that makes it 200 again.
        """
        probe.if_due()
        return health.answer(scoring.model_name)

    @app.get("/metrics", include_in_schema=False)
    async def exposition() -> Response:
        """Counters in Prometheus' text format."""
        return metrics.exposition()

    async def fail(request: Request, error: Exception) -> JSONResponse:
        """Answer after an error of the program; the traceback goes only to the log."""
        path = getattr(request.scope.get("route"), "path", "a request")  # never one that the client made up
        health.failed(f"{type(error).__name__} in answering {path}; the server's log says more")
        # Uvicorn closes the connection after an error of the program; without the header a client would use it again.
        return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED, {"Connection": "close"})

    app.add_exception_handler(HTTPException, refuse_http)
    app.add_exception_handler(RequestValidationError, refuse_invalid)
    app.add_exception_handler(ClientLeft, say_nothing)
    app.add_exception_handler(Exception, fail)
    # The last one added is the first to see a request.
    app.add_middleware(Bodies, settings=settings)
    app.add_middleware(Authorization, token=token)
    if token is None and is_loopback(settings.host):
        app.add_middleware(KnownHosts, host=settings.host)
    app.add_middleware(CountedRequests, metrics=metrics)
    app.add_middleware(Heads)
    return app
