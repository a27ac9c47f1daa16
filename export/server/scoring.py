"""Scoring for all protocols: for each input its score, or the reason why it has none."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import TypeVar

from starlette.requests import Request

from cache import UserError
from export.not_scorable import NotFiniteError, NotScorableError
from export.reward_model import RewardModel
from export.server.batching import Batcher, ModelFailedError, QueueFullError
from export.server.encoding import Encoding
from export.server.fair_queue import Job
from export.server.health import Health
from export.server.inputs import Conversation, Input, Unusable
from export.server.leaving import unless_left
from export.server.metrics import Metrics
from export.server.probe import ANSWER, QUESTION
from export.server.refusals import RefusedRequest
from export.server.settings import ServerSettings
from export.server.stand_in import StandIn
from extract.records import Message
from gating.reward import Scored
from gating.steering import Steering

Result = Scored | NotScorableError

STEERED_AT_ONCE = 32
"""Scores that are steered before the event loop turns to something else: about ten milliseconds."""

Usable = TypeVar("Usable", Job, Scored)


class Scoring:
    """The server's model. Encoding and the backbone have threads of their own; the event loop waits for them."""

    def __init__(self, model: RewardModel, settings: ServerSettings, metrics: Metrics, health: Health) -> None:
        self.objectives = model.objectives
        self.max_tokens = model.max_tokens
        self.model_name = settings.model_name or model.folder.resolve().name
        self.batcher = Batcher(
            model.score_encoded,
            pack_tokens=settings.pack_tokens,
            wait_seconds=settings.wait_ms / 1000,
            queue_tokens=settings.queue_tokens,
            metrics=metrics,
            health=health,
        )
        self._settings = settings
        score = settings.unscorable
        self._stand_in = None if score is None else StandIn(score)
        self._metrics = metrics
        self._encoding = Encoding(model)
        self.profiles = model.profiles
        self.scales = model.scales
        self.steering = None if settings.profile is None else model.profiles.by_name(settings.profile)
        self._steered = model.steered

    @property
    def gives_numbers(self) -> bool:
        """Whether inputs that cannot be scored get a number, where a protocol knows no error."""
        return self._stand_in is not None

    async def close(self) -> None:
        """Wait until all threads have ended."""
        await self.batcher.close()
        await self._encoding.close()

    async def probe(self) -> None:
        """Score a plain question and answer; the health is told how the pass ended, as of any other.

        Raises:
            RefusedRequest: there is no room for it now.
        """
        plain = Conversation((Message("user", QUESTION),), ANSWER)
        encoded = await self._encoded([plain], until_unusable=False)
        await self._results([one for one in encoded if isinstance(one, Job)], None)

    async def each(
        self, request: Request, inputs: Sequence[Input], steering: Steering | None
    ) -> list[Scored | Unusable]:
        """Score the inputs of one request, in order, under a profile; None: under the gate's own weights.

        Raises:
            RefusedRequest: there are too many of them, or there is no room for them now.
            ClientLeft: the client has closed its connection.
        """

        async def work() -> list[Scored | Unusable]:
            encoded = await self._encoded(inputs, until_unusable=False)
            results = iter(await self._results([one for one in encoded if isinstance(one, Job)], steering))
            answers: list[Scored | Unusable] = []
            for one in encoded:
                assert one is not None
                answers.append(_answer(next(results)) if isinstance(one, Job) else one)
            return answers

        answers = await unless_left(request.receive, work())
        self._metrics.refused_conversations.inc(sum(isinstance(answer, Unusable) for answer in answers))
        return answers

    async def numbers(self, request: Request, inputs: Sequence[Input], names: Sequence[str]) -> list[Scored | StandIn]:
        """Score the inputs of one request, for a protocol that has no place for an error among its numbers.

        The profile is that of `--profile`, if there is one.

        An input that cannot be scored for a reason of its own gets the number of `--unscorable`, if there is one.

        Args:
            request: the HTTP request.
            inputs: the inputs to score.
            names: name of each input in the request, for errors.

        Raises:
            RefusedRequest: an input cannot be scored and gets no number, or a reason of `each`.
            ClientLeft: the client has closed its connection.
        """

        async def work() -> list[Scored | StandIn]:
            encoded = await self._encoded(inputs, until_unusable=self._stand_in is None)
            jobs = self._usable(encoded, names)  # before any is scored
            results = iter(await self._results([one for one in jobs if isinstance(one, Job)], self.steering))
            return self._usable([_answer(next(results)) if isinstance(one, Job) else one for one in jobs], names)

        answers = await unless_left(request.receive, work())
        self._metrics.stand_ins.inc(sum(isinstance(answer, StandIn) for answer in answers))
        return answers

    def _usable(
        self, given: Sequence[Usable | StandIn | Unusable | None], names: Sequence[str]
    ) -> list[Usable | StandIn]:
        """Results with the stand-in for each that is unusable; without a stand-in, the request is refused."""
        usable: list[Usable | StandIn] = []
        for name, one in zip(names, given, strict=True):
            if isinstance(one, Unusable):
                if self._stand_in is None or not one.own:
                    self._metrics.refused_conversations.inc()
                    raise RefusedRequest(one.status, f"{name}: {one.sentence}")
                usable.append(self._stand_in)
            elif one is not None:
                usable.append(one)
        assert len(usable) == len(given)
        return usable

    async def _encoded(self, inputs: Sequence[Input], *, until_unusable: bool) -> list[Job | Unusable | None]:
        """The inputs as token ids, encoded in turns with other requests. None: encoding has ended before it."""
        if len(inputs) > self._settings.responses:
            raise RefusedRequest(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"{len(inputs)} responses, more than the {self._settings.responses} of a request: send fewer at a time",
            )
        checked = self._encoding.inputs(inputs)
        if until_unusable and any(isinstance(one, Unusable) for one in checked.results):
            return checked.results
        self._check_room(max(checked.least_tokens, 1))  # before any work
        reserved = 0

        def reserve(tokens: int) -> None:
            nonlocal reserved
            self._check_room(tokens, reserved)
            self.batcher.reserve(tokens)
            reserved += tokens

        try:
            await self._encoding.encode(checked, reserve, until_unusable=until_unusable)
        finally:
            self.batcher.reserve(-reserved)
        return checked.results

    def _check_room(self, tokens: int, reserved: int = 0) -> None:
        """Refuse a request with more tokens, beside those it has room for already, than there is room for."""
        most = self._settings.queue_tokens
        if reserved + tokens > most:
            raise RefusedRequest(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"at least {reserved + tokens:,} tokens, more than the {most:,} that may wait for the model: send fewer"
                " at a time",
            )
        try:
            self.batcher.check_room(tokens)
        except QueueFullError as full:
            raise RefusedRequest(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"as many tokens wait for the model as may: send this again in {full.retry_after} s",
                full.retry_after,
            ) from None

    async def _results(self, jobs: Sequence[Job], steering: Steering | None) -> list[Result | Exception]:
        """Results of jobs, under a profile if given; when this is cancelled, its jobs are taken out of the queue."""
        if not jobs:
            return []
        waiting = self.batcher.submit(jobs)
        try:
            results = [await each for each in waiting]
        finally:
            for each in waiting:
                each.cancel()
        if steering is None:
            return results
        steered: list[Result | Exception] = []
        for place, one in enumerate(results):
            if place % STEERED_AT_ONCE == 0:
                await asyncio.sleep(0)  # other requests have their turn
            steered.append(self._steered(one, steering) if isinstance(one, Scored) else one)
        return steered


def _answer(result: Result | Exception) -> Scored | Unusable:
    if isinstance(result, Scored):
        return result
    if isinstance(result, ModelFailedError | NotFiniteError):
        return Unusable(str(result), HTTPStatus.INTERNAL_SERVER_ERROR, own=False)
    assert isinstance(result, NotScorableError | UserError)
    return Unusable(str(result), own=isinstance(result, NotScorableError))  # else the device's memory is too small
