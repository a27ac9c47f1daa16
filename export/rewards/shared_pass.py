"""Scores of conversations by their content: whoever asks for the same ones again gets them without another pass.

A trainer calls one function for each reward, all with the same batch, and some call from several threads with one
response each. Here the first call computes and the others read; what threads ask for while the model computes goes into
the next pass together.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import astuple
from threading import Lock

from export.conversations import Conversation, prompt_and_response
from export.not_scorable import NotScorableError
from export.reward_model import RewardModel
from gating.reward import Scored

KEPT = 4096
"""Conversations whose scores are kept; of a larger batch, all of them until the next."""

Result = Scored | NotScorableError


class SharedPass:
    """A reward model that several callers and threads share.

    Args:
        model: computes one pass at a time. Nobody else may use it meanwhile.
        kept: number of conversations whose scores are kept.
    """

    def __init__(self, model: RewardModel, kept: int = KEPT) -> None:
        self.model = model
        self._kept = kept
        self._lock = Lock()
        """Held for as long as the two tables are looked at."""
        self._pass = Lock()
        """Held while the model computes."""
        self._results: OrderedDict[bytes, Future[Result]] = OrderedDict()
        """Key -> score, those asked for longest ago first."""
        self._waiting: dict[bytes, tuple[Conversation, Future[Result]]] = {}

    def score_each(self, conversations: Sequence[Conversation]) -> list[Result]:
        """As `RewardModel.score_each`; those that were scored lately are not computed again."""
        keys = [_key(conversation) for conversation in conversations]
        with self._lock:
            asked = [
                key if isinstance(key, NotScorableError) else self._asked(key, conversation)
                for key, conversation in zip(keys, conversations, strict=True)
            ]
            while len(self._results) > max(self._kept, len(conversations)):
                self._results.popitem(last=False)
        with self._pass:
            with self._lock:
                waiting, self._waiting = self._waiting, {}
            if waiting:
                self._compute(waiting)
        return [one if isinstance(one, NotScorableError) else one.result() for one in asked]

    def _asked(self, key: bytes, conversation: Conversation) -> "Future[Result]":
        """The score of a conversation, which is computed before the next pass ends."""
        if key not in self._results:
            # It may wait already and not be kept any more, where more are asked for at once than are kept.
            _, future = self._waiting.setdefault(key, (conversation, Future()))
            self._results[key] = future
        self._results.move_to_end(key)
        return self._results[key]

    def _compute(self, waiting: dict[bytes, tuple[Conversation, "Future[Result]"]]) -> None:
        try:
            results = self.model.score_each([conversation for conversation, _ in waiting.values()])
        except BaseException as error:
            with self._lock:
                for key, (_, future) in waiting.items():
                    if self._results.get(key) is future:
                        del self._results[key]  # the next call tries again
            for _, future in waiting.values():
                future.set_exception(error)
            return
        for (_, future), result in zip(waiting.values(), results, strict=True):
            future.set_result(result)


def _key(conversation: Conversation) -> bytes | NotScorableError:
    """Digest of a conversation's turns; or the reason why it is none."""
    try:
        prompt, responses = prompt_and_response(conversation)
    except NotScorableError as reason:
        return reason
    texts = json.dumps([*map(astuple, prompt), responses])
    return hashlib.blake2b(texts.encode("ascii"), digest_size=16).digest()
