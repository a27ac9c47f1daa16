"""Two levels: the prompt is routed to one task, and the task has weights of its own (after DMoERM, arXiv 2403.01197).

DMoERM's outer layer selects one task for a prompt, its inner layer weights capabilities within the task. Here tasks
are the pair sets, `gating.task_router` routes a prompt, and the inner layer is a set of weights fitted on the pairs
routed to the task. A penalty draws them to the weights of all pairs, so that a task with few pairs stays near those.
"""

import numpy as np
from numpy.typing import NDArray

from gating.logistic_weights import logistic_weights
from gating.rules.rule import Arrays, PairRewards, Responses, Rule, Scores


def _fit(pairs: PairRewards) -> dict[str, NDArray[np.float64]]:
    overall = logistic_weights(pairs.difference, pairs.weight, signed=False)  # (k,)
    weights = np.tile(overall, (pairs.tasks, 1))  # (tasks, k)
    for task in range(pairs.tasks):
        rows = pairs.task == task  # (n,)
        if rows.any():
            weights[task] = logistic_weights(pairs.difference[rows], pairs.weight[rows], signed=False, start=overall)
    return {"weight": weights}


def _scores(responses: Responses, fitted: Arrays) -> Scores:
    return np.einsum("nk,nk->n", responses.rewards.astype(np.float64), fitted["weight"][responses.task])


def _reward_weights(responses: Responses, fitted: Arrays) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = fitted["weight"].astype(np.float64)[responses.task]
    return weights


ROUTED = Rule("weights by task, prompts routed", "two-level, DMoERM", _scores, _fit, _reward_weights)
