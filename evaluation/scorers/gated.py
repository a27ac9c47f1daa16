"""A reward model with a gate as a scorer of suites: an exported folder, or the published checkpoint."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from evaluation.scorers.conversations import reward_model_kind
from export.not_scorable import NotScorableError
from export.reward_model import RewardModel
from extract.templating import Encoded

BATCH = 256
"""Number of conversations scored at a time; progress is shown and stored after each."""


class GatedScorer:
    """Scores of a reward model with a gate, as `ConversationScorer` asks for them.

    Args:
        folder: an export of `armorm export`, or the published checkpoint.
        device: to score on.

    Raises:
        UserError: the folder is no reward model's, or damaged.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._model = RewardModel.load(folder, device=str(device))
        self.max_tokens: int | None = self._model.max_tokens
        self.dtype = self._model.dtype
        self._encoded: dict[tuple[int, ...], Encoded] = {}

    def encode(self, messages: Sequence[dict[str, str]]) -> list[int] | str:
        """Token ids of a conversation that ends with a response, or the reason why it cannot be scored."""
        try:
            encoded = self._model.encode(messages, empty=True)  # official scripts of suites score an empty text
        except NotScorableError as reason:
            return str(reason)
        ids: list[int] = np.concatenate([encoded.prompt, encoded.responses[0]]).tolist()
        self._encoded[tuple(ids)] = encoded  # the ids do not say where the prompt ends
        return ids

    def scores(self, sequences: Sequence[list[int]], batch_tokens: int) -> Iterator[tuple[list[int], list[float]]]:  # noqa: ARG002
        """Score what `encode` gave; positions among `sequences`, and their scores, NaN where not finite.

        The model makes its own batches: `batch_tokens` changes nothing.
        """
        for start in range(0, len(sequences), BATCH):
            some = sequences[start : start + BATCH]
            results = self._model.score_encoded([self._encoded[tuple(ids)] for ids in some])
            places = list(range(start, start + len(some)))
            yield places, [float("nan") if isinstance(one, NotScorableError) else one.score for one in results]


KIND = reward_model_kind("armorm", GatedScorer)
