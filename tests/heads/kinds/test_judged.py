"""Distributions beside the ridge's: better where the noise depends on the response, no better where it does not."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from heads.distributions import Distributions
from heads.kinds.judged import RIDGE_GAUSSIAN, RIDGE_RESIDUALS, judged, ridge_distributions
from heads.kinds.kind import Division
from heads.kinds.registry import RATINGS
from heads.objectives import Objective
from heads.results import DistributionMetrics
from heads.settings import OtherHeadSettings

SCALE = Objective(name="clear", low=0, high=1, rule="linear")
SETTINGS = OtherHeadSettings()
TRAIN, CHOSEN, ROWS = 3000, 4000, 6000


def planted(noise: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Features off the origin, and targets around a planted score."""
    rng = np.random.default_rng(0)
    features = (rng.standard_normal((ROWS, 12)) * np.geomspace(1.0, 0.2, 12) + 0.5).astype(np.float32)
    latent = (features - 0.5) @ rng.standard_normal(12) * 0.1 + 0.5
    drawn = rng.standard_normal(ROWS)
    if noise == "heteroscedastic":
        drawn *= np.exp(0.8 * (features[:, 0] - 0.5))
    if noise == "skew":  # the sign of the skew depends on the response
        drawn = (rng.exponential(size=ROWS) - 1.0) * np.where(features[:, 0] > 0.5, 2.0, -0.5)
    return features, latent + 0.1 * drawn


def metrics_of(noise: str) -> dict[str, DistributionMetrics]:
    features, targets = planted(noise)
    division, found = Division(TRAIN, CHOSEN), {}
    for name in ("quantile", "gaussian"):
        kind: Any = RATINGS[name]
        prepared = kind.prepare(features, TRAIN, SETTINGS.of(name))
        fit = kind.fit(prepared, targets, division, SCALE, SETTINGS.of(name))
        found[name] = fit.distribution.take(np.arange(CHOSEN - TRAIN, ROWS - TRAIN))
    wide = np.column_stack([features, np.ones(ROWS)]).astype(np.float64)
    weight = np.linalg.lstsq(wide[:TRAIN], targets[:TRAIN], rcond=None)[0]
    predicted = wide @ weight
    found |= ridge_distributions(predicted[CHOSEN:], (targets - predicted)[TRAIN:CHOSEN])
    return judged(found, targets[CHOSEN:], np.arange(ROWS - CHOSEN))


@pytest.mark.parametrize(("noise", "better"), [("heteroscedastic", ("quantile", "gaussian")), ("skew", ("quantile",))])
def test_kinds_beat_the_ridge_where_the_noise_depends_on_the_response(noise: str, better: tuple[str, ...]) -> None:
    found = metrics_of(noise)
    for name in better:
        assert found[name].crps < 0.97 * found[RIDGE_RESIDUALS].crps
        assert found[name].crps_less_ridge < -3 * (found[name].crps_less_ridge_error or np.nan)
        assert abs(found[name].covered - 0.9) < 0.05
        assert max(found[name].pit) < 0.15


def test_no_kind_beats_the_ridge_where_all_noise_is_alike() -> None:
    found = metrics_of("gaussian")
    for name in ("quantile", "gaussian", RIDGE_GAUSSIAN):
        assert found[name].crps > 0.995 * found[RIDGE_RESIDUALS].crps
        assert abs(found[name].covered - 0.9) < 0.03
        np.testing.assert_allclose(found[name].pit, 0.1, atol=0.03)


def test_the_error_of_a_difference_counts_prompts_and_not_rows() -> None:
    rng = np.random.default_rng(0)
    observed = rng.standard_normal(400)
    ridge = Distributions.normal(np.zeros(400), np.ones(400))
    found = {RIDGE_RESIDUALS: ridge, "other": Distributions.normal(0.1 * observed, np.ones(400))}
    alone = judged(found, observed, np.arange(400))["other"]
    twice = {name: each.take(np.repeat(np.arange(400), 2)) for name, each in found.items()}
    doubled = judged(twice, np.repeat(observed, 2), np.repeat(np.arange(400), 2))["other"]
    differences = found["other"].crps(observed) - ridge.crps(observed)
    assert alone.crps_less_ridge_error == pytest.approx(differences.std(ddof=1) / 20.0)
    assert doubled.crps_less_ridge_error == pytest.approx(alone.crps_less_ridge_error)
    assert judged(found, observed, np.zeros(400, dtype=np.int64))["other"].crps_less_ridge_error is None


def test_few_calibration_rows_give_the_ridge_no_distribution() -> None:
    assert ridge_distributions(np.zeros(3), np.zeros(9)) == {}
    assert set(ridge_distributions(np.zeros(3), np.arange(10.0))) == {RIDGE_GAUSSIAN, RIDGE_RESIDUALS}
