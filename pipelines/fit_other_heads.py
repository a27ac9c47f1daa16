"""The heads of `[other_heads]`, fitted on the same stored features as the ridge and the plain head."""

import time
from dataclasses import asdict
from typing import Any

from cache import FeatureStore
from cache.progress import Progress
from evaluation.calibration import fit_temperature
from evaluation.metrics import accuracy_of
from extract.tables import read_table
from heads.kinds.fit import FittedPairwise, fit_pairwise, fit_ratings
from heads.kinds.fitted import arrays_of
from heads.results import OtherHeads, PairwiseHead, RatingMetrics
from pipelines.artefacts import other_heads_inputs, read_json, write_arrays, write_json
from pipelines.recipe import Recipe
from pipelines.run_statistics import targets_of


def fit_other_heads(recipe: Recipe, store: FeatureStore, progress: Progress) -> dict[str, Any]:
    """Fit the heads that the recipe names and write `other_heads.safetensors` and `other_heads.json`.

    Returns:
        What `other_heads.json` holds; nothing, and no file, where the recipe names no head.

    Raises:
        UserError: there are no pairs on one side of the split, or a head cannot be fitted.
    """
    settings = recipe.other_heads
    if not settings.fit:
        return {}
    started = time.monotonic()
    inputs = other_heads_inputs(recipe)
    tables = recipe.folder / "tables"
    pairwise = fit_pairwise(settings, read_table(tables, "pairs"), store, progress)
    ridge = read_json(recipe.folder / "heads.json", "fit-heads")["objectives"]
    metrics = {name: RatingMetrics(head["validation_mse"], head["pearson"]) for name, head in ridge.items()}
    examples = read_table(tables, "examples")
    targets = targets_of(recipe, examples)
    ratings = fit_ratings(settings, examples, targets, recipe.objectives, metrics, store, progress)
    write_arrays(
        recipe.folder / "other_heads.safetensors", arrays_of(pairwise, ratings), {"heads": "\n".join(settings.fit)}
    )
    found = OtherHeads(
        pairwise={name: _judged(head) for name, head in pairwise.items()},
        objectives={name: fitted.heads for name, fitted in ratings.items()},
        skipped={name: fitted.skipped for name, fitted in ratings.items()},
        layers=settings.layers or tuple(store.fingerprint.layers),
        seconds=time.monotonic() - started,
    )
    digests = {"fingerprint": store.fingerprint.digest, "recipe": recipe.digest, "inputs": inputs}
    result = asdict(found) | digests
    write_json(recipe.folder / "other_heads.json", result)
    return result


def _judged(head: FittedPairwise) -> PairwiseHead:
    accuracy = accuracy_of(head.gaps > 0)
    return PairwiseHead(
        validation_accuracy=accuracy.accuracy,
        low=accuracy.low,
        high=accuracy.high,
        train_pairs=head.train_pairs,
        validation_pairs=len(head.gaps),
        score_temperature=fit_temperature(head.gaps),
        details=head.details,
        seconds=head.seconds,
    )
