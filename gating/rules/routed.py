"""Two levels: the prompt is routed to one task, and the task has weights of its own (after DMoERM, arXiv 2403.01197).

DMoERM's outer layer picks one task for a prompt, its inner layer weighs capabilities inside the task. Here tasks
are the pair sets, a prompt is routed by `gating.task_router`, and the inner layer is a set of weights that is
fitted on the pairs routed to the task and drawn to the weights of all pairs, so that a task with few pairs
stays near them.
"""

import numpy as np
from numpy.typing import NDArray

from gating.logistic_weights import logistic_weights
from gating.rules.rule import Arrays, PairRewards, Responses, Rule, Scores


def _fit(pairs: PairRewards) -> dict[str, NDArray[np.float64]]:
    overall = logistic_weights(pairs.difference, pairs.weight, signed=False)  # (k,)
    weights = np.tile(overall, (pairs.tasks, 1))  # (tasks, k)
    for task in range(pairs.tasks):
        own = pairs.task == task
        if own.any():
            weights[task] = logistic_weights(pairs.difference[own], pairs.weight[own], signed=False, start=overall)
    return {"weight": weights}


def _scores(responses: Responses, fitted: Arrays) -> Scores:
    return np.einsum("nk,nk->n", responses.rewards.astype(np.float64), fitted["weight"][responses.task])


ROUTED = Rule("weights by task, prompts routed", "two-level, DMoERM", _scores, _fit)
