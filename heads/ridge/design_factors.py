"""The factors of a run's heads as a batch design takes them: one for objectives with the same rows and alpha."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from heads.ridge.batch_design import Criterion
from heads.ridge.uncertainty import Uncertainty


@dataclass(frozen=True, slots=True)
class DesignFactors:
    """The factors of the objectives for which responses are chosen."""

    objectives: tuple[str, ...]
    """Names of the k objectives."""
    factor_of: NDArray[np.int64]
    """(k,) index of each objective's factor in `roots`."""
    roots: tuple[NDArray[np.float32], ...]
    """R (d, m) of each of the f factors, with R R' = (A + alpha I)^-1; a sketch of it where d is large, as in
    `heads.ridge.whitening`."""
    noise: NDArray[np.float64]
    """(k,) s², variance of a rating around its head."""
    columns: slice
    """The columns of the flattened features that the heads read."""
    uncertainty: Uncertainty
    """That of all heads of the run."""
    used: NDArray[np.int64]
    """(f,) index of each factor among those of the uncertainty."""

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
        roots = tuple(np.ascontiguousarray(uncertainty.whitening[factor].T) for factor in used)
        columns = slice(uncertainty.first_column, uncertainty.first_column + uncertainty.whitening.shape[-1])
        objectives = tuple(names[number] for number in chosen)
        noise = np.diagonal(uncertainty.covariance)[chosen]
        return cls(objectives, factor_of.astype(np.int64), roots, noise, columns, uncertainty, used)

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

    def places(self, leverages: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fraction of each factor's rated validation rows with a lower leverage: (n, f), NaN where they are few."""
        everywhere = np.zeros((len(leverages), len(self.uncertainty.whitening)))
        everywhere[:, self.used] = leverages
        return self.uncertainty.places(everywhere)[:, self.used]
