"""The lambdas at which the correlations of r - sum_j lambda_j v_j with several variables v_j are zero at once.

For Pearson they are the least-squares solution, one linear solve for all rewards. For Spearman they solve m equations
in m unknowns, which Newton's method finds from there: the slopes are taken from small steps along each variable, and a
step that does not come closer is halved. Where that stalls, each lambda in turn is set to its own root
(`correlation.spearman_root`), and Newton's method starts again. On finitely many rows the correlations are step
functions, so that zero is met to a tolerance, if at all.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from gating.correlation import CLOSE_ENOUGH, ROUNDING, Column, spearman_root

Matrix = NDArray[np.float64]
"""Shape (n, m), (n, k) or (k, m)."""

COLLINEAR = 1e-6
"""A combination of standardised variables whose spread is below this fraction of the largest is float32 rounding: what
rewards are predicted in."""

NEAR_ENOUGH = CLOSE_ENOUGH / 10
"""Rank correlations at which Newton's method ends."""

STARTS, ROUNDS, STEPS, HALVINGS = 4, 3, 30, 8
"""Limits of the search: starts of Newton's method, rounds over the variables before the second, its steps from each,
and halvings of a step."""


def pearson_roots(rewards: Matrix, variables: Matrix) -> Matrix:
    """The lambdas that leave no Pearson correlation. Shape (k, m).

    Where variables are collinear, of all solutions the one with the smallest penalties: least norm over variables of
    spread 1.

    Args:
        rewards: (n, k)
        variables: (n, m), each of which varies.
    """
    spread = variables.std(axis=0)  # (m,)
    units = (variables - variables.mean(axis=0)) / spread  # (n, m)
    solution, *_ = np.linalg.lstsq(units, rewards - rewards.mean(axis=0), rcond=COLLINEAR)  # (m, k)
    lambdas: Matrix = solution.T / spread
    return lambdas


def spearman_roots(reward: Column, variables: Matrix) -> Column:
    """The lambdas that leave the smallest rank correlations that were found. Shape (m,).

    Args:
        reward: (n,)
        variables: (n, m), each of which varies.
    """
    spread = variables.std(axis=0)  # (m,)
    units = variables / spread  # (n, m)
    ranks = _directions(rankdata(variables, axis=0))  # (n, m)

    def remaining(lambdas: Column) -> Column:
        return ranks.T @ _directions(rankdata(reward - units @ lambdas))  # (m,)

    at = pearson_roots(reward[:, None], units)[0]  # (m,)
    size = float(np.std(reward - units @ at))
    if size <= ROUNDING * float(np.std(reward)):
        return at / spread  # nothing is left, whose ranks mean nothing
    best, least = at, _largest(remaining(at))
    for start in range(STARTS):
        for _ in range(start * ROUNDS):
            at = _each_in_turn(reward, units, at)
        found = _newton(remaining, at, 0.1 * size)
        if (largest := _largest(remaining(found))) < least:
            best, least = found, largest
        if least <= CLOSE_ENOUGH:
            break
    return best / spread


def _newton(remaining: Callable[[Column], Column], at: Column, width: float) -> Column:
    """The point at which Newton's method ends; `width` is the size of the steps that slopes are first taken from."""
    value = remaining(at)  # (m,)
    for _ in range(STEPS):
        if _largest(value) <= NEAR_ENOUGH:
            break
        steps = width * np.eye(len(at))
        slopes = [(remaining(at + step) - remaining(at - step)) / (2 * width) for step in steps]  # (m,) each
        step = -np.linalg.lstsq(np.stack(slopes, axis=-1), value, rcond=COLLINEAR)[0]  # (m,)
        for _ in range(HALVINGS):
            new = remaining(at + step)
            if np.linalg.norm(new) < np.linalg.norm(value):
                at, value, width = at + step, new, max(float(np.abs(step).max()), width / 10)
                break
            step /= 2
        else:
            width /= 4
    return at


def _each_in_turn(reward: Column, units: Matrix, at: Column) -> Column:
    at = at.copy()
    for number in range(len(at)):
        at[number] = 0.0
        at[number] = spearman_root(reward - units @ at, units[:, number])
    return at


def _directions(columns: Matrix) -> Matrix:
    """Columns (n, …) less their means, of length 1; 0 where one does not vary."""
    centred = columns - columns.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    directions: Matrix = centred / np.where(length > 0, length, 1.0)
    return directions


def _largest(values: Column) -> float:
    return float(np.abs(values).max())
