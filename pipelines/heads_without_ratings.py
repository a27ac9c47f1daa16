"""Heads of a recipe without `[[ratings]]`: taken from a folder, found in the pairs, or the Bradley-Terry head alone."""

import logging
import resource
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import UserError
from cache.progress import Progress
from evaluation.metrics import accuracy_of
from gating.inputs import usable_pairs
from heads.objectives import Scale
from heads.pairs.decided import DecidedPairs, layer_choice
from heads.pairs.directions import find_directions
from heads.pairs.preference import fit_preference
from heads.results import Heads, ObjectiveHead, PairMetrics
from heads.ridge.uncertainty import Uncertainty
from heads.settings import PREFERENCE, direction_names
from pipelines.artefacts import PAIRS

if TYPE_CHECKING:
    from pipelines.run import Run

log = logging.getLogger(__name__)

Metrics = dict[str, float]
"""Names of fields of `PairMetrics` -> their values."""


@dataclass(frozen=True, slots=True)
class MadeHeads:
    """Linear heads, whatever they were made of."""

    origin: Literal["folder", "directions", "pairs"]
    fitted_on: str
    """As a sentence."""
    objectives: tuple[str, ...]
    weight: NDArray[np.float32]
    """(k, layers * hidden_size)"""
    details: tuple[Metrics, ...]
    """(k,) figures that only this origin has."""
    train_pairs: int | None
    """Number of pairs they were made of."""
    scales: dict[str, Scale] = field(default_factory=dict)
    metrics: dict[str, ObjectiveHead] = field(default_factory=dict)
    uncertainty: dict[str, NDArray[Any]] | None = None


def heads_without_ratings(run: "Run", progress: Progress) -> tuple[Heads, MadeHeads]:
    """The heads of a recipe without ratings, judged on its validation pairs.

    Raises:
        UserError: there are no pairs on one side of the split, the pairs differ in too few directions, or the folder
            that `heads.from` names holds no heads for these features.
    """
    started = time.monotonic()
    store = run.store
    pairs = usable_pairs(run.table(PAIRS), run.recipe.gate, run.recipe.weighted_by_margin, store)
    validation = DecidedPairs.of(pairs, "validation")
    made = _make(run, pairs, progress)
    gaps = validation.gaps(store, made.weight)  # (v, k)
    objectives = {}
    for number, name in enumerate(made.objectives):
        judged = accuracy_of(gaps[:, number] > 0)
        figures = PairMetrics(len(gaps), judged.accuracy, judged.low, judged.high, **made.details[number])
        objectives[name] = replace(made.metrics.get(name, ObjectiveHead()), pairs=figures)
    heads = Heads(
        origin=made.origin,
        objectives=objectives,
        skipped={},
        scales=made.scales,
        alphas=(),
        rows=0,
        train_pairs=made.train_pairs,
        rows_read=0,
        rows_reused=0,
        features=made.weight.shape[-1],
        reading=store.fingerprint,
        fitted_on=made.fitted_on,
        layer=run.recipe.heads.layer,
        uncertainty=None if made.uncertainty is None else Uncertainty.of_arrays(made.uncertainty).summary(),
        seconds=time.monotonic() - started,
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
    return heads, made


def _make(run: "Run", pairs: pl.DataFrame, progress: Progress) -> MadeHeads:
    settings = run.recipe.heads
    if settings.taken_from is not None:
        return _taken(run)
    choice = layer_choice(run.store, settings.layer)
    train = DecidedPairs.of(pairs, "train")
    if settings.directions is not None:
        found = find_directions(run.store, train, settings.directions, choice, progress)
        names = direction_names(settings.directions)
        details = tuple(
            {"explained_variance": variance, "explained_variance_ratio": ratio}
            for variance, ratio in zip(found.variance.tolist(), found.ratio.tolist(), strict=True)
        )
        sentence = "the differences of the training pairs' features, as their principal directions"
        weight = choice.widen(found.weight).astype(np.float32)
        return MadeHeads("directions", sentence, names, weight, details, len(train))
    centring = settings.bradley_terry_center_rewards_coefficient
    plain = fit_preference(run.store, pairs, settings.bradley_terry_C, settings.layer, centring, progress)
    weight = choice.widen(plain.coef_[None]).astype(np.float32)
    sentence = "the preferences of the training pairs, as one Bradley-Terry head"
    return MadeHeads("pairs", sentence, (PREFERENCE,), weight, ({"C": plain.C},), len(train))


def _taken(run: "Run") -> MadeHeads:
    taken, store = run.taken_heads, run.store
    taken.check(store.fingerprint, run.recipe.debiasing.verbosity)
    width = store.layers * store.hidden_size
    if taken.weight.shape[-1] != width:
        raise UserError(
            f"heads.from: the heads in {taken.folder} read {taken.weight.shape[-1]} numbers, and a feature here has"
            f" {width}: name another folder"
        )
    keep = run.recipe.heads.uncertainty
    log.info("%d heads taken from %s", len(taken.objectives), taken.folder)
    return MadeHeads(
        "folder",
        f"the heads in {taken.folder}, as they are",
        taken.objectives,
        taken.weight,
        tuple({} for _ in taken.objectives),
        None,
        taken.scales,
        taken.metrics,
        taken.uncertainty if keep else None,
    )
