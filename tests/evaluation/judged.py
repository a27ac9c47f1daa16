"""Rows judged one by one, the oracle of what suites do with whole tables."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluation.outcomes import Rows, check_finite


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Outcomes of a suite's rows."""

    subsets: NDArray[np.object_]
    """(rows,) each row's subset."""
    right: NDArray[np.bool_]
    """(rows,) whether every chosen response scores above every rejected one; a tie is wrong."""

    def by_subset(self) -> dict[str, NDArray[np.bool_]]:
        """Subset -> its rows' outcomes."""
        return {str(subset): self.right[self.subsets == subset] for subset in dict.fromkeys(self.subsets)}


def judge(responses: pl.DataFrame, scores: NDArray[np.float64]) -> Outcomes:
    """Judge rows by their responses' scores (lines,)."""
    check_finite(scores)
    rows = Rows.of(responses)
    return Outcomes(rows.table["subset"].to_numpy().astype(object), rows.right(scores[:, None])[:, 0])
