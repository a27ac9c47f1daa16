"""The two sorts of head that a recipe can have beside the ridge: learned from pairs, or from ratings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from cache.progress import Progress
from heads.objectives import Scale

if TYPE_CHECKING:
    from heads.distributions import Distributions  # imports scipy, and a recipe is read without it

Settings = TypeVar("Settings", bound=BaseModel)

Arrays = dict[str, NDArray[Any]]
Features = NDArray[np.floating[Any]]
"""(m, d) float16 or float32, one row a response."""

Pairs = NDArray[np.int64]
"""(n, 2) rows of features: the chosen response, the rejected one."""

PairWeights = NDArray[np.float64]
"""(n,) weight of each pair in the loss, above 0."""

Ratings = NDArray[np.float64]
"""(n,) targets between 0 and 1, NaN where not rated."""


@dataclass(frozen=True, slots=True)
class PairwiseFit:
    """A head that gives a response one score."""

    arrays: Arrays
    """Weights by name."""
    details: dict[str, float]
    """Figures that only this kind has, for the head's result."""


@dataclass(frozen=True, slots=True)
class PairwiseKind(Generic[Settings]):
    """A kind of head that gives a response one score, learned from pairs."""

    title: str
    """Name in tables."""
    method: str
    """Name in the literature."""
    settings: type[Settings]
    """`[other_heads.<name>]`"""
    fit: Callable[[Features, Pairs, Pairs, Settings, Progress, PairWeights | None], PairwiseFit]
    """(features, training pairs, validation pairs, settings, progress, weights of the training pairs or None for all
    1) -> fit"""
    scores: Callable[[Features, Arrays], NDArray[np.float64]]
    """(features, arrays) -> scores (m,)"""
    reads: str
    """Name of the array whose last axis is that of the features."""


@dataclass(frozen=True, slots=True)
class Division:
    """Division of an objective's rows: the first to learn from, the next to choose by, the last only to judge."""

    train: int
    """Number of training rows, which come first."""
    chosen: int
    """Number of rows to learn from or to choose by; validation rows from here on judge alone."""


@dataclass(frozen=True, slots=True)
class RatingsFit:
    """A head of one objective, fitted on all its rows."""

    arrays: Arrays
    """Weights by name."""
    validation: NDArray[np.float64]
    """(v,) targets of the validation rows predicted by the head that was fitted on the training rows alone; NaN where
    not rated."""
    details: dict[str, float]
    """Figures that only this kind has, for the head's result."""
    distribution: "Distributions"
    """Distributions of the targets of the validation rows (v), by the head that was fitted on the training rows
    alone, rated or not."""


def unprepared(features: Features, train_rows: int, settings: BaseModel) -> Features:
    """The features themselves: what a kind whose objectives share no work prepares."""
    del train_rows, settings
    return features


@dataclass(frozen=True, slots=True)
class RatingsKind(Generic[Settings]):
    """A kind of head that predicts the ratings of one objective."""

    settings: type[Settings]
    """`[other_heads.<name>]`"""
    fit: Callable[[Any, Ratings, Division, Scale, Settings], RatingsFit]
    """(what `prepare` returned, targets, division of the rows, scale of the objective, settings) -> fit; raises
    `SkippedError` where an objective cannot have such a head"""
    scores: Callable[[Features, Arrays], NDArray[np.float64]]
    """(features, arrays) -> predicted targets (m,)"""
    reads: str
    """Name of the array whose last axis is that of the features."""
    prepare: Callable[[Features, int, Settings], Any]
    """(features, number of training rows, which come first, settings) -> what the fits of all objectives with these
    rows share"""
    distribution: Callable[[Features, Arrays], "Distributions"]
    """(features, arrays) -> distributions of the targets (m)"""


class SkippedError(Exception):
    """An objective cannot have a head of this kind; the message says why."""
