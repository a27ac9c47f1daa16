"""Standard errors that cover, leverage by hand, and a flag for responses unlike the rated ones."""

import numpy as np
import pytest
from numpy.typing import NDArray

from heads.ridge.selection import FittedHeads, fit_heads
from heads.ridge.statistics import GramStatistics
from heads.ridge.uncertainty import Uncertainty
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
    statistics = GramStatistics(("a", "b"), features.shape[1])
    cut = len(features) // 2
    statistics.add("set", "train", features[:cut], ratings[:cut])
    statistics.add("set", "validation", features[cut:], ratings[cut:])
    chosen = HeadSettings(alphas=(NOISE**2 * D,)).model_copy(update=settings)
    return fit_heads(statistics, chosen, skip_unfit=False)


def of(heads: FittedHeads) -> Uncertainty:
    assert heads.uncertainty is not None
    return heads.uncertainty


def test_leverage_is_that_of_the_training_rows_by_hand() -> None:
    features, ratings, _ = planted(0)
    train = features[:200]
    inverse = np.linalg.inv(train.T @ train + NOISE**2 * D * np.eye(D))
    new = np.random.default_rng(1).standard_normal((1500, D)) * 3
    expected = np.einsum("nd,de,ne->n", new, inverse, new)
    np.testing.assert_allclose(of(fitted(features, ratings)).leverages(new)[:, 0], expected, rtol=1e-4)


def test_ninety_five_of_a_hundred_intervals_hold_the_true_score_and_the_rating() -> None:
    scores_held, ratings_held = [], []
    for seed in range(20):
        features, ratings, weights = planted(seed, n=200)
        heads = fitted(features, ratings)
        uncertainty = of(heads)
        rng = np.random.default_rng(1000 + seed)
        new = rng.standard_normal((200, D))
        true = new @ weights.T  # (n, 2)
        train = features[:100]
        head = np.linalg.solve(train.T @ train + NOISE**2 * D * np.eye(D), train.T @ ratings[:100])  # (d, 2)
        leverages = uncertainty.leverages(new)
        errors = uncertainty.standard_errors(leverages)  # (n, 2)
        scores_held.append(np.abs(new @ head - true) < 1.96 * errors)
        rated = true + NOISE * rng.standard_normal(true.shape)
        spread = np.sqrt(errors**2 + uncertainty.noise)
        ratings_held.append(np.abs(new @ head - rated) < 1.96 * spread)
    # The noise is measured as the error on validation rows, which holds the head's own error too: a little wide.
    assert 0.94 < np.mean(scores_held) < 0.995
    assert 0.93 < np.mean(ratings_held) < 0.995


def test_the_flag_is_calibrated_on_validation_rows_and_finds_what_is_unlike_them() -> None:
    features, ratings, _ = planted(2, n=6000)
    uncertainty = of(fitted(features, ratings, familiar_quantile=0.95))
    assert np.isinf(uncertainty.thresholds).all()
    assert not uncertainty.unfamiliar(uncertainty.leverages(100 * features)).any()  # not calibrated yet
    uncertainty.set_thresholds(features[3000:], np.ones((3000, 2), dtype=bool))
    new = np.random.default_rng(3).standard_normal((4000, D))
    assert np.mean(uncertainty.unfamiliar(uncertainty.leverages(new))) == pytest.approx(0.05, abs=0.015)
    assert uncertainty.unfamiliar(uncertainty.leverages(3 * new)).mean() > 0.99


def test_a_response_is_familiar_where_any_rating_set_knows_it() -> None:
    rng = np.random.default_rng(4)
    one, two = rng.standard_normal((300, D)), rng.standard_normal((300, D))
    one[:, : D // 2] = 0.0
    two[:, D // 2 :] = 0.0
    statistics = GramStatistics(("a", "b"), D)
    for name, features, column in (("one", one, 0), ("two", two, 1)):
        targets = np.full((300, 2), np.nan)
        targets[:, column] = rng.random(300)
        statistics.add(name, "train", features[:200], targets[:200])
        statistics.add(name, "validation", features[200:], targets[200:])
    uncertainty = of(fit_heads(statistics, HeadSettings(alphas=(1.0,)), skip_unfit=False))
    rated = np.zeros((200, 2), dtype=bool)
    rated[:100, 0] = rated[100:, 1] = True
    uncertainty.set_thresholds(np.concatenate([one[200:], two[200:]]), rated)
    leverages = uncertainty.leverages(two[:100])
    assert (leverages[:, 0] > uncertainty.thresholds[0]).all()  # unknown to the first set's ratings
    assert uncertainty.unfamiliar(leverages).mean() < 0.1


def test_too_few_validation_rows_set_no_threshold() -> None:
    features, ratings, _ = planted(5)
    uncertainty = of(fitted(features, ratings))
    uncertainty.set_thresholds(features[:19], np.ones((19, 2), dtype=bool))
    assert np.isinf(uncertainty.thresholds).all()


def test_objectives_with_other_rows_or_penalties_have_factors_of_their_own() -> None:
    features, ratings, _ = planted(6)
    assert len(of(fitted(features, ratings)).factors) == 1
    ratings[:50, 1] = np.nan
    uncertainty = of(fitted(features, ratings))
    assert len(uncertainty.factors) == 2
    assert uncertainty.factor_of.tolist() == [0, 1]


def test_it_comes_back_from_its_arrays() -> None:
    features, ratings, _ = planted(7)
    uncertainty = of(fitted(features, ratings))
    uncertainty.set_thresholds(features[200:], np.ones((200, 2), dtype=bool))
    again = Uncertainty.of_arrays(uncertainty.arrays())
    leverages = uncertainty.leverages(features)
    assert leverages.tobytes() == again.leverages(features).tobytes()
    assert again.standard_errors(leverages).tobytes() == uncertainty.standard_errors(leverages).tobytes()
    assert (again.thresholds, again.quantile) == (uncertainty.thresholds, 0.99)


def test_it_is_left_out_where_it_is_not_asked_for() -> None:
    features, ratings, _ = planted(8)
    assert fitted(features, ratings, uncertainty=False).uncertainty is None
