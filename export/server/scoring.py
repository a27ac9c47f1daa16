"""Scoring for all protocols: for each input its score, or the reason why it has none."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from cache import UserError, token_key
from export.not_scorable import NotScorableError
from export.reward_model import RewardModel
from export.server.batching import Batcher, Job, ModelFailedError, QueueFullError
from export.server.inputs import Conversation, Input, Templated, Unusable
from export.server.metrics import Metrics
from export.server.refusals import RefusedRequest
from export.server.settings import ServerSettings
from extract.records import Message
from extract.templating import Encoded
from gating.reward import Scored

CLIENT_LEFT = 499
"""nginx's status for a client that left before its answer; it appears only in the metrics."""

ENCODED_AT_A_TIME = 64
"""Number of a request's inputs that are encoded before the next request has its turn."""

CHARACTERS_A_TOKEN = 256
"""More than any token stands for: the longest of Llama 3 and of Qwen are 128 spaces. A text with more characters than
that for each token allowed is refused unread: many megabytes take a tokenizer seconds, and gigabytes of memory."""

Result = Scored | NotScorableError

Usable = TypeVar("Usable", Job, Scored)


class ClientLeft(Exception):  # noqa: N818 - nothing is wrong
    """The client has closed its connection."""


async def say_nothing(_request: Request, _error: Exception) -> Response:
    """The answer to a client that has left."""
    return Response(status_code=CLIENT_LEFT)


class Scoring:
    """The server's model. Encoding and the backbone have a thread each; the event loop waits for both."""

    def __init__(self, model: RewardModel, settings: ServerSettings, metrics: Metrics) -> None:
        self.objectives = model.objectives
        self.max_tokens = model.max_tokens
        self.model_name = settings.model_name or model.folder.resolve().name
        self.batcher = Batcher(
            model.score_encoded,
            pack_tokens=settings.pack_tokens,
            wait_seconds=settings.wait_ms / 1000,
            queue_tokens=settings.queue_tokens,
            metrics=metrics,
        )
        self._model = model
        self._settings = settings
        self._metrics = metrics
        # One thread: tokenizers must not be used by several at once.
        self._encoding_thread = ThreadPoolExecutor(1, thread_name_prefix="encoding")

    async def close(self) -> None:
        """Wait until both threads have ended."""
        await self.batcher.close()
        await asyncio.to_thread(self._encoding_thread.shutdown)

    async def each(self, request: Request, inputs: Sequence[Input]) -> list[Scored | Unusable]:
        """Score the inputs of one request, in order.

        Raises:
            RefusedRequest: there are too many of them, or there is no room for them now.
            ClientLeft: the client has closed its connection.
        """
        encoded = await self._encoded(inputs)
        results = iter(await self._results(request, [one for one in encoded if isinstance(one, Job)]))
        answers = [_answer(next(results)) if isinstance(one, Job) else one for one in encoded]
        self._metrics.refused_conversations.inc(sum(isinstance(answer, Unusable) for answer in answers))
        return answers

    async def all_or_nothing(self, request: Request, inputs: Sequence[Input], names: Sequence[str]) -> list[Scored]:
        """Score the inputs of one request, for a protocol that has no place for an error among its numbers.

        Args:
            request: the HTTP request.
            inputs: the inputs to score.
            names: name of each input in the request, for errors.

        Raises:
            RefusedRequest: an input cannot be scored, or a reason of `each`.
            ClientLeft: the client has closed its connection.
        """
        encoded = await self._encoded(inputs)
        jobs = self._usable(encoded, names)  # before any is scored
        return self._usable([_answer(result) for result in await self._results(request, jobs)], names)

    def _usable(self, given: Sequence[Usable | Unusable], names: Sequence[str]) -> list[Usable]:
        usable: list[Usable] = []
        for name, one in zip(names, given, strict=True):
            if isinstance(one, Unusable):
                self._metrics.refused_conversations.inc()
                raise RefusedRequest(one.status, f"{name}: {one.sentence}")
            usable.append(one)
        return usable

    async def _encoded(self, inputs: Sequence[Input]) -> list[Job | Unusable]:
        """The inputs as token ids, encoded a few at a time, so that other requests come in between."""
        if len(inputs) > self._settings.responses:
            raise RefusedRequest(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"{len(inputs)} responses, more than the {self._settings.responses} of a request: send fewer at a time",
            )
        self._check_room()  # before any work
        loop = asyncio.get_running_loop()
        encoded: list[Job | Unusable] = []
        for start in range(0, len(inputs), ENCODED_AT_A_TIME):
            part = inputs[start : start + ENCODED_AT_A_TIME]
            encoded += await loop.run_in_executor(self._encoding_thread, self._encode, part)
            self._check_room(sum(one.tokens for one in encoded if isinstance(one, Job)))
        return encoded

    def _encode(self, inputs: Sequence[Input]) -> list[Job | Unusable]:
        encoded: list[Job | Unusable] = []
        for each in inputs:
            try:
                encoded.append(_job(self._encode_one(each)))
            except NotScorableError as reason:
                encoded.append(Unusable(str(reason)))
        return encoded

    def _encode_one(self, given: Input) -> Encoded:
        if isinstance(given, Conversation):
            turns = (*given.prompt, Message("assistant", given.response))
            self._check_length(sum(len(turn.content) for turn in turns))
            return self._model.encode(turns)
        if isinstance(given, Templated):
            self._check_length(len(given.text))
            return self._model.encode_text(given.text)
        return self._model.encode_ids(given.ids)

    def _check_length(self, characters: int) -> None:
        if characters > CHARACTERS_A_TOKEN * self.max_tokens:
            raise NotScorableError(f"{characters:,} characters, more than {self.max_tokens:,} tokens can be")

    def _check_room(self, tokens: int = 1) -> None:
        most = self._settings.queue_tokens
        if tokens > most:
            raise RefusedRequest(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"{tokens:,} tokens, more than the {most:,} that may wait for the model: send fewer at a time",
            )
        try:
            self.batcher.check_room(tokens)
        except QueueFullError as full:
            raise RefusedRequest(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"as many tokens wait for the model as may: send this again in {full.retry_after} s",
                full.retry_after,
            ) from None

    async def _results(self, request: Request, jobs: Sequence[Job]) -> list[Result | Exception]:
        """Results of jobs; if the client leaves, its jobs are taken out of the queue."""
        if not jobs:
            return []
        waiting = self.batcher.submit(jobs)
        answered = asyncio.create_task(_all(waiting))
        left = asyncio.create_task(_left(request))
        try:
            await asyncio.wait({answered, left}, return_when=asyncio.FIRST_COMPLETED)
            if not answered.done():
                raise ClientLeft
            return answered.result()
        finally:
            left.cancel()
            answered.cancel()
            for each in waiting:
                each.cancel()


async def _all(waiting: Sequence["asyncio.Future[Result | Exception]"]) -> list[Result | Exception]:
    return [await each for each in waiting]


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _job(encoded: Encoded) -> Job:
    (response,) = encoded.responses
    return Job(token_key(encoded.prompt), len(encoded.prompt), len(response), encoded)


def _answer(result: Result | Exception) -> Scored | Unusable:
    if isinstance(result, Scored):
        return result
    if isinstance(result, ModelFailedError):
        return Unusable(str(result), HTTPStatus.INTERNAL_SERVER_ERROR)
    assert isinstance(result, NotScorableError | UserError)
    return Unusable(str(result))
