"""Conformal intervals: the asked fraction of held-out planted ratings, whatever the noise; and too few rows."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from heads.ridge.conformal import ConformalIntervals, conformal_intervals, fewest_rows, half_width
from heads.ridge.uncertainty import NOT_KNOWN, PERCENTILES, Uncertainty
from heads.ridge.whitening import whitening
from heads.validation_halves import in_calibration_half

D = 40


def planted(noise: str, rows: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features off the origin with a falling spectrum, and ratings of a planted score with noise of one kind."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((rows, D)) * np.geomspace(2.0, 0.1, D) + 0.5
    direction = np.random.default_rng(99).standard_normal(D) / 8.0
    drawn = {
        "gaussian": rng.standard_normal(rows),
        "heavy": rng.standard_t(2.0, rows),
        "skew": rng.exponential(size=rows) - 1.0,
        "heteroscedastic": rng.standard_normal(rows) * np.exp(0.8 * features[:, 0]),
        "levels": np.round(2.0 * rng.standard_normal(rows)) / 2.0,
    }[noise]
    return features, features @ direction + 0.3 * drawn


def ridge(features: NDArray[np.float64], targets: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    return np.linalg.solve(features.T @ features + alpha * np.eye(D), features.T @ targets)


@pytest.mark.parametrize("noise", ["gaussian", "heavy", "skew", "heteroscedastic", "levels"])
@pytest.mark.parametrize("with_leverages", [False, True])
def test_held_out_ratings_are_covered_as_asked(noise: str, with_leverages: bool) -> None:
    features, targets = planted(noise, 500 + 8_000, seed=1)
    alpha, train, calibrate, check = 1.0, slice(0, 500), slice(500, 4500), slice(4500, None)
    weight = ridge(features[train], targets[train], alpha)
    inverse = np.linalg.inv(features[train].T @ features[train] + alpha * np.eye(D))
    leverages = np.einsum("nd,de,ne->n", features, inverse, features)[:, None] if with_leverages else None
    residuals = (targets - features @ weight)[:, None]
    of = None if leverages is None else leverages[calibrate]
    intervals = conformal_intervals(residuals[calibrate], 0.9, of)
    ends = intervals.interval(
        features[check] @ weight[:, None], None if leverages is None else leverages[check]
    )  # (n, 1, 2)
    inside = (ends[:, 0, 0] <= targets[check]) & (targets[check] <= ends[:, 0, 1])
    assert abs(inside.mean() - 0.9) < 0.02


def test_leverage_widens_the_interval_where_the_heads_know_little() -> None:
    """Few training rows, and responses three times as far out: without leverages these are covered far too seldom."""
    rng = np.random.default_rng(3)
    features, targets = planted("gaussian", 60 + 6_000, seed=2)
    far = np.arange(len(features)) % 10 == 0
    features[60:][far[60:]] = 0.5 + 3.0 * (features[60:][far[60:]] - 0.5)
    direction = np.random.default_rng(99).standard_normal(D) / 8.0
    targets[60:] = features[60:] @ direction + 0.3 * rng.standard_normal(6_000)
    weight = ridge(features[:60], targets[:60], 0.1)
    inverse = np.linalg.inv(features[:60].T @ features[:60] + 0.1 * np.eye(D))
    leverages = np.einsum("nd,de,ne->n", features, inverse, features)[:, None]
    residuals = (targets - features @ weight)[:, None]
    calibrate, check = slice(60, 3060), slice(3060, None)
    intervals = conformal_intervals(residuals[calibrate], 0.9, leverages[calibrate])
    rewards = features[check] @ weight[:, None]
    covered = {}
    for name, known in (("plain", None), ("leverage", leverages[check])):
        ends = intervals.interval(rewards, known)[:, 0]
        inside = (ends[:, 0] <= targets[check]) & (targets[check] <= ends[:, 1])
        covered[name] = {"far": inside[far[check]].mean(), "near": inside[~far[check]].mean()}
        assert abs(inside.mean() - 0.9) < 0.02
    assert covered["plain"]["far"] < 0.65
    assert covered["leverage"]["far"] > 0.85
    assert abs(covered["leverage"]["near"] - 0.9) < 0.03


@given(st.lists(st.floats(0, 10), min_size=1, max_size=60), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
@settings(deadline=None)
def test_the_half_width_is_the_finite_sample_quantile(errors: list[float], coverage: float) -> None:
    found = half_width(np.array(errors), coverage)
    rank = next(rank for rank in range(len(errors) + 2) if rank >= (len(errors) + 1) * coverage - 1e-9)
    if rank > len(errors):
        assert math.isnan(found)
        assert len(errors) < fewest_rows(coverage)
    else:
        assert found == sorted(errors)[rank - 1]
        assert len(errors) >= fewest_rows(coverage)


def test_unrated_rows_and_objectives_with_few_rows_are_left_out() -> None:
    residuals = np.full((30, 3), np.nan)
    residuals[:20, 0] = np.linspace(-1.0, 1.0, 20)
    residuals[:8, 1] = 0.1
    intervals = conformal_intervals(residuals, 0.9)
    assert intervals.half_width[0] == pytest.approx(1.0)
    assert np.isnan(intervals.half_width[1:]).all()
    ends = intervals.interval(np.zeros((2, 3)))
    assert ends.shape == (2, 3, 2)
    np.testing.assert_allclose(ends[0, 0], [-1.0, 1.0])


def test_arrays_give_the_intervals_back() -> None:
    rng = np.random.default_rng(0)
    leverages = rng.random((50, 2))
    intervals = conformal_intervals(rng.standard_normal((50, 3)), 0.8, leverages, [1, 0, 1])
    again = ConformalIntervals.of_arrays(intervals.arrays())
    rewards = rng.standard_normal((50, 3))
    np.testing.assert_array_equal(again.interval(rewards, leverages), intervals.interval(rewards, leverages))
    np.testing.assert_array_equal(again.interval(rewards), intervals.interval(rewards))
    assert again.coverage == 0.8


def test_leverages_are_those_of_the_uncertainty() -> None:
    """A factor by `Uncertainty` and by hand gives equal intervals."""
    features, targets = planted("gaussian", 400, seed=5)
    lower = np.linalg.cholesky(features.T @ features + np.eye(D))
    uncertainty = Uncertainty(
        whitening=whitening(lower, D)[None],
        factor_of=np.array([0]),
        covariance=np.eye(1),
        quantiles=np.full((1, PERCENTILES), NOT_KNOWN),
        thresholds=np.array([NOT_KNOWN]),
        quantile=0.99,
    )
    leverages = uncertainty.leverages(features)
    by_hand = np.square(np.linalg.solve(lower, features.T)).sum(axis=0)
    np.testing.assert_allclose(leverages[:, 0], by_hand, rtol=1e-4)
    intervals = conformal_intervals(targets[:, None], 0.9, leverages, uncertainty.factor_of)
    ratios = np.sort(np.abs(targets) / np.sqrt(1.0 + by_hand))
    assert intervals.leverage_half_width[0] == pytest.approx(ratios[math.ceil(401 * 0.9) - 1], rel=1e-4)


def test_all_rows_of_a_prompt_are_in_one_half() -> None:
    keys = pl.Series([bytes([number % 251, number % 7]) for number in range(4000)])
    first, other = in_calibration_half(keys, 0), in_calibration_half(keys, 1)
    assert 0.45 < first.mean() < 0.55
    assert 0.4 < (first == other).mean() < 0.6
    halves: dict[bytes, set[bool]] = {}
    for key, half in zip(keys, first.tolist(), strict=True):
        halves.setdefault(key, set()).add(half)
    assert {len(found) for found in halves.values()} == {1}


def test_one_response_has_its_row_of_the_intervals() -> None:
    rng = np.random.default_rng(5)
    residuals, leverages = rng.standard_normal((60, 3)), rng.random((60, 2))
    residuals[8:, 2] = np.nan
    intervals = conformal_intervals(residuals, 0.9, leverages, [1, 0, 1])
    rewards = rng.standard_normal((4, 3))
    for known in (None, leverages[:4]):
        ends = intervals.interval(rewards, known)
        one = intervals.of_response(rewards[2], None if known is None else known[2])
        np.testing.assert_array_equal(one.ends, ends[2])
        assert one.pairs() == [(low, high) for low, high in ends[2, :2].tolist()] + [None]
