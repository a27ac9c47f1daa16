"""What a difference of scores says about a preference: Bradley-Terry, with margins, noise and ties.

With z = R_chosen - R_rejected: P(chosen preferred) = sigmoid(z). With ties (Rao and Kupper 1967; for reward models
arXiv 2410.05328, and SoliReward's win-tie loss), a threshold eta > 0 stands between winning and a tie:
P(win) = sigmoid(z - eta), P(loss) = sigmoid(-z - eta), and the rest is the tie,
P(tie) = (exp(2 eta) - 1) sigmoid(z - eta) sigmoid(-z - eta).
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def bradley_terry(difference: Tensor, margin: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Negative log-likelihood of the preference of each pair.

    Args:
        difference: (..., n) score of the chosen response less that of the rejected.
        margin: (n,) how far apart the scores should be at least; 0 for plain Bradley-Terry.
        label_smoothing: share of pairs labelled the wrong way round.

    Returns:
        (..., n)
    """
    return bradley_terry_ties(difference, margin, None, torch.zeros(()), label_smoothing)


def bradley_terry_ties(
    difference: Tensor, margin: Tensor, tied: Tensor | None, threshold: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """Negative log-likelihood of the preference or tie of each pair.

    Args:
        difference: (..., n) score of the chosen response less that of the rejected.
        margin: (n,) how far apart the scores of a decided pair should be at least.
        tied: (n,) bool, pairs that are ties; None: none is.
        threshold: eta, (..., 1) or a scalar; above 0 where there are ties.
        label_smoothing: share of decided pairs labelled the wrong way round.

    Returns:
        (..., n)
    """
    apart = difference - margin  # (..., n)
    decided = -(1.0 - label_smoothing) * logsigmoid(apart - threshold)
    if label_smoothing:
        decided = decided - label_smoothing * logsigmoid(-apart - threshold)
    if tied is None:
        return decided
    log_width = 2.0 * threshold + torch.log(-torch.expm1(-2.0 * threshold))  # log(exp(2 eta) - 1)
    level = -(log_width + logsigmoid(difference - threshold) + logsigmoid(-difference - threshold))
    return torch.where(tied, level, decided)
