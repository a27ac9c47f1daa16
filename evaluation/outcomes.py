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
    """One line a row: the first of its responses."""
    first: NDArray[np.int64]
    """(rows,) that response's line."""
    chosen: NDArray[np.int64]
    """Lines of chosen responses, row after row."""
    rejected: NDArray[np.int64]
    chosen_starts: NDArray[np.int64]
    """(rows,) where each row begins in `chosen`."""
    rejected_starts: NDArray[np.int64]

    @classmethod
    def of(cls, responses: pl.DataFrame) -> "Rows":
        """The rows of lines of the table of suites, without missing rows, in any order.

        Raises:
            ValueError: a row lacks a side; whatever were said of it would be made up.
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
        """Lowest score among each row's chosen responses: (lines, rules) -> (rows, rules)."""
        return np.minimum.reduceat(scores[self.chosen], self.chosen_starts, axis=0)

    def best_chosen(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Highest score among each row's chosen responses: (lines, rules) -> (rows, rules)."""
        return np.maximum.reduceat(scores[self.chosen], self.chosen_starts, axis=0)

    def best_rejected(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Highest score among each row's rejected responses: (lines, rules) -> (rows, rules)."""
        return np.maximum.reduceat(scores[self.rejected], self.rejected_starts, axis=0)

    def right(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether every chosen response scores above every rejected one; a tie is wrong. Shape (rows, rules)."""
        return self.worst_chosen(scores) > self.best_rejected(scores)


def first_lines(table: pl.DataFrame, expression: pl.Expr) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first line of each distinct value of an expression, ascending, and which of them each line's value has."""
    value = table.select(value=expression).with_row_index("line")
    first = value.select(pl.col("line").first().over("value"))["line"].to_numpy().astype(np.int64)
    return np.unique(first, return_inverse=True)


def check_finite(scores: NDArray[np.float64]) -> None:
    """See that rows can be judged by these scores.

    Raises:
        ValueError: a score is not finite; its row would be judged wrong without being so.
    """
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite")
