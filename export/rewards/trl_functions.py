"""Reward functions of TRL: `GRPOTrainer(reward_funcs=reward_functions(...))`.

TRL calls each function with the batch's prompts and completions and all columns of the rows by name, logs its mean as
`rewards/<name>/mean`, and reads one number for each completion (trl/trainer/grpo_trainer.py of 1.16).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from export.reward_model import RewardModel
from export.rewards.named_rewards import NamedRewards, loaded, turns_of
from export.rewards.shared_pass import SharedPass
from extract.records import Message

RewardFunction = Callable[..., list[float]]
"""Takes `prompts` and `completions` by name, and whatever else TRL hands on."""


def reward_functions(
    model: RewardModel | str | Path,
    objectives: Sequence[str],
    *,
    scale: str = "raw",
    debiased: bool = False,
    unscorable: float | None = None,
    device: str = "auto",
) -> list[RewardFunction]:
    """One reward function for each name, which share one pass of the backbone a batch.

    A prompt and a completion are both texts, read as a user's message and the answer, or both lists of turns.

    Args:
        model: a model, used by nobody else meanwhile, or its folder.
        objectives: names of objectives, or `score`; the functions have this order and these names.
        scale: raw, rating, unit, centred, standardised or sigmoid (`gating/reward_scales.py`).
        debiased: whether rewards are those after debiasing.
        unscorable: what every function gives for a completion that has no score, which is empty, too long, spells a
            special token or ends with another turn than the assistant's; None: such a completion ends the training.
        device: of a folder's model: auto (the first CUDA device, else the CPU), or a name that torch knows. With
            several processes each names its own.

    Raises:
        UserError: the folder is no reward model's, a name is unknown or repeated, there is none, or the model cannot
            give one of them on this scale. The functions raise it for a completion without a score.
    """
    named = NamedRewards(SharedPass(loaded(model, device)), objectives, scale, debiased=debiased, unscorable=unscorable)
    return [_function(named, place, name) for place, name in enumerate(named.names)]


def _function(named: NamedRewards, place: int, name: str) -> RewardFunction:
    def reward(prompts: Sequence[Any], completions: Sequence[Any], **_columns: Any) -> list[float]:
        conversations = [
            [*turns_of(prompt), *([Message("assistant", said)] if isinstance(said, str) else said)]
            for prompt, said in zip(prompts, completions, strict=True)
        ]
        return named.of(conversations)[:, place].tolist()

    reward.__name__ = name
    reward.__doc__ = f"The reward {name} of each completion."
    return reward
