"""Accuracy with an interval."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Z = float(ndtri(0.975))
"""The normal distribution's 97.5 % quantile."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The fraction of rows judged right."""

    accuracy: float
    rows: int
    low: float
    """Lower end of the 95 % Wilson interval."""
    high: float


def accuracy_of(right: NDArray[np.bool_]) -> Accuracy:
    """The fraction of True, with its 95 % Wilson score interval (which stays inside 0..1 for few rows).

    Wilson 1927. scipy's `binomtest` has it too, after an exact test that takes half a millisecond; a suite needs
    hundreds of intervals.
    """
    n = len(right)
    if n == 0:
        raise ValueError("the accuracy of no rows is not defined")
    fraction = float(right.mean())
    centre = (fraction + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(fraction * (1 - fraction) / n + Z**2 / (4 * n**2))
    return Accuracy(fraction, n, max(0.0, min(centre - half, fraction)), min(1.0, max(centre + half, fraction)))
