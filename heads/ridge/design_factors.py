"""The factors of a run's heads as a batch design takes them: one for objectives with the same rows and alpha."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from cache import FeatureStore, UserError
from cache.keys import key_column
from heads.ridge.batch_design import Criterion, leverages
from heads.ridge.subset import VALIDATION
from heads.ridge.symmetric import Real, packed_width
from heads.ridge.uncertainty import FEWEST_ROWS, Uncertainty, unpacked

RATED_ROWS = 2048
"""Validation rows of each factor, at most, among whose leverages a candidate's is placed."""

Whitening = Callable[[Real], Real]
"""Features (n, d) -> rows L^-1 x (n, d)."""


def whitening(uncertainty: Uncertainty, factor: int) -> Whitening:
    """The map of features to L^-1 x for one factor L L' = A + alpha I; features are the columns that the heads read."""
    lower = unpacked(uncertainty.factors[factor])  # (d, d)

    def whitened(features: Real) -> Real:
        half: Real = solve_triangular(lower, features.T.astype(lower.dtype), lower=True, check_finite=False)  # (d, n)
        return half.T

    return whitened


def inverse_root(whiten: Whitening, width: int) -> NDArray[np.float32]:
    """R with R R' = (A + alpha I)^-1, for any map of features to L^-1 x. Shape (d, d)."""
    return np.ascontiguousarray(whiten(np.eye(width, dtype=np.float32)), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class DesignFactors:
    """The factors of the objectives for which responses are chosen."""

    objectives: tuple[str, ...]
    """Names of the k objectives."""
    factor_of: NDArray[np.int64]
    """(k,) index of each objective's factor in `roots`."""
    roots: tuple[NDArray[np.float32], ...]
    """R (d, d) of each of the f factors, with R R' = (A + alpha I)^-1: 4 d² bytes each."""
    noise: NDArray[np.float64]
    """(k,) s², variance of a rating around its head."""
    columns: slice
    """The columns of the flattened features that the heads read."""

    @classmethod
    def of(cls, uncertainty: Uncertainty, names: Sequence[str], asked: Sequence[str]) -> "DesignFactors":
        """The factors of the asked objectives.

        Args:
            uncertainty: of the heads of `names`.
            names: the run's objectives, in the heads' order.
            asked: some of them; all if there is none.

        Raises:
            UserError: the heads have no such objective.
        """
        if unknown := [name for name in asked if name not in names]:
            raise UserError(
                f"--objective {unknown[0]} is not one that the run has a head for: name one of {', '.join(names)}"
            )
        chosen = [number for number, name in enumerate(names) if name in asked or not asked]
        used, factor_of = np.unique(uncertainty.factor_of[chosen], return_inverse=True)
        width = packed_width(uncertainty.factors.shape[-1])
        roots = tuple(inverse_root(whitening(uncertainty, factor), width) for factor in used.tolist())
        columns = slice(uncertainty.first_column, uncertainty.first_column + width)
        objectives = tuple(names[number] for number in chosen)
        return cls(objectives, factor_of.astype(np.int64), roots, uncertainty.noise[chosen], columns)

    def units(self, criterion: Criterion) -> NDArray[np.float64]:
        """Worth of a gain to each objective: 1 for d-optimal, s² for i-optimal. Shape (k,).

        Raises:
            UserError: an objective's s² is not known.
        """
        if criterion == "d-optimal":
            return np.ones(len(self.objectives))
        if unknown := [name for name, noise in zip(self.objectives, self.noise, strict=True) if not noise > 0]:
            raise UserError(
                f"{unknown[0]} has no error on validation rows, which weighs the objectives: give --criterion"
                " d-optimal, or the other objectives with --objective"
            )
        return self.noise

    def weights(self, criterion: Criterion) -> NDArray[np.float64]:
        """Sum of the worths of the objectives that share each factor. Shape (f,)."""
        weights: NDArray[np.float64] = np.zeros(len(self.roots))
        np.add.at(weights, self.factor_of, self.units(criterion))
        return weights

    def rated_leverages(self, store: FeatureStore, examples: pl.DataFrame) -> list[NDArray[np.float64] | None]:
        """Leverages of validation rows that each factor's objectives rate, ascending; None where they are few.

        A factor has at most 2,048 rows, those with the lowest keys: digests, so that they are a random sample.

        Args:
            store: holds the rows' features.
            examples: table of rated responses.
        """
        validation = examples.filter(pl.col("split") == VALIDATION).sort("response_key")
        found: list[NDArray[np.float64] | None] = []
        for factor, root in enumerate(self.roots):
            names = [name for name, of in zip(self.objectives, self.factor_of, strict=True) if of == factor]
            rows = validation.filter(pl.any_horizontal(pl.col(names).is_not_null())).head(RATED_ROWS)
            if len(rows) < FEWEST_ROWS:
                found.append(None)
                continue
            features = store.gather(key_column(rows["response_key"]))  # (n, layers, d)
            found.append(np.sort(leverages(root, features.reshape(len(features), -1)[:, self.columns])))
        return found
