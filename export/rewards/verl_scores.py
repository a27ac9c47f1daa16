"""Custom reward functions of verl: `reward.custom_reward_function.path=pkg://export.rewards.verl_scores`.

verl calls `compute_score` for one response at a time, from threads or, if it is a coroutine function, as a task of its
event loop (verl/experimental/reward_loop/reward_manager/, 0.9); its older batch manager calls with the whole batch.
Everything in `reward_kwargs` comes with every call, so the model is loaded at the first one, once a process. verl hands
on no prompt: it is read from the row's `extra_info`.

The result has `score`, which is what is trained on, and each reward by its name: under GDPO, name them in
`algorithm.gdpo_reward_keys`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from threading import Lock
from typing import Any

from export.conversations import Conversation
from export.reward_model import RewardModel
from export.rewards.message_logs import prompt_of
from export.rewards.named_rewards import NamedRewards
from export.rewards.shared_pass import SharedPass
from extract.records import Message
from gating.reward_scales import SCORE, factors_of

MODEL_SCORE = "model_score"
"""Key of the model's own score, since `score` is what verl trains on."""

_loading = Lock()


def compute_score_batch(
    data_sources: Sequence[str],
    solution_strs: Sequence[str],
    ground_truths: Sequence[Any],
    extra_infos: Sequence[Mapping[str, Any] | None],
    *,
    folder: str,
    objectives: Sequence[str],
    scale: str = "raw",
    weights: Sequence[float] | None = None,
    debiased: bool = False,
    unscorable: float | None = None,
    prompt_key: str = "prompt",
    device: str = "auto",
    reward_router_address: str | None = None,
    reward_model_tokenizer: Any = None,
) -> list[dict[str, float]]:
    """The rewards of a batch of responses.

    Args:
        data_sources: not used.
        solution_strs: the responses.
        ground_truths: not used.
        extra_infos: of each response's row; `prompt_key` in it is the prompt, a user's message or turns.
        folder: of the reward model.
        objectives: names of objectives, or `score`.
        scale: raw, rating, unit, centred, standardised or sigmoid (`gating/reward_scales.py`).
        weights: of the objectives in `score`, one for each; None: `score` is their mean.
        debiased: whether rewards are those after debiasing.
        unscorable: what stands for `score` and each reward of a response that has no score; None: it is refused.
        prompt_key: key of the prompt in `extra_info`; verl's own example rows have `question`.
        device: auto (the first CUDA device, else the CPU), or a name that torch knows.
        reward_router_address: not used; verl hands it on where it runs a reward model of its own.
        reward_model_tokenizer: not used, likewise.

    Returns:
        For each response `score` and every reward by its name; the model's own score has the name `model_score`.

    Raises:
        UserError: the folder is no reward model's, a name, the scale or the weights are not fitting, a response has no
            score, or its prompt is missing.
    """
    del data_sources, ground_truths, reward_router_address, reward_model_tokenizer
    named = NamedRewards(_shared(folder, device), list(objectives), scale, debiased=debiased, unscorable=unscorable)
    factors = factors_of(weights, len(named.names))  # (m,)
    conversations: list[Conversation] = [
        [*prompt_of(known, prompt_key), Message("assistant", said)]
        for said, known in zip(solution_strs, extra_infos, strict=True)
    ]
    values = named.of(conversations)  # (n, m)
    totals = (values @ factors).tolist()
    keys = [MODEL_SCORE if name == SCORE else name for name in named.names]
    return [
        {SCORE: total, **dict(zip(keys, row, strict=True))} for total, row in zip(totals, values.tolist(), strict=True)
    ]


def compute_score(
    data_source: str, solution_str: str, ground_truth: Any, extra_info: Mapping[str, Any] | None = None, **settings: Any
) -> dict[str, float]:
    """The rewards of one response; `settings` are the named arguments of `compute_score_batch`.

    Responses that several threads ask for while the model computes go into its next pass together.
    """
    return compute_score_batch([data_source], [solution_str], [ground_truth], [extra_info], **settings)[0]


async def compute_score_async(
    data_source: str, solution_str: str, ground_truth: Any, extra_info: Mapping[str, Any] | None = None, **settings: Any
) -> dict[str, float]:
    """`compute_score` for verl's event loop, which goes on while the model computes."""
    call = partial(compute_score, data_source, solution_str, ground_truth, extra_info, **settings)
    return await asyncio.to_thread(call)


def _shared(folder: str, device: str) -> SharedPass:
    with _loading:  # or several threads would load the model at once
        return _load(folder, device)


@lru_cache(maxsize=1)
def _load(folder: str, device: str) -> SharedPass:
    return SharedPass(RewardModel.load(folder, device=device))
