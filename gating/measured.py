"""Measurements of a response itself that can be taken out of its rewards: its length and its marks of style."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from extract.style import STYLE, style_counts
from gating.settings import RESPONSE_TOKENS


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Measurements of n responses."""

    tokens: NDArray[np.integer]
    """(n,) lengths."""
    style: NDArray[np.integer] | None = None
    """(n, 3) marks of style, in the order of `STYLE`; None where no variable needs them."""

    @classmethod
    def of_rows(cls, rows: pl.DataFrame, side: str = "") -> "Measured":
        """Measurements of responses in a table of a run.

        Args:
            rows: examples, suites or scored responses; or pairs.
            side: 'chosen' or 'rejected', for pairs.
        """
        prefix = f"{side}_" if side else ""
        tokens = rows[f"{side or 'response'}_tokens"].to_numpy()
        return cls(tokens, rows.select(f"{prefix}{mark}" for mark in STYLE).to_numpy())

    @classmethod
    def of_response(cls, tokens: int, text: str | None) -> "Measured":
        """Measurements of one response: its length, and its text where marks of style are needed."""
        return cls(np.asarray([tokens]), None if text is None else np.asarray([style_counts(text)]))

    def value(self, variable: str) -> NDArray[np.float64]:
        """A variable of `MEASURED`. Shape (n,).

        The length is in thousands of tokens. Of marks of style the value is log(1 + number): few responses have many,
        and with it the hundredth mark takes and gives next to nothing, so that no response gains a score without end
        by repeating them.
        """
        if variable == RESPONSE_TOKENS:
            return self.tokens / 1000.0
        if self.style is None:
            raise ValueError(f"{variable} was not measured")
        return np.log1p(self.style[:, STYLE.index(variable)].astype(np.float64))

    def __getitem__(self, rows: NDArray[np.int64]) -> "Measured":
        """Measurements of some of the responses."""
        return Measured(self.tokens[rows], None if self.style is None else self.style[rows])


def needs_text(variables: Sequence[str]) -> bool:
    """Whether some of these variables are marks of style, which are counted in the text of a response."""
    return any(name in STYLE for name in variables)
