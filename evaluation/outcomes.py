"""From scores of responses to rows judged right or wrong."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluation.columns import ROW


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a suite, in the order in which they first appear among its responses."""

    table: pl.DataFrame
    """One line for each row: that of its first response."""
    first: NDArray[np.int64]
    """(rows,) line of that response."""
    chosen: NDArray[np.int64]
    """Lines of chosen responses, row after row."""
    rejected: NDArray[np.int64]
    chosen_starts: NDArray[np.int64]
    """(rows,) position in `chosen` at which each row begins."""
    rejected_starts: NDArray[np.int64]

    @classmethod
    def of(cls, responses: pl.DataFrame) -> "Rows":
        """The rows of responses: lines of the table of suites without missing rows, in any order.

        Raises:
            ValueError: a row has no chosen or no rejected response.
        """
        first, row = first_lines(responses, pl.struct(ROW))
        chosen = responses["chosen"].to_numpy().astype(bool)
        sides = []
        for side in (chosen, ~chosen):
            members = np.flatnonzero(side)
            members = members[np.argsort(row[members], kind="stable")]
            counts = np.bincount(row[members], minlength=len(first))  # (rows,)
            if (counts == 0).any():
                name = responses["row"][int(first[counts.argmin()])]
                raise ValueError(f"row {name} has no chosen or no rejected response")
            sides.append((members, np.cumsum(counts) - counts))
        (good, good_starts), (bad, bad_starts) = sides
        return cls(responses[first.tolist()], first, good, bad, good_starts, bad_starts)

    def __len__(self) -> int:
        return len(self.first)

    def worst_chosen(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Lowest score among each row's chosen responses. Shapes (lines, rules) -> (rows, rules)."""
        return np.minimum.reduceat(scores[self.chosen], self.chosen_starts, axis=0)

    def best_chosen(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Highest score among each row's chosen responses. Shapes (lines, rules) -> (rows, rules)."""
        return np.maximum.reduceat(scores[self.chosen], self.chosen_starts, axis=0)

    def best_rejected(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Highest score among each row's rejected responses. Shapes (lines, rules) -> (rows, rules)."""
        return np.maximum.reduceat(scores[self.rejected], self.rejected_starts, axis=0)

    def right(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether every chosen response scores above every rejected one; a tie is wrong. Shape (rows, rules)."""
        return self.worst_chosen(scores) > self.best_rejected(scores)


def first_lines(table: pl.DataFrame, expression: pl.Expr) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first line of each distinct value of an expression, ascending, and each line's index among these values."""
    value = table.select(value=expression).with_row_index("line")
    first = value.select(pl.col("line").first().over("value"))["line"].to_numpy().astype(np.int64)
    return np.unique(first, return_inverse=True)


def check_finite(scores: NDArray[np.float64]) -> None:
    """Refuse scores by which rows cannot be judged.

    Raises:
        ValueError: a score is not finite; its row would count as wrong.
    """
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite")
