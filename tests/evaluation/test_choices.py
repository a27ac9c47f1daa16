"""The best of several responses by mean, by a lower bound and by the probability of being best."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from evaluation.choices import Choices, choices, probability_of_best
from tests.evaluation.suite_frames import scored

Real = NDArray[np.float64]


def margins_of(covariance: Real) -> Real:
    """Standard errors (..., n, n) of margins, from the covariance of scores."""
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    return np.sqrt(np.maximum(variance[..., :, None] + variance[..., None, :] - 2 * covariance, 0.0))


def frame(scores: Real, covariance: Real, best: NDArray[np.int64]) -> pl.DataFrame:
    """Rows of n responses, of which `best` (rows,) is the correct one, put first."""
    rows, n = scores.shape
    order = np.argsort(np.arange(n)[None] != best[:, None], axis=-1, kind="stable")  # the correct one first
    ordered = np.take_along_axis(scores, order, axis=-1)
    errors = np.stack([one[np.ix_(places, places)] for one, places in zip(covariance, order, strict=True)])
    std = np.sqrt(np.diagonal(errors, axis1=-2, axis2=-1))
    found = scored([{"chosen": [float(row[0])], "rejected": row[1:].tolist()} for row in ordered])
    return found.with_columns(
        pl.Series("score_std.a", std.ravel()),
        pl.Series("margin_std.a", margins_of(errors).reshape(rows * n, n).tolist(), dtype=pl.List(pl.Float32)),
    )


def found_in(table: pl.DataFrame) -> Choices:
    result = choices(table)
    assert result is not None
    return result


def test_a_lower_bound_escapes_the_winners_curse() -> None:
    rng = np.random.default_rng(0)
    rows, n = 600, 6
    true = 0.5 * rng.standard_normal((rows, n))
    std = rng.choice([0.1, 2.0], (rows, n))  # some responses are far from all that the heads know
    covariance = np.eye(n) * np.square(std)[:, None]
    scores = true + std * rng.standard_normal((rows, n))
    ways = found_in(frame(scores, covariance, true.argmax(axis=-1))).rules["a"]
    lead = ways["lower_bound"].lead
    assert lead is not None
    assert lead.low > 0.05
    assert ways["mean"].lead is None
    assert ways["lower_bound"].right.accuracy == pytest.approx(ways["mean"].right.accuracy + lead.accuracy)


def test_where_all_errors_are_equal_the_three_ways_agree() -> None:
    rng = np.random.default_rng(1)
    rows, n = 200, 4
    scores = rng.standard_normal((rows, n))
    covariance = np.broadcast_to(0.3 * np.eye(n) + 0.5, (rows, n, n))  # an error in common moves no order
    ways = found_in(frame(scores, covariance, rng.integers(n, size=rows))).rules["a"]
    assert ways["lower_bound"].right.accuracy == ways["mean"].right.accuracy
    assert ways["probability"].right.accuracy == pytest.approx(ways["mean"].right.accuracy, abs=0.02)


def test_the_probability_of_being_best_is_an_orthants() -> None:
    rng = np.random.default_rng(2)
    factors = rng.standard_normal((5, 3, 3))
    covariance = factors @ np.swapaxes(factors, -1, -2)
    scores = rng.standard_normal((5, 3))
    found = probability_of_best(scores, margins_of(covariance), draws=40_000)
    assert found.sum(axis=-1) == pytest.approx(1.0)
    for row in range(5):
        for best in range(3):
            others = [place for place in range(3) if place != best]
            to_margins = np.eye(3)[others] - np.eye(3)[best]  # others less the best
            exact = multivariate_normal(to_margins @ scores[row], to_margins @ covariance[row] @ to_margins.T).cdf(
                [0, 0]
            )
            assert found[row, best] == pytest.approx(exact, abs=0.012)


def test_of_two_responses_the_probability_is_exact_and_near_a_monte_carlo() -> None:
    scores, std = np.array([[0.3, 0.0]]), np.array([[[0.0, 0.5], [0.5, 0.0]]])
    found = probability_of_best(scores, std)
    drawn = 0.3 + 0.5 * np.random.default_rng(3).standard_normal(40_000)
    assert found[0, 0] == pytest.approx((drawn > 0).mean(), abs=0.01)
    assert found.sum() == 1.0


def test_responses_without_an_error_are_ranked_by_their_scores() -> None:
    scores = np.array([[1.0, 3.0, 2.0], [5.0, 5.0, 0.0]])
    found = probability_of_best(scores, np.zeros((2, 3, 3)))
    assert found.tolist() == [[0.0, 1.0, 0.0], [0.5, 0.5, 0.0]]


@pytest.mark.parametrize("sizes", [[1], [1, 1]])
def test_pairs_and_rules_without_errors_have_no_choices(sizes: Sequence[int]) -> None:
    pairs = scored([{"chosen": [1.0], "rejected": [0.0] * size} for size in sizes])
    with_errors = pairs.with_columns(
        pl.lit(1.0).alias("score_std.a"), pl.Series("margin_std.a", [[0.0, 1.0]] * len(pairs))
    )
    assert choices(with_errors) is None
    assert choices(scored([{"chosen": [1.0], "rejected": [0.0, 2.0]}])) is None


def test_a_row_of_several_prompts_is_left_out() -> None:
    covariance = np.broadcast_to(np.eye(3), (2, 3, 3))
    table = frame(np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]]), covariance, np.array([0, 0]))
    other = table.with_columns(
        pl.when(pl.col("row").eq("1") & ~pl.col("chosen"))
        .then(pl.lit(b"p" * 16))
        .otherwise("prompt_key")
        .alias("prompt_key")
    )
    assert (found_in(table).rows, found_in(other).rows) == (2, 1)
    assert found_in(other).rules["a"]["mean"].right.accuracy == 1.0
    assert found_in(other).chance == pytest.approx(1 / 3)
