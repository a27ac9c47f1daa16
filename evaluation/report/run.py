"""What a report is made of: the files of a run, read."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl

File = dict[str, Any]
"""What a JSON file of the run holds; which keys there are is said where the file is written."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its files tell it; what is not there, or of other rows or settings, is empty and named in `absent`."""

    name: str
    folder: str
    note: str
    settings: dict[str, Any]
    """Of the recipe, those left to their default too."""
    fingerprints: dict[str, str]
    """What they are of -> digest or name."""
    extract: File
    heads: File = field(default_factory=dict)
    ratings: File = field(default_factory=dict)
    gating: File = field(default_factory=dict)
    ablations: File = field(default_factory=dict)
    suites: dict[str, File] = field(default_factory=dict)
    """Suite -> what `<suite>.json` holds, the one to be shown first ahead."""
    analyses: dict[str, File] = field(default_factory=dict)
    """Suite -> what `<suite>.analysis.json` holds, of those suites that have one."""
    scored: pl.DataFrame | None = None
    """The scored responses of the first suite."""
    texts: pl.DataFrame | None = None
    """What the responses of the suites say."""
    skipped: tuple[File, ...] = ()
    """The first skipped rows and ratings."""
    absent: dict[str, str] = field(default_factory=dict)
    """heads, ratings, gating, ablations, suites, examples or texts -> a sentence with the command that makes it."""
    plots: bool = True
    """Whether figures can be drawn."""

    @property
    def objectives(self) -> tuple[str, ...]:
        """The objectives that have a head."""
        return tuple(self.heads.get("objectives", ()))
