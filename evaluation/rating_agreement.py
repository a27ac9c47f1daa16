"""Agreement of predicted ratings with people's ratings, on held-out prompts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import Estimate, reweighted
from evaluation.weighted_ranks import Ranks, auc, pearson

FEWEST_PROMPTS = 10
"""With fewer prompts there is no interval: a bootstrap's would be too narrow."""

FEWEST_RATINGS = 2
"""With fewer ratings of an objective in a data set, there is nothing to correlate."""


@dataclass(frozen=True, slots=True)
class RatingAgreement:
    """One objective in one data set, with 95 % intervals by bootstrap over prompts; NaN where those are too few."""

    rows: int
    prompts: int
    pearson: Estimate
    """NaN where predictions or ratings do not vary."""
    spearman: Estimate
    mse: Estimate
    """Mean squared error; targets go from 0 to 1."""
    constant_mse: float
    """Mean squared error of predicting the mean of these ratings: their variance."""
    auc: Estimate | None
    """Probability that a response of the higher level is predicted above one of the lower level; None where there are
    not two levels."""


def rating_agreement(
    predicted: NDArray[np.float64], targets: NDArray[np.float64], prompt: NDArray[np.integer], seed: int = 0
) -> RatingAgreement:
    """Agreement of predictions with targets.

    Args:
        predicted: (n,) finite.
        targets: (n,) finite, on the same scale.
        prompt: (n,) which prompt each row belongs to.
        seed: seed of the bootstrap.

    Raises:
        ValueError: there is no row, or a number is not finite.
    """
    if len(targets) == 0 or not (np.isfinite(predicted).all() and np.isfinite(targets).all()):
        raise ValueError("there is no rating to compare, or one that is not finite")
    by_prediction, by_target = Ranks(predicted), Ranks(targets)
    levels = np.unique(targets)
    positive = targets == levels[-1]
    errors = (predicted - targets) ** 2

    def figures(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        ranks = by_prediction.under(weights)
        return np.array(
            [
                pearson(predicted, targets, weights),
                pearson(ranks, by_target.under(weights), weights),
                weights @ errors / weights.sum(),
                auc(ranks, positive, weights) if len(levels) == 2 else np.nan,
            ]
        )

    prompts = len(np.unique(prompt))
    found = reweighted(figures, prompt, seed)
    if prompts < FEWEST_PROMPTS:
        found = [Estimate(figure.value, float("nan"), float("nan")) for figure in found]
    correlation, rank_correlation, mse, area = found
    return RatingAgreement(
        rows=len(targets),
        prompts=prompts,
        pearson=correlation,
        spearman=rank_correlation,
        mse=mse,
        constant_mse=float(targets.var()),
        auc=area if len(levels) == 2 else None,
    )


def agreement_by_dataset(
    predicted: NDArray[np.float64],
    targets: NDArray[np.float64],
    prompt: NDArray[np.integer],
    dataset: NDArray[np.object_],
    objectives: Sequence[str],
) -> dict[str, dict[str, RatingAgreement]]:
    """Agreement of each objective's predictions with its ratings, data set by data set.

    Args:
        predicted: (n, k) finite.
        targets: (n, k) on the same scale; NaN where a row is not rated.
        prompt: (n,) which prompt each row belongs to.
        dataset: (n,) each row's data set.
        objectives: names of the k columns.

    Returns:
        Objective -> data set -> agreement, where the data set has at least `FEWEST_RATINGS` ratings of it.
    """
    agreement: dict[str, dict[str, RatingAgreement]] = {}
    for number, name in enumerate(objectives):
        rated = ~np.isnan(targets[:, number])
        for of in dict.fromkeys(dataset[rated]):
            rows = rated & (dataset == of)
            if rows.sum() >= FEWEST_RATINGS:
                found = rating_agreement(predicted[rows, number], targets[rows, number], prompt[rows])
                agreement.setdefault(name, {})[str(of)] = found
    return agreement
