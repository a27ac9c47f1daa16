"""One matrix, many penalties: every way to solve against a solution in float64."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import heads.ridge.path
from heads.ridge.cholesky import Factor
from heads.ridge.path import EIGEN_WIDTH, alpha_path
from heads.ridge.reduced_basis import TOLERANCE, reduced_basis_path

ALPHAS = 10.0 ** np.arange(-3, 7)


def system(decay: float, n: int, d: int = 300, c: int = 3, seed: int = 0) -> tuple[NDArray[np.float64], ...]:
    """X' x and x' y of features whose standard deviations fall off as a power, with an outlier column."""
    rng = np.random.default_rng(seed)
    mixture, _ = np.linalg.qr(rng.standard_normal((d, d)))
    x = rng.standard_normal((n, d)) * np.arange(1, d + 1) ** -decay @ mixture
    x[:, 3] += 20.0
    y = x @ rng.standard_normal((d, c)) / np.sqrt(d) + rng.standard_normal((n, c))
    return x.T @ x, x.T @ y


def exact(xx: NDArray[np.float64], xy: NDArray[np.float64], alphas: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.linalg.solve(xx + alpha * np.eye(len(xx)), xy).T for alpha in alphas])


def error(path: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    return float((np.linalg.norm(path - expected, axis=-1) / np.linalg.norm(expected, axis=-1)).max())


@pytest.mark.parametrize("decay", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("n", [310, 400, 3000])
@pytest.mark.parametrize("c", [1, 4])
def test_the_reduced_basis_is_within_its_tolerance_of_the_solution_for_every_penalty(
    decay: float, n: int, c: int
) -> None:
    xx, xy = system(decay, n, c=c)
    assert error(reduced_basis_path(xx, xy, ALPHAS), exact(xx, xy, ALPHAS)) < TOLERANCE


def test_the_reduced_basis_needs_fewer_factors_than_there_are_penalties(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    plain = Factor.of

    def counted(xx: NDArray[np.float64], alpha: float, *memory: Any) -> Factor | None:
        made.append(alpha)
        return plain(xx, alpha, *memory)

    monkeypatch.setattr(Factor, "of", counted)
    for decay in (0.0, 0.25, 0.5):
        made.clear()
        xx, xy = system(decay, 600, d=500)
        reduced_basis_path(xx, xy, ALPHAS)
        assert len(made) <= 3


@pytest.mark.parametrize("alphas", [ALPHAS, ALPHAS[:2], ALPHAS[4:5]])
@pytest.mark.parametrize("c", [2, 9])
@pytest.mark.parametrize("eigen_width", [EIGEN_WIDTH, 10])
def test_every_way_gives_the_solution(
    alphas: NDArray[np.float64], c: int, eigen_width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads.ridge.path, "EIGEN_WIDTH", eigen_width)
    xx, xy = system(0.5, 800, c=c)
    assert error(alpha_path(xx, xy, alphas), exact(xx, xy, alphas)) < TOLERANCE
    memory = np.full(xx.shape, np.nan, dtype=np.float32, order="F")
    np.testing.assert_array_equal(alpha_path(xx, xy, alphas, memory), alpha_path(xx, xy, alphas))


@pytest.mark.parametrize("eigen_width", [EIGEN_WIDTH, 10])
@pytest.mark.parametrize("count", [1, 5])
def test_a_penalty_too_small_for_a_singular_matrix_gives_nan_and_harms_no_other(
    eigen_width: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads.ridge.path, "EIGEN_WIDTH", eigen_width)
    x = np.random.default_rng(1).standard_normal((20, 300))
    alphas = np.array([0.0, *10.0 ** np.arange(count - 1)])
    xy = x.T @ np.random.default_rng(2).standard_normal((20, 2))
    path = alpha_path(x.T @ x, xy, alphas)
    assert np.isnan(path[0]).all()
    if count > 1:
        assert error(path[1:], exact(x.T @ x, xy, alphas[1:])) < TOLERANCE


@pytest.mark.parametrize("eigen_width", [EIGEN_WIDTH, 10])
def test_where_lapack_does_not_converge_each_alpha_is_solved_by_itself(
    eigen_width: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def diverging(*_: object) -> None:
        raise np.linalg.LinAlgError("Eigenvalues did not converge")

    monkeypatch.setattr(heads.ridge.path, "EIGEN_WIDTH", eigen_width)
    monkeypatch.setattr(np.linalg, "eigh", diverging)
    xx, xy = system(0.5, 800)
    assert error(alpha_path(xx, xy, ALPHAS), exact(xx, xy, ALPHAS)) < 1e-9
    assert "did not converge" in caplog.text


def test_columns_of_very_different_size_are_solved_to_the_same_precision() -> None:
    xx, xy = system(0.0, 900)
    size = np.geomspace(1e-2, 1e2, len(xx))
    scaled, right = xx * np.outer(size, size), xy * size[:, None]
    assert error(reduced_basis_path(scaled, right, ALPHAS), exact(scaled, right, ALPHAS)) < TOLERANCE


def test_a_float32_factor_gives_a_float64_solution() -> None:
    xx, xy = system(0.5, 900)
    factor = Factor.of(xx, 1.0)
    assert factor is not None
    assert factor.lower.dtype == np.float32
    assert error(factor.solve(xy).T, exact(xx, xy, np.array([1.0]))[0]) < 1e-9


def test_where_float32_does_not_do_the_factor_is_made_in_float64() -> None:
    xx, xy = system(2.0, 2000, d=200)
    assert np.linalg.cond(xx + 1e-5 * np.eye(200)) > 1e9
    factor = Factor.of(xx, 1e-5)
    assert factor is not None
    assert error(factor.solve(xy).T, exact(xx, xy, np.array([1e-5]))[0]) < 1e-4
    assert factor.lower.dtype == np.float64


def test_trace_and_condition_are_estimated_well() -> None:
    xx, _ = system(0.5, 900)
    for alpha in (0.1, 100.0, 1e5):
        factor = Factor.of(xx, alpha)
        assert factor is not None
        inverse = np.linalg.inv(xx + alpha * np.eye(len(xx)))
        trace, standard_error = factor.trace_of_inverse()
        assert abs(trace - np.trace(inverse)) < 4 * standard_error + 1e-6 * np.trace(inverse)
        assert standard_error < 0.1 * np.trace(inverse)
        assert factor.condition() == pytest.approx(np.linalg.cond(xx + alpha * np.eye(len(xx)), 1), rel=0.5)
