"""Rows in principal coordinates, computed once for all objectives that the same data sets rate."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from heads.kinds.kind import Division, Features, Ratings, SkippedError
from heads.kinds.principal import PrincipalDirections, RidgeStart

Part = Literal["train", "choose", "all"]

FEWEST_ROWS = 2
"""Fewer rated rows than this to learn from make no head."""


@dataclass(frozen=True, slots=True, eq=False)
class SharedCoordinates:
    """All rows of some data sets, in coordinates that the training rows set."""

    basis: PrincipalDirections
    coordinates: NDArray[np.float32]
    """(n, r)"""

    @classmethod
    def of(cls, features: Features, train_rows: int, directions: int) -> "SharedCoordinates":
        """The coordinates of features (n, d), of which the first `train_rows` set the directions."""
        if train_rows < FEWEST_ROWS:
            raise SkippedError("it has too few training rows")
        basis = PrincipalDirections.of(features[:train_rows], directions)
        return cls(basis, basis.coordinates(features))


@dataclass(frozen=True, slots=True)
class ChosenRidge:
    """A ridge with the penalty that the rows to choose by prefer."""

    train: RidgeStart
    """Fitted on the training rows."""
    all: RidgeStart
    """Fitted on all rows."""


@dataclass(frozen=True, slots=True, eq=False)
class RatedCoordinates:
    """The rows that rate one objective."""

    basis: PrincipalDirections
    parts: dict[Part, tuple[NDArray[np.float32], NDArray[np.float64]]]
    """Part -> coordinates (m, r) and targets (m,) of its rated rows."""
    rated_later: NDArray[np.bool_]
    """(v,) whether each row that is not for training is rated."""

    @classmethod
    def of(cls, shared: SharedCoordinates, targets: Ratings, division: Division) -> "RatedCoordinates":
        """The rated rows of each part.

        Raises:
            SkippedError: there are too few rows to learn from, none to choose by, or the ratings are all the same.
        """
        rated = ~np.isnan(targets)
        ends = {"train": (0, division.train), "choose": (division.train, division.chosen), "all": (0, len(targets))}
        parts = {}
        for name, (start, end) in ends.items():
            rows = rated[start:end]
            coordinates, values = shared.coordinates[start:end], targets[start:end]
            parts[name] = (coordinates, values) if rows.all() else (coordinates[rows], values[rows])
        _, learned = parts["train"]
        if len(learned) < FEWEST_ROWS or np.ptp(learned) == 0:
            raise SkippedError("its training ratings are all the same")
        if not len(parts["choose"][1]):
            raise SkippedError("it has no rated validation row to choose its penalty by")
        return cls(shared.basis, parts, rated[division.train :])  # type: ignore[arg-type]

    def part(self, name: Part) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Coordinates (m, r) and targets (m,) of a part's rated rows."""
        return self.parts[name]

    def chosen_ridge(self, alphas: tuple[float, ...]) -> ChosenRidge:
        """The ridge with the least error on the rows to choose by."""
        coordinates, targets = self.parts["choose"]
        starts = RidgeStart.fit(*self.parts["train"], self.basis, alphas)
        errors = [float(np.mean((targets - start.predict(coordinates)) ** 2)) for start in starts]
        best = starts[int(np.argmin(errors))]
        (final,) = RidgeStart.fit(*self.parts["all"], self.basis, (best.alpha,))
        return ChosenRidge(best, final)

    def where_rated(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predictions (v,) of the rows that are not for training, NaN where not rated."""
        return np.where(self.rated_later, predicted, np.nan)
