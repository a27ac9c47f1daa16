"""Named rewards of NeMo-RL: what an environment's `step` returns as `rewards` for GDPO.

NeMo-RL 0.8 takes a dictionary from `reward/<name>` to one tensor (batch,), sums them as the total reward, and
normalises each by itself under GDPO (docs/guides/environments.md, "Multi-reward support"). The total counts every
reward once: NeMo-RL knows no weights.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cache import UserError
from export.conversations import Conversation
from export.reward_model import RewardModel
from export.rewards.named_rewards import NamedRewards, loaded, turns_of
from export.rewards.shared_pass import SharedPass

PREFIX = "reward/"
"""Beginning of the keys by which NeMo-RL knows a named reward."""

MessageLog = Sequence[Mapping[str, Any]]
"""Turns with `role` and `content`, and whatever else NeMo-RL keeps with them."""


def reward_dictionary(
    model: RewardModel | str | Path,
    objectives: Sequence[str],
    *,
    scale: str = "raw",
    debiased: bool = False,
    unscorable: float | None = None,
    prompt_key: str | None = None,
    device: str = "auto",
) -> Callable[[Sequence[MessageLog], Sequence[Mapping[str, Any]]], dict[str, Tensor]]:
    """A function from the arguments of an environment's `step` to its `rewards`.

    Args:
        model: a model, used by nobody else meanwhile, or its folder.
        objectives: names of objectives, or `score`.
        scale: raw, rating, unit, centred, standardised or sigmoid (`gating/reward_scales.py`).
        debiased: whether rewards are those after debiasing.
        unscorable: what stands for each reward of a log that has no score; None: such a log is refused.
        prompt_key: key of the metadata that holds the prompt, a user's message or turns, for data processors that
            write the policy's chat template into the log's contents, as NeMo-RL's own for mathematics do. None: the
            contents of the log are plain, and all its turns but the last are the prompt.
        device: of a folder's model: auto (the first CUDA device, else the CPU), or a name that torch knows.

    Returns:
        A function of (message_log_batch, metadata) that gives `reward/<name>` -> float32 (batch,), on the CPU.

    Raises:
        UserError: the folder is no reward model's, a name is unknown or repeated, there is none, or the model cannot
            give one of them on this scale. The function raises it for a log without a score or a prompt.
    """
    named = NamedRewards(SharedPass(loaded(model, device)), objectives, scale, debiased=debiased, unscorable=unscorable)

    def rewards(message_log_batch: Sequence[MessageLog], metadata: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """The named rewards of a batch."""
        conversations: list[Conversation] = [
            [_plain(turn) for turn in log] if prompt_key is None else [*prompt_of(known, prompt_key), _plain(log[-1])]
            for log, known in zip(message_log_batch, metadata, strict=True)
        ]
        values = torch.from_numpy(named.of(conversations)).to(torch.float32)  # (batch, m)
        return {f"{PREFIX}{name}": values[:, place].clone() for place, name in enumerate(named.names)}

    return rewards


def prompt_of(known: Mapping[str, Any] | None, key: str) -> list[Any]:
    """The prompt that a trainer keeps beside a response, as turns.

    Raises:
        UserError: there is none.
    """
    if not known or known.get(key) is None:
        raise UserError(
            f"a row's further information has no {key!r}: put the prompt there, a user's message or turns, or name its"
            " key as prompt_key"
        )
    return turns_of(known[key])


def _plain(turn: Mapping[str, Any]) -> dict[str, Any]:
    """A turn without token ids and the like."""
    return {key: turn[key] for key in ("role", "content") if key in turn}
