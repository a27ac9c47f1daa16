"""Scores that other scorers gave a suite's responses: written once, and judged beside the rules from then on."""

from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import polars as pl

from cache import UserError
from cache.durable import replacing
from evaluation.results import Scorer
from evaluation.scorers.scorer import SuiteScores
from pipelines.artefacts import read_json, typed, write_json
from pipelines.recipe import Recipe


def write_other_scores(recipe: Recipe, suite: str, scores: SuiteScores) -> Path:
    """Write a scorer's scores of a suite, and the JSON file about them; the path of the scores."""
    path = scorers_folder(recipe, suite) / f"{file_name(scores.about.name)}.parquet"
    table = BytesIO()  # polars takes a full disk for a bug in Parquet
    scores.table.write_parquet(table)
    with replacing(path) as file:
        file.write(table.getbuffer())
    write_json(path.with_suffix(".json"), scores.about)
    return path


def read_other_scores(recipe: Recipe, suite: str) -> list[SuiteScores]:
    """All that `armorm score-suite` wrote for a suite, by name.

    Raises:
        UserError: a file is damaged.
    """
    found = []
    for path in sorted(scorers_folder(recipe, suite).glob("*.json")):
        about = typed(read_json(path, "score-suite"), Scorer, path, "score-suite")
        try:
            table = pl.read_parquet(path.with_suffix(".parquet"))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise UserError(
                f"{path.with_suffix('.parquet')} cannot be read ({error}): run `armorm score-suite` again, or remove"
                f" it and {path.name}"
            ) from None
        found.append(SuiteScores(about, table))
    return found


def file_name(name: str) -> str:
    """A scorer's name as part of a file name; other names give other file names."""
    return quote(name, safe="")


def scorers_folder(recipe: Recipe, suite: str) -> Path:
    """The folder of the scores that other scorers gave a suite."""
    return recipe.folder / "scorers" / suite
