"""The likelihood of a preference given the score difference: Bradley-Terry, with margins, label noise and ties.

With z = R_chosen - R_rejected: P(chosen preferred) = sigmoid(z). With ties (Rao and Kupper 1967; for reward models
arXiv 2410.05328, and SoliReward's win-tie loss), a threshold eta > 0 stands between winning and a tie:
P(win) = sigmoid(z - eta), P(loss) = sigmoid(-z - eta), and the rest is the tie,
P(tie) = (exp(2 eta) - 1) sigmoid(z - eta) sigmoid(-z - eta).

None of this depends on the level of R. TRL's `center_rewards_coefficient` c adds c (R_chosen + R_rejected)^2
(Eisenstein et al., arXiv 2312.09244, eq. 2).
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def bradley_terry_ties(
    difference: Tensor, margin: Tensor, tied: Tensor | None, threshold: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """Negative log-likelihood of the preference or tie of each pair.

    Args:
        difference: (..., n) score of the chosen response less that of the rejected.
        margin: (n,) score difference that a decided pair asks for; 0 for plain Bradley-Terry.
        tied: (n,) bool, True for ties; None: there are no ties.
        threshold: eta, (..., 1) or a scalar; above 0 where there are ties, 0 for plain Bradley-Terry.
        label_smoothing: fraction of decided pairs assumed to be labelled the wrong way round.

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
