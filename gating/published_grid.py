"""The reference code's search for lambda, for reproducing it: a grid, and a threshold in place of zero.

Values and threshold: `armo-rm/stage-2_train.py` of RLHFlow/RLHF-Reward-Modeling. The search knows no negative
lambda, so an objective that falls with verbosity keeps all of it, and it stops at the first value that brings
the correlation to the threshold or below, not at zero.
"""

from collections.abc import Callable

from gating.correlation import Column

GRID = (0.0, 0.01, 0.025, *(step / 40 for step in range(2, 7)), *(step / 20 for step in range(4, 20)))
"""0, 0.01, 0.025, then steps of 0.025 to 0.15, then steps of 0.05 to 0.95."""

NOT_FOUND = 1.0
"""What the reference code takes when no value of the grid is enough."""


def first_on_grid(r: Column, v: Column, measure: Callable[[Column, Column], float], threshold: float) -> float:
    """The first lambda of the grid at which corr(r - lambda v, v) is at most `threshold`; 1 where there is none."""
    return next((value for value in GRID if measure(r - value * v, v) <= threshold), NOT_FOUND)
