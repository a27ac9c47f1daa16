"""The router and the rules, fitted on the training pairs; and the validation pairs' responses as rules see them."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from cache import FeatureStore
from gating.collapse import GateSummary, summarise
from gating.gate import Gate
from gating.inputs import GateInputs
from gating.prompts import some_of
from gating.reward import RewardParts
from gating.rules import RULES
from gating.rules.rule import Arrays, PairRewards, Responses
from gating.task_router import TaskRouter
from heads.stored import predict_stored


def fit_router(inputs: GateInputs, tasks: Sequence[str]) -> TaskRouter:
    """Learn from the training prompts which pair set a prompt comes from."""
    rows = inputs.rows("train", decided=True)
    names = inputs.table["dataset"].to_numpy()
    used, first = np.unique(inputs.prompt[rows], return_index=True)
    task = np.asarray([list(tasks).index(name) for name in names[rows[first]]], dtype=np.int64)  # (used,)
    return TaskRouter.fit(some_of(inputs.prompts, torch.from_numpy(used)), torch.from_numpy(task), len(tasks))


def fit_rules(inputs: GateInputs, router: TaskRouter, tasks: int) -> dict[str, Arrays]:
    """Fit every rule on the decided training pairs: rule -> its arrays."""
    rows = inputs.rows("train", decided=True)
    task = router.route(inputs.prompts).numpy()[inputs.prompt[rows]]  # (n,)
    pairs = PairRewards(inputs.difference[rows], task, tasks, inputs.table["weight"].to_numpy()[rows])
    return {name: dict(rule.fit(pairs)) for name, rule in RULES.items()}


def both_sides(
    store: FeatureStore, inputs: GateInputs, parts: RewardParts, router: TaskRouter, bradley_terry: NDArray[np.float64]
) -> tuple[Responses, Responses]:
    """The chosen and the rejected responses of the decided validation pairs, as rules see them.

    Args:
        store: holds the features.
        inputs: all pairs.
        parts: the heads and the trained gate.
        router: the fitted router.
        bradley_terry: (layers * hidden_size,) the plain Bradley-Terry head.
    """
    rows = inputs.rows("validation", decided=True)
    used, place = np.unique(inputs.prompt[rows], return_inverse=True)
    prompts = some_of(inputs.prompts, torch.from_numpy(used))
    weights, task = parts.gate.blockwise(prompts)[place], router.route(prompts).numpy()[place]
    of_pairs = np.unique(np.concatenate([inputs.chosen[rows], inputs.rejected[rows]]))  # rows of `keys`
    scores = predict_stored(store, inputs.keys[of_pairs], bradley_terry[None])[:, 0]  # (used,)
    before = predict_stored(store, inputs.keys[of_pairs], parts.weight).astype(np.float32)  # (used, k)
    chosen, rejected = (
        Responses(
            rewards=rewards[rows],
            weights=weights,
            task=task,
            bradley_terry=scores[np.searchsorted(of_pairs, side[rows])],
            tokens=inputs.table[f"{name}_tokens"].to_numpy()[rows],
            before_debiasing=before[np.searchsorted(of_pairs, side[rows])],
        )
        for name, side, rewards in (
            ("chosen", inputs.chosen, inputs.chosen_rewards),
            ("rejected", inputs.rejected, inputs.rejected_rewards),
        )
    )
    return chosen, rejected


def gate_summary(inputs: GateInputs, gate: Gate, objectives: tuple[str, ...]) -> GateSummary:
    """Summary of the gate's weights on the prompts of the validation pairs."""
    return _summary(inputs, inputs.rows("validation"), gate, objectives)


def gate_by_dataset(inputs: GateInputs, gate: Gate, objectives: tuple[str, ...]) -> dict[str, GateSummary]:
    """Pair set -> summary of the gate's weights on the prompts of its validation pairs."""
    rows = inputs.rows("validation")
    names = inputs.table["dataset"].to_numpy()[rows]
    return {str(name): _summary(inputs, rows[names == name], gate, objectives) for name in dict.fromkeys(names)}


def rule_weights(fitted: Mapping[str, Arrays], objectives: Sequence[str]) -> dict[str, dict[str, float]]:
    """Rule -> objective -> weight, for rules with one set of weights."""
    return {
        rule: dict(zip(objectives, map(float, arrays["weight"]), strict=True))
        for rule, arrays in fitted.items()
        if "weight" in arrays and arrays["weight"].ndim == 1
    }


def _summary(inputs: GateInputs, rows: NDArray[np.int64], gate: Gate, objectives: tuple[str, ...]) -> GateSummary:
    used = torch.from_numpy(np.unique(inputs.prompt[rows]))
    return summarise(gate.blockwise(some_of(inputs.prompts, used)), objectives)
