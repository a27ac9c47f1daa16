"""Standard errors of rewards, scores and margins agree with how refits of planted data spread around the truth."""

import numpy as np
import pytest
from numpy.typing import NDArray

from gating.measured import Measured
from heads.ridge.error_covariance import residual_correlation, shared_rows
from heads.ridge.familiarity import calibrate
from heads.ridge.selection import fit_heads
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import LEARNED
from heads.ridge.uncertainty import Uncertainty
from heads.settings import HeadSettings
from tests.gating.transforms import transform_of

NAMES = ("a", "b", "c", "d")
D, ROWS, REFITS, NEW = 24, 1200, 200, 40
NOISE = np.array([0.5, 0.8, 0.6, 0.4])
CORRELATION = np.array([[1.0, 0.8, -0.5, 0.6], [0.8, 1.0, -0.3, 0.5], [-0.5, -0.3, 1.0, 0.2], [0.6, 0.5, 0.2, 1.0]])
S = np.outer(NOISE, NOISE) * CORRELATION
ALPHA = 4.0
"""Divided by the weights below: the effective penalties of a, b, c are 4, and that of d is 40."""
SETTINGS = HeadSettings(alphas=(ALPHA,), objective_weights={"d": 0.1})
PENALTIES = np.array([ALPHA, ALPHA, ALPHA, ALPHA / 0.1])
WEIGHTS = np.array([0.5, 0.3, 0.15, 0.05])
VERBOSITY = transform_of(np.array([0.3, 0.2, 0.0, 0.1]), "c", NAMES)


@pytest.fixture(scope="module")
def rows() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Training and validation features (rows, d) with a falling spectrum, and new ones (n, d)."""
    rng = np.random.default_rng(0)
    spectrum = np.linspace(1.0, 0.2, D)
    return rng.standard_normal((2 * ROWS, D)) * spectrum, rng.standard_normal((NEW, D)) * spectrum


def ratings(features: NDArray[np.float64], rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (k, d) from the prior that the penalties stand for, and ratings (n, k) with correlated noise."""
    prior = S / np.sqrt(np.outer(PENALTIES, PENALTIES))
    weights = (rng.standard_normal((D, 4)) @ np.linalg.cholesky(prior).T).T  # (k, d)
    noise = rng.standard_normal((len(features), 4)) @ np.linalg.cholesky(S).T  # (n, k)
    return weights, features @ weights.T + noise


def hidden(targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ratings without those of c in a third of the rows: it shares rows with the others, and not all."""
    targets = targets.copy()
    targets[::3, 2] = np.nan
    return targets


@pytest.fixture(scope="module")
def uncertainty(rows: tuple[NDArray[np.float64], NDArray[np.float64]]) -> Uncertainty:
    features, _ = rows
    _, targets = ratings(features, np.random.default_rng(1))
    targets = hidden(targets)
    statistics = GramStatistics(NAMES, D)
    for split, part in (("train", slice(ROWS)), ("validation", slice(ROWS, None))):
        statistics.add("set", split, features[part], targets[part])
    factors = fit_heads(statistics, SETTINGS, skip_unfit=False).factors
    assert factors is not None
    return calibrate(factors, features[ROWS:], targets[ROWS:])


@pytest.fixture(scope="module")
def errors(rows: tuple[NDArray[np.float64], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Errors of the rewards of refits with new weights and noise each time: (refits, new rows, k)."""
    features, new = rows
    train = features[:ROWS]
    rng = np.random.default_rng(2)
    found = np.empty((REFITS, NEW, 4))
    keep = [np.arange(ROWS)] * 4
    keep[2] = np.flatnonzero(np.arange(ROWS) % 3 != 0)
    grams = [train[own].T @ train[own] + alpha * np.eye(D) for own, alpha in zip(keep, PENALTIES, strict=True)]
    for number in range(REFITS):
        weights, targets = ratings(train, rng)
        for k, (gram, own) in enumerate(zip(grams, keep, strict=True)):
            head = np.linalg.solve(gram, train[own].T @ targets[own, k])
            found[number, :, k] = new @ (head - weights[k])
    return found


def spread(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square over refits: (refits, n, ...) -> (n, ...)."""
    found: NDArray[np.float64] = np.sqrt(np.square(errors).mean(axis=0))
    return found


def test_each_objectives_standard_error_is_the_spread_of_its_refits(
    uncertainty: Uncertainty, rows: tuple[NDArray[np.float64], NDArray[np.float64]], errors: NDArray[np.float64]
) -> None:
    assert len(uncertainty.whitening) == 4  # a and b; c with fewer rows; d with another penalty; all rows
    said = uncertainty.standard_errors(uncertainty.leverages(rows[1]))  # (n, k)
    ratio = said / spread(errors)
    np.testing.assert_allclose(ratio.mean(axis=0), 1.0, atol=0.1)
    assert ratio.std(axis=0).max() < 0.1  # of 200 draws: 0.05 expected


def test_the_scores_standard_error_holds_the_covariance_of_objectives(
    uncertainty: Uncertainty, rows: tuple[NDArray[np.float64], NDArray[np.float64]], errors: NDArray[np.float64]
) -> None:
    leverages, unmeasured = uncertainty.leverages(rows[1]), Measured(np.zeros(REFITS * NEW, int))
    for weights in (WEIGHTS, np.array([1.0, -1.0, 0.0, 0.0]), np.array([0.5, 0.0, 0.0, 0.5]), WEIGHTS[::-1]):
        coefficients = VERBOSITY.coefficients(np.tile(weights, (NEW, 1)))  # (n, k)
        truth = spread(np.einsum("rnk,nk->rn", VERBOSITY.apply(errors.reshape(-1, 4), unmeasured)
                                 .reshape(errors.shape), np.tile(weights, (NEW, 1))))  # fmt: skip
        ratio = uncertainty.combined_errors(leverages, coefficients) / truth
        assert ratio.mean() == pytest.approx(1.0, abs=0.1)
    # A sum of independent errors would not do.
    coefficients = np.tile(np.array([1.0, -1.0, 0.0, 0.0]), (NEW, 1))
    alone = np.sqrt((np.square(uncertainty.standard_errors(leverages)) * np.square(coefficients)).sum(axis=-1))
    assert np.mean(alone / spread(errors @ coefficients[0])) > 1.4


def test_a_margins_standard_error_lets_common_errors_cancel(
    uncertainty: Uncertainty, rows: tuple[NDArray[np.float64], NDArray[np.float64]], errors: NDArray[np.float64]
) -> None:
    new = rows[1]
    leverages = uncertainty.margin_leverages(new[:-1], new[1:])
    coefficients = VERBOSITY.coefficients(np.tile(WEIGHTS, (NEW - 1, 1)))
    said = uncertainty.combined_errors(leverages, coefficients)
    truth = spread((errors[:, :-1] - errors[:, 1:]) @ coefficients[0])
    assert np.mean(said / truth) == pytest.approx(1.0, abs=0.1)
    every = uncertainty.pairwise_leverages(new)[np.arange(NEW - 1), np.arange(1, NEW)]
    np.testing.assert_allclose(uncertainty.combined_errors(every, coefficients), said, rtol=1e-3)


def test_the_scores_standard_error_is_that_of_draws_from_the_posterior(
    uncertainty: Uncertainty, rows: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> None:
    features, new = rows
    rng = np.random.default_rng(3)
    gram = features[:ROWS].T @ features[:ROWS] + ALPHA * np.eye(D)
    root = np.linalg.cholesky(np.linalg.inv(gram))
    pair = np.linalg.cholesky(uncertainty.covariance[:2, :2])
    drawn = np.einsum("de,rek,jk->rdj", root, rng.standard_normal((4000, D, 2)), pair)  # (draws, d, 2)
    coefficients = np.array([0.6, 0.4, 0.0, 0.0])
    truth = (np.einsum("nd,rdk->rnk", new, drawn) @ coefficients[:2]).std(axis=0)
    said = uncertainty.combined_errors(uncertainty.leverages(new), np.tile(coefficients, (NEW, 1)))
    np.testing.assert_allclose(said, truth, rtol=0.05)


def test_the_share_of_common_rows_counts_rows_and_weights() -> None:
    statistics = GramStatistics(("a", "b"), 2)
    ones = np.ones((90, 2))
    statistics.add("one", "train", ones[:40], np.ones((40, 2)))
    statistics.add("two", "train", ones, np.column_stack([np.ones(90), np.full(90, np.nan)]))
    expected = 40 / np.sqrt(130 * 40)
    np.testing.assert_allclose(shared_rows(statistics, [0, 1], LEARNED), [[1.0, expected], [expected, 1.0]])


def test_correlations_seen_on_different_rows_become_a_valid_matrix() -> None:
    rng = np.random.default_rng(4)
    residuals = np.full((300, 3), np.nan)
    for part, (i, j, sign) in enumerate(((0, 1, 1.0), (1, 2, 1.0), (0, 2, -1.0))):  # no three variables do this
        values = rng.standard_normal(100)
        rows = slice(100 * part, 100 * part + 100)
        residuals[rows, i], residuals[rows, j] = values, sign * values
    found = residual_correlation(residuals)
    assert np.linalg.eigvalsh(found)[0] >= -1e-12
    np.testing.assert_allclose(np.diagonal(found), 1.0)
    assert found[0, 1] == pytest.approx(0.5)
    assert found[0, 2] == pytest.approx(-0.5)
    assert residual_correlation(residuals[90:110])[0, 1] == 0.0  # ten common rows tell nothing
