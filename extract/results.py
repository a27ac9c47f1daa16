"""The result of an extraction, as `extract.json` holds it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from extract.overlap import Overlap
from extract.settings import EngineName
from extract.skipped import SkippedRows
from extract.sources.source import Kind
from extract.tables import Tables
from extract.template.facts import TemplateFacts


@dataclass(frozen=True, slots=True)
class DatasetRows:
    """The rows of one data set: rated responses, pairs or suite rows. rows = used + skipped."""

    kind: Kind
    rows: int
    used: int
    """Number of rows in the tables."""
    skipped: int
    """Number of rows that are not used; `skipped.jsonl` names each with its reason."""
    ratings_skipped: int
    """Number of single ratings that are not used, although their responses are; `skipped.jsonl` names them too."""
    reasons: dict[str, int]
    """First reason of each kind, as it stands -> how often that kind occurs, over rows and ratings."""
    forms: dict[str, int] = field(default_factory=dict)
    """Form in which rows are written -> how many were read in it; for sources that read several forms. A form is the
    columns that make the record, and how they are written."""


@dataclass(frozen=True, slots=True)
class Extract:
    """The result of `armorm extract`."""

    rows: int
    """Number of rows of all data sets, used and skipped."""
    unique_tokens: int
    """Number of tokens of all prompts and responses, each distinct prompt and response counted once."""
    tokens_computed: int
    """Number of tokens that went through the backbone in this run."""
    features_new: int
    """Number of features that this run computed and stored."""
    features_reused: int
    """Number of features that the store held before."""
    skipped: int
    """Number of lines of `skipped.jsonl`: rows and single ratings that are not used."""
    seconds: float
    """Duration of the run."""
    seconds_extracting: float
    """Duration of the second pass, the loading of the engine included."""
    device: str
    """Name of the device or devices."""
    engine: EngineName
    worker: str
    """'1/1', or the number of this worker and how many there are. Only '1/1' writes tables and `extract.json`."""
    fingerprint: str
    """Digest that names the features."""
    store: str
    """Folder of the feature store."""
    limit: int | None
    """The value of `--limit`: raw rows read of each data set."""
    missing: dict[str, str]
    """Data set of the recipe that was not found -> reason."""
    revisions: dict[str, str]
    """Data set from the hub -> its commit."""
    datasets: dict[str, DatasetRows]
    template: TemplateFacts | None = None
    """The findings about the chat template; None in files of earlier versions."""
    packing_failed: str | None = None
    """Why the packed engine, which was wanted, gave way to padded batches when it was tried; None if it did not."""
    overlap: dict[str, dict[str, Overlap]] = field(default_factory=dict)
    """Suite -> training set -> rows whose prompt stands in the suite; empty without suites, and in files of earlier
    versions."""
    backbone_licence: str | None = None
    """Licence of the backbone's card on the hub; None for a local folder, or where the card names none."""
    licences: dict[str, str | None] = field(default_factory=dict)
    """Data set -> its licence, by its card; None if no card names one. Empty in files of earlier versions."""
    backbone: dict[str, str | None] = field(default_factory=dict)
    """Where the recipe said that the backbone was: model and revision as written; empty in earlier files."""


def count_rows(
    kinds: Mapping[str, Kind], tables: Tables, skipped: SkippedRows, forms: Mapping[str, Counter[str]]
) -> dict[str, DatasetRows]:
    """Count the rows of every data set.

    Args:
        kinds: data set -> kind of its rows.
        tables: the final tables of the run.
        skipped: all skipped rows of the run.
        forms: data set -> form -> number of rows read in it.
    """
    suites = tables.suites.filter(pl.col("missing").is_null()).unique(["suite", "subset", "row"])
    columns = {"ratings": tables.examples["dataset"], "pairs": tables.pairs["dataset"], "suite": suites["suite"]}
    counts = {}
    for name, kind in kinds.items():
        used, unused = int((columns[kind] == name).sum()), skipped.rows(name)
        written = dict(forms.get(name, Counter()).most_common())
        counts[name] = DatasetRows(
            kind, used + unused, used, unused, skipped.ratings(name), skipped.reasons(name), written
        )
    return counts
