"""A run's commands with their time and size, its overlap, and the settings of its recipe, as the tables of a report."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from evaluation.report.inputs import ReportInputs
from extract.overlap import Overlap


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a run."""

    command: str
    seconds: float
    work: str
    """The size of what it worked on, in words."""


def steps(run: ReportInputs) -> Iterator[Step]:
    """The commands of a run that have a result, in their order."""
    extract = run.extract
    tokens = f"{extract.tokens_computed:,} tokens computed on {extract.device}, {extract.features_new:,} features"
    yield Step("extract", extract.seconds, f"{tokens}, {extract.features_reused:,} reused")
    if run.heads:
        gigabytes = run.heads.peak_bytes / 1e9
        rated = run.heads.origin == "ratings"
        material = f"{run.heads.rows:,} rated responses" if rated else f"{run.heads.train_pairs or 0:,} pairs"
        work = f"{material}, {len(run.objectives)} heads"
        yield Step("fit-heads", run.heads.seconds, f"{work}; at most {gigabytes:.2f} GB of memory")
    if run.gating:
        held_out = f"{run.gating.validation_pairs:,} held out"
        yield Step("train-gating", run.gating.seconds, f"{run.gating.train_pairs:,} pairs, and {held_out}")
    if run.other_heads:
        kinds = ", ".join((*run.other_heads.pairwise, *run.other_heads.objectives))
        yield Step("fit-other-heads", run.other_heads.seconds, kinds)
    for name, suite in run.suites.items():
        yield Step(f"eval --suite {name}", suite.seconds, f"{suite.rows:,} rows")
    if run.ablations:
        yield Step("ablate", run.ablations.seconds, f"{len(run.ablations.seconds_by_variant):,} variants")


@dataclass(frozen=True, slots=True)
class SharedPrompts:
    """A training set and a suite that have prompts in common."""

    training_set: str
    suite: str
    counts: Overlap


def overlap(run: ReportInputs) -> Iterator[SharedPrompts]:
    """The training sets and suites that have prompts in common."""
    for suite, sets in run.extract.overlap.items():
        for training_set, counts in sets.items():
            if counts.exact or counts.ngram:
                yield SharedPrompts(training_set, suite, counts)


def flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Settings key by key, as the recipe's file names them."""
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for number, item in enumerate(value):
                given = {name: part for name, part in item.items() if part not in (None, {}, [])}
                yield f"{prefix}{key}[{number}]", json.dumps(given, ensure_ascii=False)
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
