"""Comparison of settings of the gate's training on a run's pairs, from which the defaults were chosen.

Prompts are split several times into 80 % training, 10 % for stopping and 10 % for judging, so that no gate is judged on
the pairs that selected it. Needs `armorm extract`, `armorm fit-heads` and `armorm train-gating`, whose lambda it takes.

    python -m benchmarks.gate_settings --recipe recipes/demo.toml
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus

from benchmarks.conditions import Conditions
from cache.progress import silent
from gating.collapse import summarise
from gating.inputs import GateInputs, gate_inputs, usable_pairs
from gating.settings import GateSettings
from gating.training.pairs import GatePairs
from gating.training.train import train_gate
from gating.transform import Transform
from pipelines.artefacts import GATING, PAIRS
from pipelines.fitted import linear_heads
from pipelines.recipe import read_recipe
from pipelines.run import Run

VARIANTS: dict[str, dict[str, Any]] = {
    "the recipe's": {},
    "scale starts at 1": {"scale_start": "published"},
    "scale starts at 1 and learns as the rest": {"scale_start": "published", "scale_learning_rate": 3e-4},
    "the same, features as they are": {
        "scale_start": "published",
        "scale_learning_rate": 3e-4,
        "standardise": False,
    },
    "scale learns at 0.003": {"scale_learning_rate": 0.003},
    "scale learns at 0.03": {"scale_learning_rate": 0.03},
    "features as they are": {"standardise": False},
    "dropout 0.2": {"dropout": 0.2},
    "weight decay 1": {"weight_decay": 1.0},
    "temperature 1": {"temperature": 1.0},
    "learning rate 1e-3": {"learning_rate": 1e-3},
    "learning rate 1e-4": {"learning_rate": 1e-4},
}


def fractions(prompt: torch.Tensor, prompts: int, seed: int) -> torch.Tensor:
    """The place of each pair's prompt (n,) in a random order of all prompts, from 0 to 1. Shape (n,)."""
    order = torch.randperm(prompts, generator=torch.Generator().manual_seed(seed))
    return order[prompt].double() / prompts


def split(inputs: GateInputs, seed: int) -> tuple[GatePairs, GatePairs, GatePairs]:
    """All pairs of a run: training, stopping and judging, by prompt."""
    everything = [inputs.gate_pairs(side) for side in ("train", "validation")]
    pairs = GatePairs(
        inputs.prompts, *(torch.cat([getattr(side, name) for side in everything]) for name in ("prompt", "difference"))
    ).at(~torch.cat([side.tied for side in everything if side.tied is not None]))
    fraction = fractions(pairs.prompt, len(inputs.prompts), seed)  # (n,)
    return pairs.at(fraction < 0.8), pairs.at((fraction >= 0.8) & (fraction < 0.9)), pairs.at(fraction >= 0.9)


def study(inputs: GateInputs, settings: GateSettings, splits: int) -> dict[str, float]:
    """Means over the splits, on the judging pairs."""
    figures = []
    for seed in range(splits):
        train, stop, judge = split(inputs, seed)
        trained = train_gate(train, stop, settings)
        with torch.inference_mode():
            weights = trained.gate(judge.prompts[judge.prompt].float())  # (n, k)
            margins = (weights * judge.difference).sum(dim=-1)  # (n,)
        entropy = summarise(weights.numpy(), tuple(map(str, range(weights.shape[-1])))).entropy
        right = (margins > 0).double().mean().item()
        figures.append((right, softplus(-margins).mean().item(), entropy, trained.best.step))
    means, spreads = np.mean(figures, axis=0), np.std(figures, axis=0, ddof=1)
    names = ("accuracy", "loss", "entropy", "step")
    return dict(zip(names, map(float, means), strict=True)) | {"accuracy_spread": float(spreads[0])}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/demo.toml"))
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    conditions = Conditions()
    recipe = read_recipe(arguments.recipe)
    run = Run(recipe)
    objectives, weight = linear_heads(run)  # (k,), (k, d)
    transform = Transform.of_lambdas(run.arrays(GATING)["lambda"], run.read(GATING).verbosity, objectives)
    pairs = usable_pairs(run.table(PAIRS), recipe.gate, run.store)
    inputs = gate_inputs(pairs, run.store, weight, transform, objectives, silent)
    print("| settings | judged right | spread | loss | entropy | selected step |\n|---|---|---|---|---|---|")
    results = {}
    for name, changes in VARIANTS.items():
        results[name] = found = study(inputs, recipe.gate.model_copy(update=changes), arguments.splits)
        print(
            f"| {name} | {found['accuracy']:.1%} | {found['accuracy_spread']:.1%} | {found['loss']:.3f}"
            f" | {found['entropy']:.2f} | {found['step']:.0f} |",
            flush=True,
        )
        conditions.write(arguments.json, results)


if __name__ == "__main__":
    main()
