"""`armorm train-gating`: take verbosity out of the rewards, train the gate, and fit its baselines."""

import logging
import time
from typing import Any

import numpy as np
import polars as pl
from pydantic import TypeAdapter

from cache import FeatureStore
from cache.keys import unique_keys
from cache.progress import Progress
from evaluation.held_out import contradiction, held_out_accuracies
from extract.tables import read_table
from gating.fitted_rules import FittedRules
from gating.inputs import gate_inputs, usable_pairs
from gating.reference_set import debias, no_roots, reference_responses
from gating.results import Gating, Ties
from gating.reward import RewardParts
from gating.rule_fitting import both_sides, fit_router, fit_rules, gate_by_dataset, gate_summary, rule_weights
from gating.training.train import train_gate
from heads.kinds.bradley_terry import LinearPairwiseHead, select_c
from heads.stored import feature_differences
from pipelines.artefacts import gating_inputs, open_run, write_arrays, write_json
from pipelines.fit_other_heads import fit_other_heads
from pipelines.fitted_model import Heads
from pipelines.recipe import Recipe

log = logging.getLogger(__name__)


def train_gating(recipe: Recipe, *, progress: Progress) -> dict[str, Any]:
    """Fit lambda, the gate and the rules it is compared with; write `gating.safetensors` and `gating.json`.

    Returns:
        What `gating.json` holds.

    Raises:
        UserError: an earlier command is missing, or there are no pairs to learn from or to check on.
    """
    started = time.monotonic()
    run, store = open_run(recipe)
    heads = Heads.read(recipe)
    digest = gating_inputs(recipe)
    tables = {name: read_table(recipe.folder / "tables", name) for name in ("pairs", "examples")}
    pairs = usable_pairs(tables["pairs"], recipe.gate, store)
    others = fit_other_heads(recipe, store, progress)
    sets = list(recipe.debiasing.reference) or [settings.name for settings in recipe.pairs]
    debiasing, (before, after) = debias(
        reference_responses(tables["pairs"], tables["examples"], sets),
        recipe.debiasing,
        sets,
        store,
        heads.weight,
        heads.objectives,
        progress,
    )
    plain = _bradley_terry(recipe, store, pairs)  # before the prompts are read: both at once are large
    inputs = gate_inputs(pairs, store, heads.weight, debiasing.transform, heads.objectives, progress)
    gate_started = time.monotonic()
    trained = train_gate(inputs.gate_pairs("train"), inputs.gate_pairs("validation"), recipe.gate, progress)
    gate_seconds = time.monotonic() - gate_started
    gate = trained.gate
    tasks = [settings.name for settings in recipe.pairs]
    router = fit_router(inputs, tasks)
    fitted = FittedRules(
        RewardParts(heads.objectives, heads.weight, debiasing.transform, gate),
        plain.coef_,
        router,
        fit_rules(inputs, router, len(tasks)),
    )
    rules, by_dataset, alone = held_out_accuracies(
        inputs, *both_sides(store, inputs, gate, router, plain.coef_), fitted.rules, heads.objectives
    )
    summary = gate_summary(inputs, gate, heads.objectives)
    warning = summary.warning() or contradiction(rules)
    if warning is not None:
        log.warning("%s", warning)
    write_arrays(
        recipe.folder / "gating.safetensors",
        dict(fitted.arrays()),
        {"objectives": "\n".join(heads.objectives), "verbosity": debiasing.verbosity, "tasks": "\n".join(tasks)},
    )

    def named(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
        return dict(zip(heads.objectives, values.tolist(), strict=True))

    result = Gating(
        lambdas=named(debiasing.lambdas),
        correlation_before=dict(named(debiasing.before)),
        correlation_after=dict(named(debiasing.after)),
        correlation_before_held_out=dict(named(before)),
        correlation_after_held_out=dict(named(after)),
        no_root=no_roots(debiasing, recipe.debiasing.method),
        verbosity=debiasing.verbosity,
        correlation=recipe.debiasing.correlation,
        validation_accuracy=rules["gate"].accuracy,
        validation_loss=trained.best.loss,
        validation_pairs=len(inputs.rows("validation", decided=True)),
        train_pairs=len(inputs.rows("train", decided=True)),
        ties=Ties(*(int(inputs.tied[inputs.rows(split)].sum()) for split in ("train", "validation"))),
        uniform_validation_accuracy=rules["uniform"].accuracy,
        bradley_terry_validation_accuracy=rules["bradley_terry"].accuracy,
        bradley_terry_C=plain.C,
        rules=rules,
        rules_by_dataset=by_dataset,
        single_objectives=alone,
        rule_weights=rule_weights(fitted.rules, heads.objectives),
        best_step=trained.best.step,
        seeds=trained.seed_metrics(),
        metrics=trained.metrics,
        tie_threshold=trained.tie_threshold,
        precision=str(trained.dtype).removeprefix("torch."),
        threads=trained.threads,
        gate=summary,
        gate_by_dataset=gate_by_dataset(inputs, gate, heads.objectives),
        warning=warning,
        gate_seconds=gate_seconds,
        seconds=time.monotonic() - started,
    )
    written: dict[str, Any] = TypeAdapter(Gating).dump_python(result, by_alias=True)
    written |= {
        "other_heads": others,
        "fingerprint": run["fingerprint"],
        "recipe": recipe.digest,
        "inputs": digest,
    }
    write_json(recipe.folder / "gating.json", written)
    return written


def _bradley_terry(recipe: Recipe, store: FeatureStore, pairs: pl.DataFrame) -> LinearPairwiseHead:
    """The plain head on the decided pairs' differences of features."""
    decided = pairs.filter(~pl.col("tied"))
    keys, (chosen, rejected) = unique_keys(decided["chosen_key"], decided["rejected_key"])
    train, validation = (
        feature_differences(store, keys, chosen[rows], rejected[rows])
        for rows in (np.flatnonzero(decided["split"] == split) for split in ("train", "validation"))
    )
    plain, _ = select_c(train, validation, recipe.heads.bradley_terry_C)
    return plain
