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
from evaluation.scorers.judge_question import Message

KEY, URL = "OPENAI_API_KEY", "OPENAI_BASE_URL"
"""Environment variables, as the client names them."""

MOST_FAILURES = 10
"""Number of consecutive questions without an answer, after which the endpoint is considered down."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint and the settings of questions to it."""

    model: str
    url: str
    key: str
    temperature: float | None = 0.0
    """None leaves it to the server, as reasoning models require."""
    concurrency: int = 8
    """Questions under way at a time."""
    retries: int = 6
    """Retries of one question."""
    timeout: float = 300.0
    """Seconds for one answer."""

    @classmethod
    def from_environment(cls, model: str, temperature: float | None = 0.0, concurrency: int = 8) -> "Endpoint":
        """The endpoint that the environment names.

        Raises:
            UserError: there is no key, or the client is not installed.
        """
        if importlib.util.find_spec("openai") is None:
            raise UserError("a judge needs the openai client, which is not installed: pip install -e '.[judge]'")
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
            on_answer: called with the position of a question and its answer as soon as it arrives; an answer without
                text is the empty text.

        Returns:
            Position of each question without an answer -> reason.

        Raises:
            UserError: the endpoint refuses the key or does not know the model, or answers nothing.
        """
        return asyncio.run(self._ask_all(questions, on_answer))

    async def _ask_all(
        self, questions: Sequence[list[Message]], on_answer: Callable[[int, str], None]
    ) -> dict[int, str]:
        from openai import AsyncOpenAI

        failures: dict[int, str] = {}
        in_a_row = 0
        waiting = iter(enumerate(questions))
        client = AsyncOpenAI(base_url=self.url, api_key=self.key, max_retries=self.retries, timeout=self.timeout)

        async def work() -> None:
            nonlocal in_a_row
            for place, messages in waiting:
                answer, failure = await self._ask(client, messages)
                if failure is None:
                    in_a_row = 0
                    on_answer(place, answer)
                    continue
                failures[place] = failure
                in_a_row += 1
                if in_a_row >= MOST_FAILURES:
                    raise UserError(
                        f"{self.address} left {in_a_row} questions in a row without an answer, the last: {failure};"
                        " what was answered is kept: run the same command again"
                    )

        async with client:
            tasks = [asyncio.create_task(work()) for _ in range(self.concurrency)]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return failures

    async def _ask(self, client: Any, messages: list[Message]) -> tuple[str, str | None]:
        """The answer to one question, and the reason if there is none."""
        import openai

        temperature = openai.omit if self.temperature is None else self.temperature
        try:
            done = await client.chat.completions.create(model=self.model, messages=messages, temperature=temperature)
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise UserError(f"{self.address} refuses the key in {KEY}: {_first_line(error)}") from None
        except openai.NotFoundError as error:
            raise UserError(
                f"{self.address} knows no model {self.model!r}, or is no OpenAI-compatible endpoint (check {URL}):"
                f" {_first_line(error)}"
            ) from None
        except (openai.APIError, ValueError) as error:  # ValueError: a body that is not JSON
            return "", _first_line(error)
        if not isinstance(done, openai.types.chat.ChatCompletion):
            return "", "the answer is not in the protocol's form"
        choices = done.choices or []
        return (choices[0].message.content or "" if choices else ""), None


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip()}".split("\n", maxsplit=1)[0][:200]
