"""Comparison of pairs' weights and of centred rewards, in the gate's loss and the plain Bradley-Terry head's.

Splits and needs are those of `benchmarks.gate_settings`: no gate and no head is judged on pairs that selected it.

    python -m benchmarks.pair_losses --recipe recipes/demo.toml
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from benchmarks.conditions import Conditions
from benchmarks.gate_settings import fractions
from cache import FeatureStore
from cache.progress import silent
from gating.inputs import GateInputs, gate_inputs, usable_pairs
from gating.settings import GateSettings
from gating.training.train import train_gate
from gating.transform import Transform
from heads.pairs.decided import DecidedPairs
from heads.pairs.preference import fit_preference
from pipelines.artefacts import GATING, PAIRS
from pipelines.fitted import linear_heads
from pipelines.recipe import read_recipe
from pipelines.run import Run

VARIANTS: dict[str, tuple[bool, float]] = {
    "the recipe's": (False, 0.0),
    "weights by margin": (True, 0.0),
    "centred, 0.01": (False, 0.01),
    "centred, 0.1": (False, 0.1),
    "weights by margin, centred, 0.01": (True, 0.01),
}
"""Name -> whether pairs count by their margin where their set has margins, coefficient of centred rewards."""

SPLITS = ("train", "validation", "judge")

Scores = tuple[NDArray[np.float64], NDArray[np.float64]]
"""(j,) differences and sums of the scores of the judging pairs' responses."""


def gate_scores(inputs: GateInputs, settings: GateSettings, divided: pl.DataFrame) -> Scores:
    """Judging pairs by a gate that is trained on the others."""
    train, stop, judge = (replace(inputs, table=divided).gate_pairs(split) for split in SPLITS)
    trained = train_gate(train, stop, settings)
    assert judge.total is not None
    with torch.inference_mode():
        weights = trained.gate(judge.prompts[judge.prompt].float())  # (j, k)
    difference, total = ((weights * each).sum(dim=-1).double().numpy() for each in (judge.difference, judge.total))
    return difference, total


def head_scores(store: FeatureStore, C: tuple[float, ...], coefficient: float, divided: pl.DataFrame) -> Scores:
    """Judging pairs by a plain head that is fitted on the others."""
    head = fit_preference(store, divided, C, center_rewards_coefficient=coefficient)
    judge = DecidedPairs.of(divided, "judge")
    return head.decision_function(judge.differences(store)), head.decision_function(judge.sums(store))


def study(
    scores: Callable[[pl.DataFrame], Scores],
    table: pl.DataFrame,
    strength: NDArray[np.float64],
    inputs: GateInputs,
    splits: int,
) -> dict[str, float]:
    """Means over the splits, on the judging pairs; strength (n,): weights by margin of the pairs of `table` (n)."""
    figures = []
    for seed in range(splits):
        fraction = fractions(torch.from_numpy(inputs.prompt), len(inputs.prompts), seed).numpy()  # (n,)
        split = np.select([fraction < 0.8, fraction < 0.9], SPLITS[:2], SPLITS[2])
        difference, total = scores(table.with_columns(split=pl.Series(split)))
        weight = strength[split == SPLITS[2]]
        right, loss = difference > 0, np.logaddexp(0.0, -difference)
        level = float(np.sqrt(np.mean(np.square(total / 2))))
        apart = float(np.sqrt(np.mean(np.square(difference))))
        figures.append((right.mean(), np.average(right, weights=weight), loss.mean(), level, apart))
    names = ("accuracy", "by_margin", "loss", "level", "difference")
    means, spreads = np.mean(figures, axis=0), np.std(figures, axis=0, ddof=1)
    return dict(zip(names, map(float, means), strict=True)) | {"accuracy_spread": float(spreads[0])}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/demo.toml"))
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--patience", type=int, default=None, help="In place of gate.patience.")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    conditions = Conditions()
    recipe = read_recipe(arguments.recipe)
    run = Run(recipe)
    objectives, weight = linear_heads(run)  # (k,), (k, d)
    transform = Transform.of_lambdas(run.arrays(GATING)["lambda"], recipe.debiasing.verbosity, objectives)
    pairs = run.table(PAIRS)
    with_margins = pairs.filter(pl.col("margin") > 0)["dataset"].unique().to_list()
    plain, weighted = (
        usable_pairs(pairs, recipe.gate, sets, run.store).filter(~pl.col("tied")) for sets in ([], with_margins)
    )
    inputs = gate_inputs(plain, run.store, weight, transform, objectives, silent)
    print("| fitted | settings | judged right | spread | by margin | loss | level | difference |")
    print("|---|---|---|---|---|---|---|---|")
    results: dict[str, dict[str, Any]] = {}
    for name, (by_margin, coefficient) in VARIANTS.items():
        table = weighted if by_margin else plain
        patience = arguments.patience or recipe.gate.patience
        settings = recipe.gate.model_copy(update={"center_rewards_coefficient": coefficient, "patience": patience})
        ways = {
            "gate": partial(gate_scores, inputs, settings),
            "plain head": partial(head_scores, run.store, recipe.heads.bradley_terry_C, coefficient),
        }
        for fitted, scores in ways.items():
            found = study(scores, table, weighted["weight"].to_numpy(), inputs, arguments.splits)
            results.setdefault(fitted, {})[name] = found
            print(
                f"| {fitted} | {name} | {found['accuracy']:.1%} | {found['accuracy_spread']:.1%}"
                f" | {found['by_margin']:.1%} | {found['loss']:.3f} | {found['level']:.2f}"
                f" | {found['difference']:.2f} |",
                flush=True,
            )
            conditions.write(arguments.json, results)


if __name__ == "__main__":
    main()
