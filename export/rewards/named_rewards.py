"""Some rewards of a model on one scale, as all trainers' functions ask for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.conversations import Conversation
from export.reward_model import RewardModel
from export.rewards.shared_pass import SharedPass
from export.scaled_rows import scaled_rows
from extract.records import Message


class NamedRewards:
    """Rewards by name, over a shared pass.

    Args:
        shared: the model.
        objectives: names of m objectives, or `score`; their order is kept.
        scale: one of `gating.reward_scales.SCALES`.
        debiased: whether rewards are those after debiasing.
        unscorable: what stands for each reward of a conversation that has no score; None: it is refused.

    Raises:
        UserError: a name is unknown or repeated, there is none, or the model cannot give one of them on this scale.
    """

    def __init__(
        self, shared: SharedPass, objectives: Sequence[str], scale: str, *, debiased: bool, unscorable: float | None
    ) -> None:
        self._shared = shared
        self._scaled = shared.model.scales.chosen(objectives, scale, debiased=debiased)
        self._unscorable = unscorable
        self.names = self._scaled.names
        scaled_rows([], self._scaled, unscorable)  # refuses an impossible number now, and not in the middle of a run

    def of(self, conversations: Sequence[Conversation]) -> NDArray[np.float64]:
        """The rewards (n, m) of n conversations.

        Raises:
            UserError: one has no score, and no number stands for it.
        """
        return scaled_rows(self._shared.score_each(conversations), self._scaled, self._unscorable)


def loaded(model: RewardModel | str | Path, device: str) -> RewardModel:
    """A model that is loaded, or that of a folder.

    Raises:
        UserError: the folder is not that of a reward model.
    """
    return model if isinstance(model, RewardModel) else RewardModel.load(model, device=device)


def turns_of(prompt: Any) -> list[Any]:
    """A prompt as trainers hold it, a user's message or turns in any sequence, as turns."""
    return [Message("user", prompt)] if isinstance(prompt, str) else list(prompt)
