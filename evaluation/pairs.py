"""The pairs of a suite's rows: every chosen with every rejected response, and each rule's score gap.

Figures over pairs exist for every suite, whatever its own scoring: a row of one chosen and one rejected response is
one pair, a row of three and three is nine pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluation.columns import MARGIN_STD, ROW, SCORE
from evaluation.outcomes import first_lines
from extract.style import STYLE


@dataclass(frozen=True, slots=True, eq=False)
class PairScores:
    """The p pairs of n rows, scored by several rules."""

    rules: tuple[str, ...]
    gaps: NDArray[np.float64]
    """(p, rules) score of the chosen response less that of the rejected; NaN where a rule did not score both."""
    gap_std: NDArray[np.float64]
    """(p, rules) standard errors of the gaps; NaN where the rule has none."""
    row: NDArray[np.int64]
    """(p,) each pair's row, from 0 to n - 1."""
    prompt: NDArray[np.int64]
    """(n,) each row's prompt, from 0."""
    length_gaps: NDArray[np.int64]
    """(p,) tokens of the chosen response less those of the rejected."""
    style_gaps: Mapping[str, NDArray[np.int64]]
    """Mark of style (`extract.style`) -> (p,) number in the chosen response less that in the rejected."""

    def of(self, rule: str) -> NDArray[np.float64]:
        """One rule's gaps. Shape (p,)."""
        return self.gaps[:, self.rules.index(rule)]

    def std_of(self, rule: str) -> NDArray[np.float64]:
        """Standard errors of one rule's gaps. Shape (p,)."""
        return self.gap_std[:, self.rules.index(rule)]

    def row_outcomes(self) -> NDArray[np.float64]:
        """Fraction of each row's pairs whose chosen response scores higher; NaN where a pair has no gap.

        A tie is wrong. A row of one chosen and one rejected response has 1 or 0. Shape (n, rules).
        """
        right = np.where(np.isnan(self.gaps), np.nan, self.gaps > 0)  # (p, rules)
        sums = np.stack([np.bincount(self.row, column, minlength=len(self.prompt)) for column in right.T], axis=-1)
        return sums / np.bincount(self.row, minlength=len(self.prompt))[:, None]


def pairs_of(scored: pl.DataFrame) -> PairScores:
    """The pairs of a frame of scored responses, in the order of its rows.

    Args:
        scored: one line a response: suite, subset, row, chosen, prompt_key, response_tokens, marks of style, one column
            `score.<rule>` a rule, null or NaN where the rule did not score the response; and `margin_std.<rule>` of
            rules that have standard errors.

    Raises:
        ValueError: there is no score column or no pair, a score is infinite, or a row lacks a side.
    """
    rules = tuple(name.removeprefix(SCORE) for name in scored.columns if name.startswith(SCORE))
    if not rules or scored.is_empty():
        raise ValueError("there is no scored response to compare")
    scores = scored.select(pl.col(SCORE + rule).cast(pl.Float64) for rule in rules).to_numpy()  # (lines, rules)
    if np.isinf(scores).any():
        raise ValueError("a score is infinite")
    first, row_of = first_lines(scored, pl.struct(ROW))
    lines = scored.select("chosen", row=pl.Series(row_of)).with_row_index("line")
    chosen, rejected = (lines.filter(pl.col("chosen") == side).select("row", "line") for side in (True, False))
    pairs = chosen.join(rejected, on="row", suffix="_rejected", maintain_order="left")
    row = pairs["row"].to_numpy()
    without = np.flatnonzero(np.bincount(row, minlength=len(first)) == 0)
    if len(without):
        raise ValueError(f"row {scored['row'][int(first[without[0]])]} has no chosen or no rejected response")
    good, bad = pairs["line"].to_numpy(), pairs["line_rejected"].to_numpy()
    _, prompt = first_lines(scored[first.tolist()], pl.col("prompt_key"))
    measured = {name: scored[name].cast(pl.Int64).to_numpy() for name in ("response_tokens", *STYLE)}
    lengths, *marks = (values[good] - values[bad] for values in measured.values())
    std = np.full((len(good), len(rules)), np.nan)
    for number, rule in enumerate(rules):
        if MARGIN_STD + rule in scored.columns:
            std[:, number] = _margin_std(scored[MARGIN_STD + rule], row_of, good, bad)
    gaps = scores[good] - scores[bad]
    return PairScores(rules, gaps, std, row, prompt, lengths, dict(zip(STYLE, marks, strict=True)))


def _margin_std(
    lists: pl.Series, row_of: NDArray[np.int64], good: NDArray[np.int64], bad: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Entries of lines `bad` (p,) in the lists of lines `good` (p,); a list has one for each line of its row."""
    lines = pl.DataFrame({"row": row_of}).select(place=pl.int_range(pl.len()).over("row"))
    place = lines["place"].to_numpy()  # (lines,) of each line among those of its row
    sizes = lists.list.len().to_numpy().astype(np.int64)  # (lines,)
    flat = lists.explode().cast(pl.Float64).to_numpy()
    values: NDArray[np.float64] = flat[(np.cumsum(sizes) - sizes)[good] + place[bad]]
    return values
