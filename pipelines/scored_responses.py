"""The file of a suite's scored responses."""

from io import BytesIO
from pathlib import Path

import polars as pl

from cache import UserError
from cache.durable import replacing
from pipelines.recipe import Recipe


def path_of(recipe: Recipe, suite: str) -> Path:
    """Where a suite's scored responses lie."""
    return recipe.folder / "scores" / f"{suite}.parquet"


def analysis_path(recipe: Recipe, suite: str) -> Path:
    """Where what `armorm analyse` makes of a suite's scored responses lies."""
    return recipe.folder / f"{suite}.analysis.json"


def write_scored(recipe: Recipe, suite: str, frame: pl.DataFrame) -> None:
    """Write a suite's scored responses, durably."""
    table = BytesIO()  # polars takes a full disk for a bug in Parquet
    frame.write_parquet(table)
    with replacing(path_of(recipe, suite)) as file:
        file.write(table.getbuffer())


def read_scored(recipe: Recipe, suite: str) -> pl.DataFrame:
    """Read what `armorm eval --suite <suite>` wrote.

    Raises:
        UserError: it is not there, or not Parquet.
    """
    path = path_of(recipe, suite)
    command = f"armorm eval --suite {suite}"
    if not path.exists():
        raise UserError(f"there is no {path}: run `{command}` first")
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): run `{command}` again") from None
