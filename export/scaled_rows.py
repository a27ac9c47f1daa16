"""Results of scoring as rows of rewards on one scale, with a number for what has no score, if one is given."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from export.not_scorable import NotFiniteError, NotScorableError
from gating.reward import Scored
from gating.reward_scales import ScaledRewards


def scaled_rows(
    results: Sequence[Scored | NotScorableError], scaled: ScaledRewards, unscorable: float | None
) -> NDArray[np.float64]:
    """The m rewards of each of n results. Shape (n, m).

    Args:
        results: scores, or the reasons why there is none.
        scaled: the rewards and their scale.
        unscorable: stands for each reward of a conversation that cannot be scored for a reason of its own.

    Raises:
        UserError: there is no such number, the model gave a number that is not finite, or a conversation that has no
            score has no number either; the sentence names the first one, counted from 0.
    """
    if unscorable is not None and not np.isfinite(unscorable):
        raise UserError(f"unscorable is {unscorable}: give a finite number, or None")
    for number, result in enumerate(results):
        if isinstance(result, NotFiniteError) or (isinstance(result, NotScorableError) and unscorable is None):
            remedy = "" if isinstance(result, NotFiniteError) else ", or give a number for such as `unscorable`"
            raise UserError(f"conversation {number} cannot be scored: {result}; change it or leave it out{remedy}")
    values = np.full((len(results), len(scaled.names)), unscorable, dtype=np.float64)  # (n, m)
    there = [place for place, result in enumerate(results) if isinstance(result, Scored)]
    values[there] = scaled.of([result for result in results if isinstance(result, Scored)])
    return values
