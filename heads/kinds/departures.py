"""The choice of the penalty that keeps a head near a simpler one, from no departure downwards."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Fit = TypeVar("Fit")

PATIENCE = 2
"""Number of penalties in a row without a lower loss after which smaller ones are not tried."""

LEAST_GAIN = 1e-3
"""A loss that is not lower by this, absolutely where the loss has no zero and relatively otherwise, is no gain."""


@dataclass(frozen=True, slots=True)
class Departure(Generic[Fit]):
    """A fit, with the penalty that gave it."""

    fit: Fit
    alpha: float
    """Infinite where no departure was the best."""
    loss: float


def best_departure(
    alphas: Sequence[float],
    fit: Callable[[float, Fit | None], Fit],
    loss: Callable[[Fit], float],
    *,
    relative: bool,
) -> Departure[Fit]:
    """The fit with the lowest loss, among no departure and the alphas from the largest down.

    Args:
        alphas: penalties of the departure.
        fit: (alpha, the fit of the alpha before) -> fit; an infinite alpha allows no departure.
        loss: of a fit, on rows that it was not fitted on.
        relative: whether `LEAST_GAIN` is a fraction of the loss.
    """
    before = fit(math.inf, None)
    best = Departure(before, math.inf, loss(before))
    idle = 0
    for alpha in sorted(alphas, reverse=True):
        before = fit(alpha, before)
        found = Departure(before, alpha, loss(before))
        gain = LEAST_GAIN * (best.loss if relative else 1.0)
        idle = 0 if found.loss < best.loss - gain else idle + 1
        if found.loss < best.loss - gain:
            best = found
        if idle == PATIENCE and best.alpha != math.inf:
            break
        if idle > PATIENCE and found.loss > best.loss + gain:
            break
    return best
