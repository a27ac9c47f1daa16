"""`armorm train-gating`: take verbosity out of the rewards, train the gate, and the plain head beside it."""

import logging
import time
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from cache import FeatureStore, UserError
from cache.progress import Progress
from extract.tables import read_table, unique_keys
from gating.collapse import summarise
from gating.debiasing import Debiasing, fit_debiasing
from gating.settings import RESPONSE_TOKENS
from gating.training import GatePairs, TrainedGate, train_gate
from heads.bradley_terry import choose_strength
from heads.stored import predict_stored
from pipelines.artefacts import gating_inputs, open_run, write_arrays, write_json
from pipelines.fit_other_heads import fit_other_heads
from pipelines.recipe import Recipe
from pipelines.reward_model import Heads, verbosity_of

log = logging.getLogger(__name__)


def train_gating(recipe: Recipe, *, progress: Progress) -> dict[str, Any]:
    """Fit lambda, the gate and a Bradley-Terry head; write `gating.safetensors` and `gating.json`.

    Returns:
        What `gating.json` holds.

    Raises:
        UserError: an earlier command is missing, or there are no pairs to learn from or to check on.
    """
    started = time.monotonic()
    run, store = open_run(recipe)
    heads = Heads.read(recipe)
    inputs = gating_inputs(recipe)
    pairs = read_table(recipe.folder / "tables", "pairs")
    if pairs.is_empty():
        raise UserError("there are no pairs to train the gate on: add a pair set to the recipe, and extract again")
    others = fit_other_heads(recipe, store, progress)
    keys, (chosen, rejected) = unique_keys(pairs["chosen_key"], pairs["rejected_key"])
    rewards = predict_stored(store, keys, heads.weight, progress)  # (responses, k)
    debiasing = _debias(recipe, store, heads, progress)
    adjusted = [
        debiasing.apply(rewards[place], verbosity_of(debiasing.verbosity, rewards[place], heads.objectives, tokens))
        for place, tokens in (
            (chosen, pairs["chosen_tokens"].to_numpy()),
            (rejected, pairs["rejected_tokens"].to_numpy()),
        )
    ]
    difference = adjusted[0] - adjusted[1]  # (pairs, k)
    sides = {split: np.flatnonzero((pairs["split"] == split).to_numpy()) for split in ("train", "validation")}
    prompt_keys, (prompt,) = unique_keys(pairs["prompt_key"])
    prompts = store.gather(prompt_keys).reshape(len(prompt_keys), -1)  # (p, layers * d)
    gate_pairs = {
        split: GatePairs(torch.from_numpy(prompts), torch.from_numpy(prompt[rows]), torch.from_numpy(difference[rows]))
        for split, rows in sides.items()
    }
    trained = train_gate(gate_pairs["train"], gate_pairs["validation"], recipe.gate, progress)
    held_out = _weights(trained, prompts[np.unique(prompt[sides["validation"]])])
    summary = summarise(held_out, heads.objectives)
    if (warning := summary.warning()) is not None:
        log.warning("%s", warning)
    features = store.gather(keys).reshape(len(keys), -1)  # (responses, layers * d)
    plain, plain_accuracy = choose_strength(
        features[chosen[sides["train"]]] - features[rejected[sides["train"]]],
        features[chosen[sides["validation"]]] - features[rejected[sides["validation"]]],
        recipe.heads.bradley_terry_strengths,
    )
    write_arrays(
        recipe.folder / "gating.safetensors",
        {f"gating.{name}": value.numpy() for name, value in trained.gate.state_dict().items()}
        | {"lambda": debiasing.lambdas, "bradley_terry.weight": plain.coef_},
        {"objectives": "\n".join(heads.objectives), "verbosity": debiasing.verbosity},
    )
    result = {
        "lambda": dict(zip(heads.objectives, debiasing.lambdas, strict=True)),
        "correlation_before": dict(zip(heads.objectives, debiasing.before, strict=True)),
        "correlation_after": dict(zip(heads.objectives, debiasing.after, strict=True)),
        "verbosity": debiasing.verbosity,
        "correlation": recipe.debiasing.correlation,
        "validation_accuracy": trained.best.accuracy,
        "validation_loss": trained.best.loss,
        "validation_pairs": len(sides["validation"]),
        "train_pairs": len(sides["train"]),
        "uniform_validation_accuracy": float((difference[sides["validation"]].mean(axis=-1) > 0).mean()),
        "bradley_terry_validation_accuracy": plain_accuracy,
        "bradley_terry_strength": plain.strength,
        "other_heads": others,
        "best_step": trained.best.step,
        "looks": [asdict(look) for look in trained.looks],
        "gate": asdict(summary),
        "warning": warning,
        "fingerprint": run["fingerprint"],
        "recipe": recipe.digest,
        "inputs": inputs,
        "seconds": time.monotonic() - started,
    }
    write_json(recipe.folder / "gating.json", result)
    return result


def _debias(recipe: Recipe, store: FeatureStore, heads: Heads, progress: Progress) -> Debiasing:
    """Fit lambda on the training responses of the reference sets."""
    settings = recipe.debiasing
    verbosity = settings.verbosity
    if verbosity not in (RESPONSE_TOKENS, "none", *heads.objectives):
        raise UserError(
            f"debiasing.verbosity: the objective {verbosity} was not fitted: name another, or 'response_tokens'"
        )
    if heads.objectives == (verbosity,):
        raise UserError(
            f"debiasing.verbosity: {verbosity} is the only objective, and nothing is left of it: name"
            " 'response_tokens' or 'none'"
        )
    reference = _reference(recipe)
    rewards = predict_stored(store, unique_keys(reference["key"])[0], heads.weight, progress)
    tokens = reference["tokens"].to_numpy()
    column = verbosity_of(verbosity, rewards, heads.objectives, tokens).astype(np.float64)
    debiasing = fit_debiasing(rewards, column, heads.objectives, verbosity, settings.correlation)
    for name in debiasing.not_taken_out():
        log.warning("%s: no lambda brings its correlation with %s to zero; the closest is used", name, verbosity)
    return debiasing


def _reference(recipe: Recipe) -> pl.DataFrame:
    """Distinct training responses of the reference sets: key and length, sorted by key."""
    tables = recipe.folder / "tables"
    pairs = read_table(tables, "pairs")
    sides = [
        pairs.select("dataset", "split", key=f"{side}_key", tokens=f"{side}_tokens") for side in ("chosen", "rejected")
    ]
    examples = read_table(tables, "examples").select("dataset", "split", key="response_key", tokens="response_tokens")
    everything = pl.concat([*sides, examples])
    wanted = list(recipe.debiasing.reference) or pairs["dataset"].unique().to_list()
    chosen = everything.filter(pl.col("dataset").is_in(wanted) & (pl.col("split") == "train"))
    if chosen.is_empty():
        raise UserError(f"debiasing.reference: there are no training responses in {', '.join(wanted)}")
    return chosen.unique("key").sort("key")


def _weights(trained: TrainedGate, prompts: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        weights: NDArray[np.float32] = trained.gate(torch.from_numpy(prompts)).numpy()  # (n, k)
    return weights
