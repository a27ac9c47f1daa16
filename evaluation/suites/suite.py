"""A suite: the sources of its rows, and the arithmetic from scores to a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluation.outcomes import Rows, first_lines
from evaluation.units import Figure, Totals, Units


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a suite's table, for several rules at once."""

    score: Figure
    sections: dict[str, Figure]
    """Columns of the table, for sections of which a row was judged."""
    subsets: dict[str, Figure]
    extra: dict[str, dict[str, Figure]] = field(default_factory=dict)
    """Further tables of the suite: title -> column -> figure."""


@dataclass(frozen=True, slots=True, eq=False)
class Suite:
    """One evaluation suite."""

    name: str
    """The name on the command line and of its files."""
    title: str
    sources: tuple[str, ...]
    """Sources of its rows, as `extract.sources` names them."""
    section: pl.Expr
    """Section of a line of the table of suites."""
    units: Callable[[Rows, NDArray[np.float64]], Units]
    """Rows and scores (lines, rules) -> outcomes."""
    figures: Callable[[Totals], Figures]
    """Sums of outcomes -> the table; the same arithmetic for all units and for bootstrap draws."""
    subset: pl.Expr = field(default_factory=lambda: pl.col("subset"))
    """Subset of a line of the table of suites, as the units name it."""
    sections: tuple[str, ...] = ()
    """All sections, in the order of the table; empty where the data decide."""
    subsets: tuple[str, ...] = ()
    """All subsets; empty where the data decide."""
    caption: str = ""
    """A note for readers of the table."""


def accuracy_units(rows: Rows, scores: NDArray[np.float64], subset: pl.Expr | None = None) -> Units:
    """One unit for each row: 1 if every chosen response scores above every rejected one, else 0; a tie is 0.

    Rows of a subset that share a prompt are drawn together.

    Args:
        rows: the rows.
        scores: (lines, rules)
        subset: subset of a line; by default the column of that name.
    """
    names, subsets = coded(rows.table, pl.col("subset") if subset is None else subset)
    _, prompts = coded(rows.table, pl.struct("suite", "prompt_key"))
    right = rows.right(scores).astype(np.float64)[:, None]  # (rows, 1, rules)
    return Units(names, subsets, right, prompts, subsets)


def coded(table: pl.DataFrame, expression: pl.Expr) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The distinct values of an expression in the order of their first appearance, and each line's index among them."""
    first, codes = first_lines(table, expression)
    names = table.select(name=expression)["name"][first.tolist()]
    return tuple(map(str, names)), codes


def from_metadata(key: str) -> pl.Expr:
    """A text of the row's metadata, which its source wrote; null where it has none."""
    return pl.col("metadata").str.json_path_match(f"$.{key}")


def mean_of(figures: Mapping[str, Figure]) -> Figure:
    """The plain mean of figures."""
    return np.mean(list(figures.values()), axis=0)


def present(names: tuple[str, ...], totals: Totals) -> list[str]:
    """The names that are subsets of which rows were judged, in their order."""
    return [name for name in names if name in totals.subsets]
