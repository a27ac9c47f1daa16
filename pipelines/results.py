"""The typed result of every JSON file that a command writes, and of every command that prints one.

A room defines the results of its own computations; this page collects them under the files that hold them and adds
those of the commands themselves. A field's name is its key in the file.

| file | type |
|---|---|
| extract.json | Extract |
| heads.json, other_heads.json, ablations.json | Heads, OtherHeads, Ablations |
| gating.json | Gating |
| <suite>.json, <suite>.analysis.json, ratings.json, leaderboard.json | Suite, Analysis, Ratings, Leaderboard |
| scorers/<suite>/<name>.json | Scorer |
| `--json` of `explain`, `score`, `export`, `report` | Explanation, ResponseScore, FileScores, ExportResult, Report |
| `--json` of `suggest`, `personalise` | Suggestions, Personalisation |
"""

import json
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from evaluation.results import Analysis, Leaderboard, Ratings, Report, Scorer, Suite
from export.results import Explanation, ExportResult, FileScores, ResponseScore
from extract.results import Extract
from gating.results import Gating
from heads.ablation_results import Ablations
from heads.results import Heads, OtherHeads

__all__ = [
    "Ablations",
    "Analyses",
    "Analysis",
    "CacheExport",
    "CacheStatus",
    "DatasetFeatures",
    "Explanation",
    "ExportResult",
    "Extract",
    "FileScores",
    "Gating",
    "Heads",
    "Leaderboard",
    "OtherHeads",
    "Ratings",
    "Report",
    "ResponseScore",
    "Scorer",
    "Suggestions",
    "Suite",
]


@dataclass(frozen=True, slots=True)
class Analyses:
    """`armorm analyse`: every file that it wrote."""

    suites: dict[str, Analysis]
    ratings: Ratings | None
    """None in a recipe without ratings."""


@dataclass(frozen=True, slots=True)
class DatasetFeatures:
    """Features of one data set in the store."""

    kind: str
    rows: int
    features: int
    missing: int
    skipped: int
    bytes: int
    fingerprint: str
    engine: str


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Files of an interrupted run, which are not part of the store."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """`armorm cache status`: the store, and what it holds of each data set."""

    store: str
    format: str
    features: int
    shards: int
    skipped: int
    """Keys whose features the store's dtype cannot hold."""
    bytes: int
    payload_bytes: int
    leftovers: Leftovers
    missing: int
    layers: list[int]
    hidden_size: int
    dtype: str
    engine: str
    fingerprint: dict[str, Any]
    extracted: bool
    datasets: dict[str, DatasetFeatures]


@dataclass(frozen=True, slots=True)
class CacheExport:
    """`armorm cache export`: the files that were written."""

    files: list[str]
    features: int
    shape: list[int]
    """features, layers, hidden size"""
    rows: int
    datasets: list[str]
    bytes: int
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestions:
    """`armorm suggest`: how many responses were read, left out and chosen."""

    suggested: int
    criterion: str
    objectives: tuple[str, ...]
    """Those that the choice was for."""
    rows: int
    """Rows read."""
    responses: int
    """Responses of the rows that can be read."""
    candidates: int
    """Responses that were chosen from."""
    repeated: int
    """Responses whose tokens are those of an earlier one."""
    rated: int
    """Responses that the run has ratings of, for one of the objectives."""
    skipped: tuple[tuple[int, str], ...]
    """Number of the row, and the reason, of each row or response that cannot be scored."""
    from_store: int
    """Candidates whose features were in the store."""
    gain: float
    """Sum of the suggestions' gains."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalWeight:
    """One objective's weight as the pairs have it."""

    name: str
    gate: float
    """The gate's weight, as its mean over the pairs' prompts."""
    weight: float
    """The user's: the gate's mean and what was learned."""
    learned: float
    """The difference of the two."""
    std: float
    """Standard deviation of what was learned."""
    prior_std: float
    """Standard deviation before any pair: where `std` is no less, the pairs say nothing of the objective."""
    certainty: float
    """Probability that the user's weight is on that side of the gate's on which it was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Personalisation:
    """`armorm personalise`: a user's weights, and whether they judge better than the gate."""

    profile: str | None
    """The file that was written; None where the weights do not beat the gate, or no file was asked for."""
    mode: str
    """'add' or 'replace'."""
    better: bool
    """Whether the weights beat the gate beyond noise; where not, the gate stays as it is."""
    rows: int
    pairs: int
    """Pairs that the weights were learned from."""
    accuracy: float
    """Fraction of them that the weights judge right, each pair left out of their fit."""
    gate_accuracy: float
    """Fraction of them that the gate judges right."""
    gained: int
    """Pairs that the weights alone judge right."""
    lost: int
    """Pairs that the gate alone judges right."""
    probability_better: float
    """Probability that, where the two disagree, the weights are more often right."""
    temperature: float
    """Margin of the score at which the user's choice is made with a probability of 0.73."""
    tau: float
    """Size of the user's own part of a margin that the prior expects, as a multiple of the gate's."""
    objectives: tuple[PersonalWeight, ...]
    repeated: tuple[int, ...]
    """Rows with a pair of an earlier row."""
    contradicting: tuple[tuple[int, ...], ...]
    """Rows that prefer either response of one pair, which are left out."""
    skipped: tuple[tuple[int, str], ...]
    """Number of the row, and the reason, of each row that is no pair or cannot be scored."""
    seconds: float


def to_json(value: object) -> str:
    """A result as text; NaN becomes null, which every reader of JSON knows."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """A result as values that JSON has: fields by the names that files use, NaN and infinity as None."""
    if is_dataclass(value) and not isinstance(value, type):
        value = TypeAdapter(type(value)).dump_python(value, by_alias=True, warnings=False)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value
