"""The results of a run, as a report takes them."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from evaluation.results import Analysis, Ratings, Suite
from extract.results import Extract
from gating.results import Gating
from heads.ablation_results import Ablations
from heads.results import Heads, OtherHeads


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row or rating that extraction skipped: a line of `skipped.jsonl`."""

    dataset: str
    row: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """The results of a run; one that is missing or stale is None or empty, and its reason is in `missing`."""

    name: str
    """The recipe's name."""
    folder: str
    """The run's folder, as the page names it."""
    note: str
    """The recipe's note for readers."""
    settings: dict[str, Any]
    """The recipe with its defaults."""
    fingerprints: dict[str, str]
    """Name of a part -> its digest."""
    extract: Extract
    heads: Heads | None = None
    ratings: Ratings | None = None
    gating: Gating | None = None
    other_heads: OtherHeads | None = None
    ablations: Ablations | None = None
    suites: dict[str, Suite] = field(default_factory=dict)
    """Suite -> its result, in the order of the page."""
    analyses: dict[str, Analysis] = field(default_factory=dict)
    """Suite -> its analysis, for those suites that have one."""
    scored: pl.DataFrame | None = None
    """Scored responses of the first suite."""
    texts: pl.DataFrame | None = None
    """Texts of the suites' prompts and responses."""
    skipped: tuple[SkippedRow, ...] = ()
    """The first rows and ratings that extraction skipped."""
    missing: dict[str, str] = field(default_factory=dict)
    """heads, ratings, gating, ablations, suites, stale, examples or texts -> a sentence with the command to run."""
    plots: bool = True
    """Whether figures can be drawn."""

    @property
    def objectives(self) -> tuple[str, ...]:
        """The objectives that have a head."""
        return tuple(self.heads.objectives) if self.heads else ()
