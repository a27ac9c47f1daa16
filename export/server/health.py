"""Whether requests are answered, and since when they are not: what `/health` says."""

import time
from datetime import UTC, datetime
from http import HTTPStatus

from starlette.responses import JSONResponse


class Health:
    """Good until a request fails by the server's own fault, and good again with the next that is answered."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._since: datetime | None = None
        self.last_failure: float | None = None
        """Time of the latest failure (`time.monotonic`); None while the health is good."""

    def failed(self, reason: str) -> None:
        """A request has failed; the reason has no word of the request in it, since anybody may read it."""
        if self._reason is None:
            self._since = datetime.now(UTC)
        self._reason = reason
        self.last_failure = time.monotonic()

    def succeeded(self) -> None:
        """A request has been answered."""
        self._reason = self._since = self.last_failure = None

    def answer(self, model_name: str) -> JSONResponse:
        """200, or 503 with the latest reason and the time of the first failure after the last success."""
        if self._reason is None or self._since is None:
            return JSONResponse({"status": "ok", "model": model_name})
        since = self._since.isoformat(timespec="seconds")
        return JSONResponse(
            {"status": "failing", "model": model_name, "reason": self._reason, "since": since},
            HTTPStatus.SERVICE_UNAVAILABLE,
        )
