"""Weights by margin: what they sum to, what they do not depend on, and sets that have none."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache import UserError
from heads.pairs.margin_weights import margin_weight, refuse_without_margins

Margins = list[float | None]
TIED = pl.col("margin").fill_null(1.0) <= 0.5
margins = st.lists(st.none() | st.floats(0, 100), min_size=1, max_size=30)


def weights(own: Margins, other: Margins = [1.0], tied: pl.Expr = TIED) -> pl.DataFrame:  # noqa: B006 - not changed
    """A weighted set "own" and another set, with their weights."""
    table = pl.DataFrame(
        {"dataset": ["own"] * len(own) + ["other"] * len(other), "margin": [*own, *other]},
        schema={"dataset": pl.String, "margin": pl.Float64},
    )
    return table.with_columns(weight=margin_weight(["own"], tied), tied=tied)


def test_a_weight_is_the_margin_over_the_mean_of_the_decided_pairs() -> None:
    # Strengths of HelpSteer2, mean 2; a tie and a pair of unknown strength count 1.
    assert weights([1.0, 2.0, 3.0, 0.5, None])["weight"].to_list() == [0.5, 1.0, 1.5, 1.0, 1.0, 1.0]


@given(margins, margins)
@settings(max_examples=30)
def test_decided_pairs_weigh_1_on_average_and_all_others_1(own: Margins, other: Margins) -> None:
    found = weights(own, other)
    assert found["weight"].is_finite().all()
    known = found.filter((pl.col("dataset") == "own") & ~pl.col("tied") & pl.col("margin").is_not_null())
    if len(known):
        assert known["weight"].mean() == pytest.approx(1.0)
    others = found.join(known, on=["dataset", "margin"], how="anti", nulls_equal=True)
    assert (others["weight"] == 1.0).all()


@given(st.lists(st.floats(1, 100), min_size=1), st.sampled_from([0.5, 3.0, 1e6]))
@settings(max_examples=20)
def test_the_unit_of_the_margins_does_not_matter(own: list[float], unit: float) -> None:
    none = pl.lit(False)
    one, other = (weights(list(each), tied=none)["weight"] for each in (own, [unit * margin for margin in own]))
    assert other.to_list() == pytest.approx(one.to_list())


@given(st.floats(1e-3, 1e6), st.integers(1, 20))
@settings(max_examples=20)
def test_equal_margins_are_no_weights(margin: float, pairs: int) -> None:
    assert weights([margin] * pairs, tied=pl.lit(False))["weight"].to_list() == pytest.approx([1.0] * (pairs + 1))


def test_where_nothing_is_tied_a_margin_of_0_counts_nothing() -> None:
    assert weights([0.0, 2.0], tied=pl.lit(False))["weight"].to_list() == [0.0, 2.0, 1.0]


@pytest.mark.parametrize("own", [[None, None], [0.0, None]])
def test_a_set_without_margins_is_refused_by_name(own: Margins) -> None:
    table = weights(own)
    with pytest.raises(UserError, match=r"\[\[pairs\]\] own: weight_by = 'margin', and none of its 2 pairs has a marg"):
        refuse_without_margins(table, ["own"])
    refuse_without_margins(table, ["other", "without any pairs"])
