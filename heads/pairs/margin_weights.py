"""Weights of pairs in proportion to their margin: scaled Bradley-Terry, -m log sigmoid(z).

HelpSteer2-Preference (arXiv 2410.01257, "Scaled BT") multiplies each pair's loss with the strength of its preference,
1 to 3, and INF-ORM with magnitudes 1, 3 and 10. A margin in the loss (`gate.margin`) asks for a larger score
difference where people were surer; a weight asks for nothing, and counts such a pair as so many pairs.
"""

from collections.abc import Collection

import polars as pl

from cache import UserError


def margin_weight(sets: Collection[str], tied: pl.Expr) -> pl.Expr:
    """Weight of each row of a table of pairs with the columns dataset and margin. Float64.

    In the named sets it is the margin divided by the mean margin of the set's decided pairs, whichever split they are
    in, so that decided pairs weigh 1 on average and a set as a whole counts as it does without. It is 1 for ties,
    which are no preference whose strength could count, for pairs without a margin, and in all other sets.

    Args:
        sets: names of the sets.
        tied: which rows are ties.
    """
    weighed = pl.col("dataset").is_in(list(sets)) & pl.col("margin").is_not_null() & ~tied
    margin = pl.when(weighed).then(pl.col("margin"))  # null elsewhere, which a mean leaves out
    return (margin / margin.mean().over("dataset")).fill_null(1.0)


def refuse_without_margins(pairs: pl.DataFrame, sets: Collection[str]) -> None:
    """Refuse sets that are to be weighed by margins and have none.

    Args:
        pairs: table of pairs: dataset, margin.
        sets: names of the sets. One without pairs is not refused here.

    Raises:
        UserError: no pair of a set has a margin above 0.
    """
    for name in sets:
        margins = pairs.filter(pl.col("dataset") == name)["margin"]
        if len(margins) and not (margins > 0).any():
            raise UserError(
                f"[[pairs]] {name}: weight_by = 'margin', and none of its {len(margins):,} pairs has a margin above 0:"
                " take weight_by out, or give the rows a margin"
            )
