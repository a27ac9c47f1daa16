"""Inputs of a request as token ids: limits first, then each prompt once, in turns with other requests."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from cache import token_key
from export.not_scorable import NotScorableError
from export.reward_model import RewardModel
from export.server.fair_queue import Job
from export.server.fair_thread import FairThread
from export.server.inputs import Conversation, Input, Templated, Unusable
from extract.encoded import Encoded

CHARACTERS_A_TOKEN = 256
"""More than any token stands for: the longest of Llama 3 and of Qwen are 128 spaces. A text with more characters than
that for each token allowed is refused unread: many megabytes take a tokenizer seconds, and gigabytes of memory."""

CHARACTERS_A_TURN = 64
"""Cost of a turn beside its text, in characters: the template is a program that runs once a turn."""

TURN_CHARACTERS = 16_384
"""Characters that a request encodes before the next one has its turn: about 10 ms."""

PART_FOR_LONG = 0.25
"""Part of one core's time that may go into texts longer than a turn: a client that sends one after another would take a
core from everybody else."""


@dataclass(slots=True)
class _Group:
    """Inputs of a request that share a prompt."""

    turns: int
    characters: int
    places: list[int] = field(default_factory=list)


class RequestInputs:
    """The inputs of one request, checked, and then encoded step by step.

    Args:
        model: encodes.
        inputs: of the request.

    Attributes:
        results: for each input its job or the reason why it has none; None while it is not encoded.
        least_tokens: smallest number of tokens that all inputs together can have, those refused already left out.
        longest_step: cost of the longest step, in characters.
        tokens: number of tokens of all jobs so far.
    """

    def __init__(self, model: RewardModel, inputs: Sequence[Input]) -> None:
        self._model = model
        self._inputs = inputs
        self.results: list[Job | Unusable | None] = [None] * len(inputs)
        self.least_tokens = 0
        self.longest_step = 0
        self.tokens = 0
        self._unusable = False
        self._groups = self._grouped()
        for group in self._groups:
            self._check(group)

    def steps(self, *, until_unusable: bool) -> Iterator[int]:
        """Encode, and yield the cost of each step; `until_unusable`: no further than the first that cannot be."""
        for group in self._groups:
            left = [place for place in group.places if self.results[place] is None]
            for cost in self._encode(group, left):
                yield cost
                if until_unusable and self._unusable:
                    return

    def refused(self) -> Unusable | None:
        """The first input that is known to have no score, if any."""
        return next((one for one in self.results if isinstance(one, Unusable)), None)

    def _grouped(self) -> list[_Group]:
        groups: dict[object, _Group] = {}
        known: dict[int, _Group] = {}  # by identity: the turns of a long prompt are compared once
        for place, one in enumerate(self._inputs):
            if not isinstance(one, Conversation):
                length = len(one.text) if isinstance(one, Templated) else len(one.ids)
                groups[place] = _Group(0, length, [place])
                continue
            group = known.get(id(one.prompt))
            if group is None:
                new = _Group(len(one.prompt) + 1, sum(len(turn.content) for turn in one.prompt))
                group = known[id(one.prompt)] = groups.setdefault(one.prompt, new)
            group.places.append(place)
        return list(groups.values())

    def _check(self, group: _Group) -> None:
        """Refuse what is too long by the number of its characters or turns."""
        most = self._model.max_tokens
        turn_tokens = group.turns * self._model.tokens_of_a_turn
        for place in group.places:
            one = self._inputs[place]
            characters = group.characters + (len(one.response) if isinstance(one, Conversation) else 0)
            if turn_tokens > most:
                self._put(place, Unusable(f"{group.turns:,} turns, more than {most:,} tokens can be"))
            elif isinstance(one, Conversation | Templated) and characters > CHARACTERS_A_TOKEN * most:
                self._put(place, Unusable(f"{characters:,} characters, more than {most:,} tokens can be"))
            else:
                self.least_tokens += max(turn_tokens, math.ceil(characters / CHARACTERS_A_TOKEN))
                self.longest_step = max(self.longest_step, characters + CHARACTERS_A_TURN * group.turns)

    def _encode(self, group: _Group, places: Sequence[int]) -> Iterator[int]:
        if not places:
            return
        first = self._inputs[places[0]]
        fixed = group.characters + CHARACTERS_A_TURN * group.turns
        if not isinstance(first, Conversation):
            if isinstance(first, Templated):
                encode = partial(self._model.encode_text, first.text)
            else:
                encode = partial(self._model.encode_ids, first.ids)
            self._put(places[0], _job_or_reason(encode))
            yield fixed
            return
        try:
            prompt = self._model.encode_prompt(first.prompt)
        except NotScorableError as reason:
            for place in places:
                self._put(place, Unusable(str(reason)))
            yield fixed
            return
        yield fixed
        for place in places:
            one = self._inputs[place]
            assert isinstance(one, Conversation)
            self._put(place, _job_or_reason(partial(self._model.encode_response, prompt, one.response)))
            yield fixed + len(one.response)

    def _put(self, place: int, result: Job | Unusable) -> None:
        self.results[place] = result
        if isinstance(result, Job):
            self.tokens += result.tokens
        else:
            self._unusable = True


class Encoding:
    """Encodes the inputs of all requests in two threads.

    A tokenizer cannot be interrupted, so a request with a text that is longer than a turn has the second thread, where
    it keeps only its like waiting.
    """

    def __init__(self, model: RewardModel) -> None:
        self._model = model
        # Once the tokenizer has been used, nothing in it is set again, and its own code is made for several threads.
        self._short = FairThread("encoding", TURN_CHARACTERS)
        self._long = FairThread("encoding-long", TURN_CHARACTERS, PART_FOR_LONG)

    async def close(self) -> None:
        """Wait until both threads have ended."""
        await self._short.close()
        await self._long.close()

    def inputs(self, inputs: Sequence[Input]) -> RequestInputs:
        """The inputs of a request, checked."""
        return RequestInputs(self._model, inputs)

    async def encode(self, inputs: RequestInputs, reserve: Callable[[int], None], *, until_unusable: bool) -> None:
        """Encode the inputs of a request.

        Args:
            inputs: of the request.
            reserve: called with the number of tokens that each turn encoded; what it raises ends the encoding.
            until_unusable: end at the first input that cannot be scored.
        """
        counted = 0

        def count() -> None:
            nonlocal counted
            tokens = inputs.tokens
            reserve(tokens - counted)
            counted = tokens

        thread = self._long if inputs.longest_step > TURN_CHARACTERS else self._short
        await thread.run(inputs.steps(until_unusable=until_unusable), count)


def _job_or_reason(encode: Callable[[], Encoded]) -> Job | Unusable:
    try:
        encoded = encode()
    except NotScorableError as reason:
        return Unusable(str(reason))
    (response,) = encoded.responses
    return Job(token_key(encoded.prompt), len(encoded.prompt), len(response), encoded)
