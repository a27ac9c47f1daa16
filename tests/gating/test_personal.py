"""Weights from few pairs: the fit against independent ones, leaving out, the decision, and planted users."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression

from benchmarks.personalise import accuracy
from gating.logistic_posterior import fit, left_out_logits
from gating.personal import SURE, Mode, personalise, probability_better

MODES: tuple[Mode, ...] = ("add", "replace")


def problem(seed: int, n: int, k: int = 6) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Reward differences of pairs that a user chose, and a gate's weights for their prompts."""
    rng = np.random.default_rng(seed)
    gate = rng.dirichlet(np.full(k, 3.0), n)
    differences = rng.standard_normal((n, k)) * rng.uniform(0.1, 2.0, k)
    margins = differences @ rng.standard_normal(k)
    chosen = rng.random(n) < expit(2.0 * margins)
    return np.where(chosen, 1.0, -1.0)[:, None] * differences, gate


@pytest.mark.parametrize("scale", [0.05, 1.0, 30.0])
def test_the_mode_is_that_of_scipy_and_scikit_learn(scale: float) -> None:
    rows, _ = problem(1, 40)
    offset = np.random.default_rng(2).standard_normal(40)

    def loss(mode: NDArray[np.float64]) -> float:
        return float(np.logaddexp(0.0, -offset - scale * rows @ mode).sum() + mode @ mode / 2)

    found = fit(rows, np.stack([offset, np.zeros(40)]), np.array([scale, scale])).mode
    sought = minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-7}).x
    assert found[0] == pytest.approx(sought, rel=1e-4, abs=1e-5)
    turned = np.where(np.arange(40) % 2, 1.0, -1.0)
    other = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    other.fit(scale * rows * turned[:, None], turned)
    assert found[1] == pytest.approx(other.coef_[0], rel=1e-6, abs=1e-9)


def test_the_evidence_is_near_the_integral() -> None:
    rows, offset = np.array([[1.0], [-0.5], [2.0]]), np.array([0.3, -0.2, 0.1])

    def density(a: float) -> float:
        return float(np.prod(expit(offset + rows[:, 0] * a)) * np.exp(-a * a / 2) / np.sqrt(2 * np.pi))

    found = fit(rows, offset[None], np.array([1.0])).log_evidence[0]
    assert found == pytest.approx(np.log(quad(density, -12, 12)[0]), abs=0.05)  # Laplace is not exact


def test_the_standard_deviations_are_those_of_the_hessian() -> None:
    differences, gate = problem(3, 30)
    found = personalise(differences, gate, "replace")

    def loss(weights: NDArray[np.float64]) -> float:
        fitted = np.logaddexp(0.0, -differences @ weights / found.temperature).sum()
        return float(fitted + np.square((weights - found.gate) / found.prior_std).sum() / 2)

    step, eye = 1e-4, np.eye(6)
    hessian = [
        [
            sum(
                one * other * loss(found.weights + step * (one * eye[i] + other * eye[j])) / (4 * step**2)
                for one in (-1, 1)
                for other in (-1, 1)
            )
            for j in range(6)
        ]
        for i in range(6)
    ]
    assert found.std == pytest.approx(np.sqrt(np.diagonal(np.linalg.inv(hessian))), rel=1e-3)
    assert (found.std <= found.prior_std).all()


@pytest.mark.parametrize(("scale", "apart"), [(0.1, 2e-4), (1.0, 0.15)])
def test_leaving_out_by_one_step_is_near_fitting_again(scale: float, apart: float) -> None:
    rows, _ = problem(4, 80)
    offset = np.random.default_rng(5).standard_normal(80)
    all_rows = fit(rows, offset[None], np.array([scale]))
    near = left_out_logits(rows, offset, scale, all_rows)
    again = fit(rows, np.tile(offset, (80, 1)), np.full(80, scale), used=1.0 - np.eye(80))
    exact = offset + scale * (again.mode * rows).sum(axis=-1)
    assert near == pytest.approx(exact, abs=apart)
    assert ((near > 0) == (exact > 0)).all()
    assert np.abs(offset + scale * rows @ all_rows.mode[0] - exact).max() > 5 * np.abs(near - exact).max()


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 12), mode=st.sampled_from(MODES))
def test_a_pair_left_out_says_nothing_of_itself(seed: int, n: int, mode: Mode) -> None:
    differences, gate = problem(seed, n)
    turned = differences.copy()
    turned[0] *= -1.0
    one, other = personalise(differences, gate, mode), personalise(turned, gate, mode)
    assert one.left_out_right[0] != other.left_out_right[0]
    assert one.gate_right[0] != other.gate_right[0]


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.01, 100.0), mode=st.sampled_from(MODES))
def test_the_unit_of_an_objectives_reward_does_not_matter(seed: int, factor: float, mode: Mode) -> None:
    differences, gate = problem(seed, 15)
    unit = np.array([factor, 1.0, 1.0, 1.0, 1.0, 1.0])
    one, other = personalise(differences, gate, mode), personalise(differences * unit, gate / unit, mode)
    assert other.weights * unit == pytest.approx(one.weights, rel=1e-5, abs=1e-7)
    assert other.std * unit == pytest.approx(one.std, rel=1e-5)


@given(gained=st.integers(0, 60), lost=st.integers(0, 60))
def test_the_probability_is_that_of_a_fair_coin(gained: int, lost: int) -> None:
    probability = probability_better(gained, lost)
    assert probability == pytest.approx(1.0 - binom.cdf(lost, gained + lost + 1, 0.5), abs=1e-12)
    assert probability + probability_better(lost, gained) == pytest.approx(1.0)


def test_no_three_pairs_beat_the_gate_and_four_can() -> None:
    assert probability_better(3, 0) < SURE <= probability_better(4, 0)


def test_an_objective_equal_in_every_pair_keeps_the_gates_weight() -> None:
    differences, gate = problem(6, 20)
    differences[:, 2] = 0.0
    found = personalise(differences, gate, "replace")
    assert found.weights[2] == pytest.approx(found.gate[2], abs=1e-12)
    assert found.std[2] == pytest.approx(found.prior_std[2])


def test_pairs_without_any_difference_do_not_beat_the_gate() -> None:
    found = personalise(np.zeros((5, 3)), np.ones((5, 3)))
    assert (found.accuracy, found.gate_accuracy, found.better) == (0.0, 0.0, False)


@pytest.mark.parametrize("bad", [np.empty((0, 3)), np.full((4, 3), np.nan)])
def test_no_pairs_and_numbers_that_are_not_finite_are_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="at least one pair, and finite"):
        personalise(bad, np.ones_like(bad))


@pytest.mark.parametrize("own_part", [0.0, 1.5])
def test_five_pairs_do_no_harm(own_part: float) -> None:
    line = accuracy(own_part, 5, 25)
    assert line["gain"] >= -2.0 * line["gain_error"]
    assert line["add"] > line["unregularised"]


def test_many_pairs_of_a_user_unlike_the_gate_beat_it() -> None:
    line = accuracy(4.0, 200, 8)
    assert line["profiles"] >= 0.75
    assert line["offered"] > line["gate"] + 0.1
    assert line["offered"] > line["unregularised"]
