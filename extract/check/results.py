"""The result of a check, as `--json` prints it."""

from dataclasses import dataclass
from typing import Literal

from extract.check.estimate import Estimate
from extract.check.findings import Finding
from extract.check.scales import Histogram
from extract.sources.source import Kind

CountedBy = Literal["counted", "published", "estimated", "unknown"]
"""counted: in the files (Parquet's own counts, or whole files); published: by the set's card; estimated: by the files'
bytes and the rows that were read."""


@dataclass(frozen=True, slots=True)
class DatasetCheck:
    """A data set, before it is fetched."""

    kind: Kind
    where: str
    """`org/name@commit` on the hub, or a folder."""
    files: int
    bytes: int
    bytes_to_fetch: int
    licence: str | None
    """None if no card names one."""
    commercial_use_forbidden: bool
    rows: int | None
    """Raw rows that a run reads: those of the files, or `limit`."""
    rows_by: CountedBy
    rows_read: int
    """Raw rows that the check read."""
    skipped_fraction: float
    """Fraction of the records read that a run would skip."""
    reasons: dict[str, int]
    """First reason of each kind -> how many records or ratings would be skipped for that kind."""
    ratings: dict[str, Histogram]
    """Objective -> its ratings, for rating sets."""
    tokens_per_row: float | None
    """Mean over the rows read, skipped ones included; None if nothing was encoded."""
    features_per_row: float | None


@dataclass(frozen=True, slots=True)
class BackboneCheck:
    """The backbone, before its weights are fetched."""

    where: str
    licence: str | None
    commercial_use_forbidden: bool
    family: str
    hidden_size: int
    layers: int
    weights_bytes: int
    bytes_to_fetch: int


@dataclass(frozen=True, slots=True)
class Check:
    """The result of `armorm check`."""

    backbone: BackboneCheck | None
    """None if there is a problem with it."""
    datasets: dict[str, DatasetCheck]
    """The data sets whose files were found."""
    template: tuple[str, ...]
    """The findings about the chat template; the first has the example with both reading positions marked."""
    estimate: Estimate | None
    """None if there is a problem with the backbone."""
    problems: tuple[Finding, ...]
    """Findings that stand in the way of a run."""
    warnings: tuple[Finding, ...]
    seconds: float
    """Duration of the check."""
