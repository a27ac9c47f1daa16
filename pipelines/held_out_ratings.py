"""How far the heads agree with the ratings of held-out prompts, objective by objective and data set by data set."""

import time

import polars as pl

from cache.keys import unique_keys
from cache.progress import Progress
from evaluation.rating_agreement import agreement_by_dataset
from evaluation.results import Ratings
from extract.tables import read_table
from heads.kinds.layers import LayerChoice
from heads.ridge.estimator import train_only_heads
from heads.ridge.subset import VALIDATION
from heads.stored import predict_stored
from pipelines.artefacts import open_run, read_json, write_json
from pipelines.fitted_model import Heads
from pipelines.recipe import Recipe
from pipelines.run_statistics import read_statistics, targets_of


def held_out_ratings(recipe: Recipe, progress: Progress) -> Ratings:
    """Agreement of heads that saw no held-out rating with the held-out ratings; written to `ratings.json`.

    The run's own heads are refitted on the held-out rows too. These are the heads before that: fitted on the training
    rows with the same penalties. A penalty was chosen on these rows, one number an objective.

    Raises:
        UserError: the heads or their statistics are missing, or of other rows or settings.
    """
    started = time.monotonic()
    run, store = open_run(recipe)
    objectives = Heads.read(recipe).objectives
    report = read_json(recipe.folder / "heads.json", "fit-heads")
    alphas = {name: report["objectives"][name]["alpha"] for name in objectives}
    weights = train_only_heads(read_statistics(recipe), alphas, recipe.heads)  # (k, m)
    layers = list(range(store.layers))
    chosen = layers if recipe.heads.layer is None else [recipe.heads.layer]
    weights = LayerChoice.of(layers, chosen, store.hidden_size).widen(weights)  # (k, layers * d)
    examples = read_table(recipe.folder / "tables", "examples").filter(pl.col("split") == VALIDATION)
    keys, (place,) = unique_keys(examples["response_key"])
    predicted = predict_stored(store, keys, weights, progress)[place]  # (n, k)
    _, (prompt,) = unique_keys(examples["prompt_key"])
    names = [objective.name for objective in recipe.objectives]
    targets = targets_of(recipe, examples)[:, [names.index(name) for name in objectives]]  # (n, k)
    result = Ratings(
        objectives=agreement_by_dataset(predicted, targets, prompt, examples["dataset"].to_numpy(), objectives),
        fitted_on="training rows alone, with the penalties that the run chose",
        rows=len(examples),
        seconds=time.monotonic() - started,
    )
    stamps = {"fingerprint": run["fingerprint"], "recipe": recipe.digest, "inputs": report["inputs"]}
    write_json(recipe.folder / "ratings.json", result, **stamps)
    return result
