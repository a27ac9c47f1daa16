"""Asking a language model through an OpenAI-compatible endpoint, many questions at a time.

The `openai` client (extra `judge`) does the protocol: connections, retries after 408, 409, 429, 5xx and cut
connections with growing pauses, and Retry-After.
"""

import asyncio
import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cache import UserError
from evaluation.scorers.judge_answer import NoAnswerError, read_answer, whole_characters
from evaluation.scorers.judge_question import Message

KEY, URL = "OPENAI_API_KEY", "OPENAI_BASE_URL"
"""Environment variables, as the client names them."""

MOST_FAILURES = 10
"""Number of consecutive questions without an answer, after which the endpoint is considered down."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint, the model to ask there, and the settings of its client."""

    model: str
    url: str
    key: str
    temperature: float | None = 0.0
    """Temperature of the model; None leaves it to the server, as reasoning models require."""
    concurrency: int = 8
    """Largest number of questions under way at a time."""
    retries: int = 6
    """Attempts after the first at one question."""
    timeout: float = 300.0
    """Seconds of one attempt, from the request to the last byte of the answer."""

    @classmethod
    def from_environment(cls, model: str, temperature: float | None = 0.0, concurrency: int = 8) -> "Endpoint":
        """The endpoint that the environment names.

        Raises:
            UserError: there is no key, or the client is not installed.
        """
        if importlib.util.find_spec("openai") is None:
            raise UserError("a judge needs the openai client, which is not installed: run `pip install -e '.[judge]'`")
        key = os.environ.get(KEY, "")
        if not key:
            raise UserError(f"a judge needs a key: set {KEY} (any text, where the server asks for none)")
        return cls(model, os.environ.get(URL) or "https://api.openai.com/v1", key, temperature, concurrency)

    @property
    def address(self) -> str:
        """The URL without user name, password and query, which may be secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def ask_all(self, questions: Sequence[list[Message]], on_answer: Callable[[int, str], None]) -> dict[int, str]:
        """Ask every question once.

        Args:
            questions: messages of each question.
            on_answer: called with the position of a question and its answer as soon as the answer arrives. An answer is
                never empty, an error or cut off: those are failures.

        Returns:
            Position of each question that failed -> reason.

        Raises:
            UserError: the endpoint refuses the key, does not know the model or redirects, or `MOST_FAILURES` questions
                in a row failed.
        """
        return asyncio.run(self._ask_all(questions, on_answer))

    async def _ask_all(
        self, questions: Sequence[list[Message]], on_answer: Callable[[int, str], None]
    ) -> dict[int, str]:
        from evaluation.scorers.judge_client import open_client

        failures: dict[int, str] = {}
        in_a_row = 0
        waiting = iter(enumerate(questions))
        client = open_client(self.url, self.key, self.retries, self.timeout)

        async def work() -> None:
            nonlocal in_a_row
            for place, messages in waiting:
                try:
                    answer = await self._ask(client, messages)
                except NoAnswerError as failure:
                    failures[place] = str(failure)
                    in_a_row += 1
                    if in_a_row < MOST_FAILURES:
                        continue
                    raise UserError(
                        f"{self.address} left {in_a_row} questions in a row without an answer, the last: {failure};"
                        " all answers so far are kept: run the same command again"
                    ) from None
                in_a_row = 0
                on_answer(place, answer)

        async with client:
            tasks = [asyncio.create_task(work()) for _ in range(self.concurrency)]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return failures

    async def _ask(self, client: Any, messages: list[Message]) -> str:
        """The answer to one question.

        Raises:
            NoAnswerError: this question failed; another one may not.
            UserError: every question would fail.
        """
        import openai

        from evaluation.scorers.judge_client import MOST_BYTES

        temperature = openai.omit if self.temperature is None else self.temperature
        try:
            # The body is read here and not by the client, whose types promise more than servers hold to.
            done = await client.chat.completions.with_raw_response.create(
                model=self.model, messages=messages, temperature=temperature
            )
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise UserError(
                f"{self.address} refuses the key in {KEY} ({_first_line(error)}): set it to another"
            ) from None
        except openai.NotFoundError as error:
            raise UserError(
                f"{self.address} knows no model {self.model!r}, or is no OpenAI-compatible endpoint"
                f" ({_first_line(error)}): check --scorer and {URL}"
            ) from None
        except openai.RateLimitError as error:
            wait = error.response.headers.get("retry-after")
            raise NoAnswerError(_first_line(error) + (f" (Retry-After: {wait[:60]})" if wait else "")) from None
        except openai.APIStatusError as error:
            if 300 <= error.status_code < 400:
                place = error.response.headers.get("location", "another address")[:200]
                raise UserError(
                    f"{self.address} redirects to {place}, where no question is sent: set {URL} to the address that"
                    " answers"
                ) from None
            hint = " (--temperature -1 sends none)" if "temperature" in str(error).lower() else ""
            raise NoAnswerError(_first_line(error) + hint) from None
        except (openai.APIError, ValueError) as error:  # ValueError: an error's body that is not JSON
            raise NoAnswerError(_first_line(error)) from None
        body = done.http_response.content
        if len(body) > MOST_BYTES:
            raise NoAnswerError(f"the body has more than {MOST_BYTES >> 20} MiB")
        return read_answer(body)


def _first_line(error: Exception) -> str:
    return whole_characters(f"{type(error).__name__}: {str(error).strip()}".split("\n", maxsplit=1)[0][:200])
