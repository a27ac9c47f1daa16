"""Preferences derived from ratings: of two responses to one prompt, the better rated one is preferred."""

import polars as pl

from cache import UserError
from extract.settings import PairSettings
from extract.style import STYLE
from extract.tables import PAIRS


def derive_pairs(examples: pl.DataFrame, settings: PairSettings) -> pl.DataFrame:
    """Pairs from one rating set, in the schema `PAIRS`.

    A response's rating is the weighted mean of its ratings on the objectives in `settings.by`; an objective with a
    negative weight counts against it. A response that lacks one of these ratings is not compared. With
    `settings.by_each` each objective alone decides over the responses that have it, and the pairs of all of them make
    the set. A pair's margin is the difference of the two ratings. With 'best_worst' a prompt gives one pair, with
    'all' every pair whose margin is above `minimum_margin`.

    Raises:
        UserError: an objective is not in the table.
    """
    unknown = sorted({*settings.by, *settings.by_each} - set(examples.columns))
    if unknown:
        raise UserError(f"[[pairs]] {settings.name}: {unknown[0]} is no objective of this recipe: take it out of by")
    if settings.by:
        return _pairs_by(settings.by, examples, settings)
    # Two responses may be a pair by several objectives: its name says by which.
    return pl.concat(
        _pairs_by({objective: 1.0}, examples, settings).with_columns(pl.col("row") + f" by {objective}")
        for objective in settings.by_each
    )


def _pairs_by(weights: dict[str, float], examples: pl.DataFrame, settings: PairSettings) -> pl.DataFrame:
    """Pairs by the weighted mean of some objectives."""
    total = sum(map(abs, weights.values()))
    mean = pl.sum_horizontal(pl.col(name) * weight for name, weight in weights.items()) / total
    rated = (
        examples.filter(pl.col("dataset") == settings.ratings)
        .filter(pl.all_horizontal(pl.col(name).is_not_null() for name in weights))
        .with_columns(mean=mean)
        .sort("prompt_key", "mean", "response_key", "row", descending=[False, True, False, False])
    )
    if settings.pick == "best_worst":
        groups = rated.group_by("prompt_key", maintain_order=True)
        best, worst = groups.first(), groups.last()
    else:
        best, worst = rated, rated
    columns = ["row", "response_key", "response_tokens", *STYLE, "mean"]
    pairs = best.select("prompt_key", "split", *columns).join(
        worst.select("prompt_key", *columns), on="prompt_key", suffix="_rejected", maintain_order="left_right"
    )
    margin = pl.col("mean") - pl.col("mean_rejected")
    return (
        pairs.with_columns(margin=margin)
        .filter(pl.col("margin") > (settings.minimum_margin or 0.0))
        .select(
            dataset=pl.lit(settings.name),
            row=pl.col("row") + " > " + pl.col("row_rejected"),
            prompt_key="prompt_key",
            chosen_key="response_key",
            rejected_key="response_key_rejected",
            chosen_tokens="response_tokens",
            rejected_tokens="response_tokens_rejected",
            **{f"chosen_{mark}": pl.col(mark) for mark in STYLE},
            **{f"rejected_{mark}": pl.col(f"{mark}_rejected") for mark in STYLE},
            margin="margin",
            split="split",
        )
        .cast(PAIRS)  # type: ignore[arg-type]
    )
