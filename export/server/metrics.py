"""The counters of `/metrics`, in Prometheus' text format, and the middleware that counts and times requests."""

import time
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
PASS_TOKENS = tuple(2**power for power in range(5, 18))

OTHER_PATH = "other"
"""Label of all paths that are not served: a scanner's guesses must not become a thousand time series."""


class Metrics:
    """The server's counters, in a separate registry."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.requests = Counter("armorm_requests", "Requests answered.", ["path", "status"], registry=registry)
        self.request_seconds = Histogram(
            "armorm_request_seconds",
            "From a request's head to the end of its answer.",
            ["path"],
            buckets=SECONDS,
            registry=registry,
        )
        self.refused_conversations = Counter(
            "armorm_refused_conversations", "Conversations that could not be scored.", registry=registry
        )
        self.stand_ins = Counter(
            "armorm_unscorable_conversations",
            "Conversations that could not be scored and got the number of --unscorable.",
            registry=registry,
        )
        self.queue_tokens = Gauge("armorm_queue_tokens", "Tokens that wait for the model.", registry=registry)
        self._scored = Counter("armorm_scored_responses", "Responses that went through the model.", registry=registry)
        self._tokens = Counter(
            "armorm_computed_tokens", "Tokens computed; a shared prompt counts once.", registry=registry
        )
        self._pass_seconds = Histogram(
            "armorm_pass_seconds", "Of one pass of the model.", buckets=SECONDS, registry=registry
        )
        self._pass_tokens = Histogram(
            "armorm_pass_tokens", "Tokens of one pass.", buckets=PASS_TOKENS, registry=registry
        )
        self._queue_seconds = Histogram(
            "armorm_queue_seconds", "Wait of one response.", buckets=SECONDS, registry=registry
        )

    def passed(self, tokens: int, responses: int, seconds: float, waited: Sequence[float]) -> None:
        """Record one pass of the model; `waited` holds each response's time in the queue, in seconds."""
        self._scored.inc(responses)
        self._tokens.inc(tokens)
        self._pass_seconds.observe(seconds)
        self._pass_tokens.observe(tokens)
        for each in waited:
            self._queue_seconds.observe(each)

    def exposition(self) -> Response:
        """The answer to `/metrics`."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)


class CountedRequests:
    """The outermost ASGI middleware: counts every request, also those that other middleware refuses."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and record how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        status = "none"  # where the client left before there was an answer

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            status = "500"  # written outside of all middleware
            raise
        finally:
            path = scope["path"] if "endpoint" in scope else OTHER_PATH  # routing puts it there
            self._metrics.requests.labels(path, status).inc()
            self._metrics.request_seconds.labels(path).observe(time.monotonic() - started)
