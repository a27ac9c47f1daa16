"""`armorm train-gating`: take verbosity out of the rewards, train the gate, and fit what it is compared with."""

import logging
import time
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import unique_keys
from cache.progress import Progress
from gating.collapse import summarise
from gating.gate_pairs import BLOCK_ROWS
from gating.rules import RULES
from gating.rules.rule import PairRewards, Responses
from gating.task_router import TaskRouter
from gating.trained_gate import TrainedGate
from gating.training import train_gate
from heads.kinds.bradley_terry import LinearPairwiseHead, select_c
from heads.stored import feature_differences, predict_stored
from pipelines.artefacts import Arrays, gating_inputs, open_run, write_arrays, write_json
from pipelines.fit_other_heads import fit_other_heads
from pipelines.fitted_model import Heads
from pipelines.gate_inputs import GateInputs, read_gate_inputs, read_pairs
from pipelines.held_out import contradiction, held_out_accuracies
from pipelines.recipe import Recipe
from pipelines.reference_set import debias, no_roots

log = logging.getLogger(__name__)


def train_gating(recipe: Recipe, *, progress: Progress) -> dict[str, Any]:
    """Fit lambda, the gate and the rules beside it; write `gating.safetensors` and `gating.json`.

    Returns:
        What `gating.json` holds.

    Raises:
        UserError: an earlier command is missing, or there are no pairs to learn from or to check on.
    """
    started = time.monotonic()
    run, store = open_run(recipe)
    heads = Heads.read(recipe)
    digest = gating_inputs(recipe)
    pairs = read_pairs(recipe, store)
    others = fit_other_heads(recipe, store, progress)
    debiasing, held_out_correlations = debias(recipe, store, heads, progress)
    plain = _bradley_terry(recipe, store, pairs)  # before the prompts are read: both at once are large
    inputs = read_gate_inputs(pairs, store, heads, debiasing, progress)
    gate_started = time.monotonic()
    trained = train_gate(inputs.gate_pairs("train"), inputs.gate_pairs("validation"), recipe.gate, progress)
    gate_seconds = time.monotonic() - gate_started
    tasks = [pairs.name for pairs in recipe.pairs]
    router = _fit_router(inputs, tasks)
    fitted = _fit_rules(inputs, router, len(tasks))
    accuracies = held_out_accuracies(
        inputs, *_both_sides(store, inputs, trained, router, plain), fitted, heads.objectives
    )
    held_out = np.unique(inputs.prompt[inputs.rows("validation")])
    summary = summarise(gate_weights(trained, inputs.prompts[held_out]), heads.objectives)
    warning = summary.warning() or contradiction(accuracies["rules"])
    if warning is not None:
        log.warning("%s", warning)
    write_arrays(
        recipe.folder / "gating.safetensors",
        {f"gating.{name}": value.numpy() for name, value in trained.gate.state_dict().items()}
        | {"lambda": debiasing.lambdas, "bradley_terry.weight": plain.coef_}
        | {"router.weight": router.weight.numpy(), "router.bias": router.bias.numpy()}
        | {f"rules.{rule}.{name}": array for rule, arrays in fitted.items() for name, array in arrays.items()},
        {"objectives": "\n".join(heads.objectives), "verbosity": debiasing.verbosity, "tasks": "\n".join(tasks)},
    )
    rules = accuracies["rules"]
    before, after = held_out_correlations
    result = {
        "lambda": dict(zip(heads.objectives, debiasing.lambdas, strict=True)),
        "correlation_before": dict(zip(heads.objectives, debiasing.before, strict=True)),
        "correlation_after": dict(zip(heads.objectives, debiasing.after, strict=True)),
        "correlation_before_held_out": dict(zip(heads.objectives, before, strict=True)),
        "correlation_after_held_out": dict(zip(heads.objectives, after, strict=True)),
        "no_root": no_roots(debiasing, recipe.debiasing.method),
        "verbosity": debiasing.verbosity,
        "correlation": recipe.debiasing.correlation,
        "validation_accuracy": rules["gate"]["accuracy"],
        "validation_loss": trained.best.loss,
        "validation_pairs": len(inputs.rows("validation", decided=True)),
        "train_pairs": len(inputs.rows("train", decided=True)),
        "ties": {split: int(inputs.tied[inputs.rows(split)].sum()) for split in ("train", "validation")},
        "uniform_validation_accuracy": rules["uniform"]["accuracy"],
        "bradley_terry_validation_accuracy": rules["bradley_terry"]["accuracy"],
        "bradley_terry_C": plain.C,
        "other_heads": others,
        **accuracies,
        "best_step": trained.best.step,
        "seeds": _seeds(trained),
        "looks": [asdict(look) for look in trained.looks],
        "tie_threshold": trained.tie_threshold,
        "precision": str(trained.dtype).removeprefix("torch."),
        "threads": trained.threads,
        "gate": asdict(summary),
        "gate_by_dataset": _gate_by_dataset(inputs, trained, heads.objectives),
        "warning": warning,
        "fingerprint": run["fingerprint"],
        "recipe": recipe.digest,
        "inputs": digest,
        "gate_seconds": gate_seconds,
        "seconds": time.monotonic() - started,
    }
    write_json(recipe.folder / "gating.json", result)
    return result


def gate_weights(trained: TrainedGate, prompts: torch.Tensor) -> NDArray[np.float32]:
    """The gate's weights for prompts (p, d) of any float dtype. Shape (p, k)."""
    with torch.inference_mode():
        blocks = [trained.gate(block.float()).numpy() for block in torch.split(prompts, BLOCK_ROWS)]
    return np.concatenate(blocks)


def _fit_router(inputs: GateInputs, tasks: list[str]) -> TaskRouter:
    """Learn from the training prompts which pair set a prompt comes from."""
    rows = inputs.rows("train", decided=True)
    names = inputs.table["dataset"].to_numpy()
    used, first = np.unique(inputs.prompt[rows], return_index=True)
    own = np.asarray([tasks.index(name) for name in names[rows[first]]], dtype=np.int64)
    return TaskRouter.fit(inputs.prompts[torch.from_numpy(used)], torch.from_numpy(own), len(tasks))


def _fit_rules(inputs: GateInputs, router: TaskRouter, tasks: int) -> dict[str, Arrays]:
    """Fit every rule on the decided training pairs."""
    rows = inputs.rows("train", decided=True)
    task = router.route(inputs.prompts).numpy()[inputs.prompt[rows]]
    pairs = PairRewards(inputs.difference[rows], task, tasks, inputs.table["weight"].to_numpy()[rows])
    return {name: dict(rule.fit(pairs)) for name, rule in RULES.items()}


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


def _both_sides(
    store: FeatureStore, inputs: GateInputs, trained: TrainedGate, router: TaskRouter, plain: LinearPairwiseHead
) -> tuple[Responses, Responses]:
    """What rules look at, for the chosen and the rejected responses of the decided held-out pairs."""
    rows = inputs.rows("validation", decided=True)
    used, place = np.unique(inputs.prompt[rows], return_inverse=True)
    prompts = inputs.prompts[torch.from_numpy(used)]
    weights, task = gate_weights(trained, prompts)[place], router.route(prompts).numpy()[place]
    scores = predict_stored(store, inputs.keys, plain.coef_[None])[:, 0]  # (m,)
    table = inputs.table
    chosen = Responses(
        inputs.chosen_rewards[rows], weights, task, scores[inputs.chosen[rows]], table["chosen_tokens"].to_numpy()[rows]
    )
    rejected = Responses(
        inputs.rejected_rewards[rows],
        weights,
        task,
        scores[inputs.rejected[rows]],
        table["rejected_tokens"].to_numpy()[rows],
    )
    return chosen, rejected


def _seeds(trained: TrainedGate) -> dict[str, Any]:
    """How each seed did on the held-out pairs, and how far they are apart."""
    accuracies = [result.best.accuracy for result in trained.seeds]
    return {
        "kept": trained.kept.seed,
        "accuracy_mean": float(np.mean(accuracies)),
        "accuracy_spread": float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None,
        "each": [{"seed": result.seed, **asdict(result.best)} for result in trained.seeds],
    }


def _gate_by_dataset(
    inputs: GateInputs, trained: TrainedGate, objectives: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Pair set -> summary of the gate's weights on its held-out prompts."""
    rows = inputs.rows("validation")
    names = inputs.table["dataset"].to_numpy()[rows]
    return {
        str(name): asdict(
            summarise(gate_weights(trained, inputs.prompts[np.unique(inputs.prompt[rows[names == name]])]), objectives)
        )
        for name in dict.fromkeys(names)
    }
