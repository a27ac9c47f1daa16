"""Waiting after a failed request: longer after each failure, and as long as the hub asks."""

import logging
import random
import re
from collections.abc import Callable, Mapping
from time import sleep
from typing import TypeVar

import httpx2
from huggingface_hub.errors import HfHubHTTPError

from cache.errors import first_line

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

ATTEMPTS = 8
"""Failures in a row after which a download ends: some three minutes of waiting."""
ATTEMPTS_TO_ASK = 4
"""Failures in a row after which a question about a repository ends: some seven seconds of waiting, so that a machine
without a network says so soon."""
FIRST_WAIT = 1.0
"""Seconds after the first failure; they double with each further one."""
LONGEST_WAIT = 60.0
"""Seconds between two attempts at most, unless the hub asks for more."""
LONGEST_REQUEST_TO_WAIT = 900.0
"""Seconds that the hub may ask for. Its limits are counted in windows of five minutes."""

STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that pass by themselves. 401, 403 and 404 do not."""


class IncompleteFileError(Exception):
    """A download ended, and the file is not the one that the hub lists."""


def passing(error: BaseException) -> bool:
    """Whether a failure may pass by itself: a broken connection, a limit of requests, a busy server."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in STATUSES
    return isinstance(error, httpx2.TransportError | IncompleteFileError)


def asked_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that the hub asks for in an answer: its own header of limits (`RateLimit`), else `Retry-After`."""
    limit = re.search(r";\s*r=0\s*;\s*t=(\d+)", headers.get("ratelimit", ""))
    after = re.fullmatch(r"\s*(\d+)\s*", headers.get("retry-after", ""))
    found = limit or after
    return float(found[1]) if found else None


class Patience:
    """The waits of one request that is made until it succeeds.

    Args:
        what: named in the log.
        attempts: failures in a row after which the failure is raised.
    """

    def __init__(self, what: str, attempts: int = ATTEMPTS) -> None:
        self._what = what
        self._attempts = attempts
        self._failures = 0

    def renew(self) -> None:
        """Forget earlier failures, because something has arrived since."""
        self._failures = 0

    def wait_after(self, error: Exception) -> None:
        """Wait before the next attempt.

        Raises:
            Exception: the failure itself, where it does not pass, has come too often, or the hub asks for too long.
        """
        self._failures += 1
        asked = asked_to_wait(error.response.headers) if isinstance(error, HfHubHTTPError) else None
        if not passing(error) or self._failures >= self._attempts or (asked or 0) > LONGEST_REQUEST_TO_WAIT:
            raise error
        # Half of the wait is random, so that processes that failed together do not come back together.
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (self._failures - 1)) * random.uniform(0.5, 1)
        wait = max(wait, asked or 0.0)
        log.info("%s: %s; attempt %s follows in %.1f s", self._what, first_line(error), self._failures + 1, wait)
        sleep(wait)


def ask(what: str, question: Callable[[], Answer]) -> Answer:
    """The answer to a question about a repository, asked again where a failure may pass.

    Raises:
        Exception: whatever the last attempt raised.
    """
    patience = Patience(what, ATTEMPTS_TO_ASK)
    while True:
        try:
            return question()
        except Exception as error:
            patience.wait_after(error)
