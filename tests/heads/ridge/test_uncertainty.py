"""Leverage by hand, standard errors that cover, and a flag for responses unlike the rated ones."""

import numpy as np
import pytest
from numpy.typing import NDArray

from heads.ridge.familiarity import calibrate
from heads.ridge.selection import FittedHeads, fit_heads
from heads.ridge.statistics import GramStatistics
from heads.ridge.uncertainty import NOT_KNOWN, OtherArraysError, Uncertainty
from heads.settings import HeadSettings

D = 30
NOISE = 0.5


def planted(seed: int, n: int = 400) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Features (n, d), ratings (n, 2) with noise, weights (2, d)."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((2, D)) / np.sqrt(D)  # the prior that alpha = NOISE² d stands for
    features = rng.standard_normal((n, D))
    return features, features @ weights.T + NOISE * rng.standard_normal((n, 2)), weights


def fitted(features: NDArray[np.float64], ratings: NDArray[np.float64], **settings: object) -> FittedHeads:
    """Heads of the first half of the rows, with the second for validation."""
    statistics = GramStatistics(("a", "b"), features.shape[1])
    cut = len(features) // 2
    statistics.add("set", "train", features[:cut], ratings[:cut])
    statistics.add("set", "validation", features[cut:], ratings[cut:])
    chosen = HeadSettings(alphas=(NOISE**2 * D,)).model_copy(update=settings)
    return fit_heads(statistics, chosen, skip_unfit=False)


def uncertainty_of(
    features: NDArray[np.float64], ratings: NDArray[np.float64], rows: int | None = None, **settings: object
) -> Uncertainty:
    """The uncertainty of `fitted`, calibrated on its validation rows."""
    factors = fitted(features, ratings, **settings).factors
    assert factors is not None
    cut = len(features) // 2
    return calibrate(factors, features[cut:], ratings[cut:], rows=rows)


def exact(train: NDArray[np.float64], new: NDArray[np.float64]) -> NDArray[np.float64]:
    inverse = np.linalg.inv(train.T @ train + NOISE**2 * D * np.eye(D))
    expected: NDArray[np.float64] = np.einsum("nd,de,ne->n", new, inverse, new)
    return expected


def test_leverage_is_that_of_the_training_rows_by_hand() -> None:
    features, ratings, _ = planted(0)
    new = np.random.default_rng(1).standard_normal((1500, D)) * 3
    found = uncertainty_of(features, ratings).leverages(new)
    np.testing.assert_allclose(found[:, 0], exact(features[:200], new), rtol=1e-4)


def test_the_leverage_of_a_difference_is_that_of_the_halves_and_of_all_pairs_at_once() -> None:
    features, ratings, _ = planted(0)
    uncertainty = uncertainty_of(features, ratings)
    new = np.random.default_rng(1).standard_normal((6, D)) + 20.0
    every = uncertainty.pairwise_leverages(new)  # (n, n, f)
    halves = uncertainty.halves(new)  # (n, f, m)
    for a in range(len(new)):
        by_hand = exact(features[:200], new[a] - new)
        np.testing.assert_allclose(every[a, :, 0], by_hand, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(uncertainty.margin_leverages(new[a], new)[:, 0], by_hand, rtol=1e-4)
        np.testing.assert_allclose(np.square(halves[a, 0] - halves[:, 0]).sum(axis=-1), by_hand, rtol=1e-3, atol=1e-6)


def test_a_sketched_leverage_is_right_on_average_also_far_from_the_rows() -> None:
    features, ratings, _ = planted(0)
    features[:, : D // 2] *= 0.01  # directions of which the training rows say nothing
    rows = 20
    uncertainty = uncertainty_of(features, ratings, rows=rows)
    assert uncertainty.whitening.shape == (2, rows, D)  # its own, and that of all rows
    expected = np.sqrt(2 / rows * (1 - rows / D))
    for seed, scale in ((1, 0.01), (2, 5.0)):
        new = np.random.default_rng(seed).standard_normal((2000, D))
        new[:, : D // 2] *= scale
        ratio = uncertainty.leverages(new)[:, 0] / exact(features[:200], new)
        assert ratio.mean() == pytest.approx(1.0, abs=0.15)
        assert ratio.std() == pytest.approx(expected, rel=0.4)


def test_ninety_five_of_a_hundred_intervals_hold_the_true_score_and_the_rating() -> None:
    scores_held, ratings_held = [], []
    for seed in range(20):
        features, ratings, weights = planted(seed, n=200)
        uncertainty = uncertainty_of(features, ratings)
        rng = np.random.default_rng(1000 + seed)
        new = rng.standard_normal((200, D))
        true = new @ weights.T  # (n, 2)
        train = features[:100]
        head = np.linalg.solve(train.T @ train + NOISE**2 * D * np.eye(D), train.T @ ratings[:100])  # (d, 2)
        errors = uncertainty.standard_errors(uncertainty.leverages(new))  # (n, 2)
        scores_held.append(np.abs(new @ head - true) < 1.96 * errors)
        rated = true + NOISE * rng.standard_normal(true.shape)
        spread = np.sqrt(errors**2 + np.diagonal(uncertainty.covariance))
        ratings_held.append(np.abs(new @ head - rated) < 1.96 * spread)
    # The noise is measured as the error on validation rows, which holds the head's own error too: a little wide.
    assert 0.94 < np.mean(scores_held) < 0.995
    assert 0.93 < np.mean(ratings_held) < 0.995


def test_the_flag_is_calibrated_on_validation_rows_and_finds_what_is_unlike_them() -> None:
    features, ratings, _ = planted(2, n=6000)
    uncertainty = uncertainty_of(features, ratings, familiar_quantile=0.95)
    new = np.random.default_rng(3).standard_normal((4000, D))
    leverages = uncertainty.leverages(new)
    assert np.mean(uncertainty.unfamiliar(leverages)) == pytest.approx(0.05, abs=0.015)
    assert uncertainty.unfamiliar(uncertainty.leverages(3 * new)).mean() > 0.99
    places = uncertainty.places(leverages)[:, 0]
    assert places.mean() == pytest.approx(0.5, abs=0.03)
    assert np.mean(places > 0.9) == pytest.approx(0.1, abs=0.02)
    assert (uncertainty.places(uncertainty.leverages(9 * new)) == 1.0).all()


def test_rows_of_other_directions_are_flagged_far_more_often_than_held_out_rows() -> None:
    rng = np.random.default_rng(9)
    spectrum = np.geomspace(1.0, 0.05, D)
    features = rng.standard_normal((4000, D)) * spectrum
    ratings = features @ rng.standard_normal((D, 2))
    uncertainty = uncertainty_of(features, ratings)
    held_out = uncertainty.unfamiliar(uncertainty.leverages(rng.standard_normal((4000, D)) * spectrum)).mean()
    other = rng.standard_normal((4000, D)) * spectrum[rng.permutation(D)]  # as long, in other directions
    assert held_out < 0.02
    assert uncertainty.unfamiliar(uncertainty.leverages(other)).mean() > 30 * held_out


def test_a_response_is_familiar_where_any_rating_set_knows_it() -> None:
    rng = np.random.default_rng(4)
    one, two = rng.standard_normal((300, D)), rng.standard_normal((300, D))
    one[:, : D // 2] = 0.0
    two[:, D // 2 :] = 0.0
    statistics = GramStatistics(("a", "b"), D)
    held_out = np.full((200, 2), np.nan)
    for name, features, column in (("one", one, 0), ("two", two, 1)):
        targets = np.full((300, 2), np.nan)
        targets[:, column] = rng.random(300)
        statistics.add(name, "train", features[:200], targets[:200])
        statistics.add(name, "validation", features[200:], targets[200:])
        held_out[100 * column : 100 * column + 100, column] = targets[200:, column]
    factors = fit_heads(statistics, HeadSettings(alphas=(1.0,)), skip_unfit=False).factors
    assert factors is not None
    uncertainty = calibrate(factors, np.concatenate([one[200:], two[200:]]), held_out)
    leverages = uncertainty.leverages(two[:100])
    assert (leverages[:, 0] > uncertainty.thresholds[0]).all()  # unknown to the first set's ratings
    assert uncertainty.unfamiliar(leverages).mean() < 0.1
    assert uncertainty.covariance[0, 1] == 0.0  # no common row


def test_too_few_validation_rows_set_no_threshold() -> None:
    features, ratings, _ = planted(5)
    ratings[200 + 19 :, 0] = np.nan
    ratings[:200:2, 0] = np.nan  # so that it has a factor of its own
    uncertainty = uncertainty_of(features, ratings)
    assert uncertainty.thresholds[0] == NOT_KNOWN < uncertainty.thresholds[1]
    leverages = uncertainty.leverages(100.0 * features)
    assert np.isnan(uncertainty.places(leverages)[:, 0]).all()
    assert uncertainty.tells_familiar
    assert uncertainty.unfamiliar(leverages).all()  # by the other factor alone
    assert np.isnan(uncertainty.summary().thresholds[0] or 0.0)
    few = calibrate(fitted(features, ratings).factors, features[:19], ratings[:19])  # type: ignore[arg-type]
    assert not few.tells_familiar
    assert not few.unfamiliar(leverages).any()


def test_objectives_with_other_rows_or_penalties_have_factors_of_their_own() -> None:
    features, ratings, _ = planted(6)
    assert len(uncertainty_of(features, ratings).whitening) == 2  # with that of all rows
    ratings[:50, 1] = np.nan
    uncertainty = uncertainty_of(features, ratings)
    assert len(uncertainty.whitening) == 3
    assert uncertainty.factor_of.tolist() == [0, 1]


def test_a_large_penalty_does_not_make_every_response_familiar() -> None:
    """The leverages under the head's own factor are then the lengths of the features, and tell nothing."""
    features, ratings, _ = planted(8)
    features *= np.geomspace(3.0, 0.05, D)  # a falling spectrum, as real features have
    elsewhere = np.zeros((200, D))
    elsewhere[:, -5:] = np.random.default_rng(8).standard_normal((200, 5))  # where rated rows vary least
    elsewhere *= np.linalg.norm(features, axis=-1).mean() / np.linalg.norm(elsewhere, axis=-1, keepdims=True)
    uncertainty = uncertainty_of(features, ratings, alphas=(1e9,))
    leverages = uncertainty.leverages(elsewhere.astype(np.float32))
    assert uncertainty.unfamiliar(leverages).mean() > 0.9
    assert (leverages[:, 0] > uncertainty.thresholds[0]).mean() < 0.1
    assert uncertainty.unfamiliar(uncertainty.leverages(features)).mean() < 0.05


def test_it_comes_back_from_its_arrays_and_an_earlier_versions_arrays_are_named() -> None:
    features, ratings, _ = planted(7)
    uncertainty = uncertainty_of(features, ratings)
    arrays = uncertainty.arrays()
    again = Uncertainty.of_arrays(arrays)
    leverages = uncertainty.leverages(features)
    weights = np.ones((len(features), 2))
    assert leverages.tobytes() == again.leverages(features).tobytes()
    assert (
        again.combined_errors(leverages, weights).tobytes() == uncertainty.combined_errors(leverages, weights).tobytes()
    )
    assert (again.thresholds, again.quantile) == (uncertainty.thresholds, 0.99)
    earlier = {"factors": arrays["whitening"], "noise": np.ones(2)}
    with pytest.raises(OtherArraysError, match="there is no whitening"):
        Uncertainty.of_arrays(earlier)


def test_it_is_left_out_where_it_is_not_asked_for() -> None:
    features, ratings, _ = planted(8)
    assert fitted(features, ratings, uncertainty=False).factors is None
