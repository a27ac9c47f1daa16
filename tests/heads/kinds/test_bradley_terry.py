"""The plain Bradley-Terry head: logistic regression without intercept on differences of features."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from heads.kinds.bradley_terry import BradleyTerryHead, select_c


def planted(seed: int, n: int, d: int, scale: float = 1.0) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Differences of features, each turned so that the chosen one is first, and the direction that chose."""
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal(d)
    direction /= np.linalg.norm(direction)
    differences = rng.standard_normal((n, d))
    right = rng.random(n) < 1 / (1 + np.exp(-3 * differences @ direction))
    return (np.where(right[:, None], differences, -differences) * scale).astype(np.float32), direction


def cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def unit(a: NDArray[np.floating]) -> NDArray[np.floating]:
    return a / np.linalg.norm(a)


def test_it_recovers_a_planted_direction() -> None:
    differences, direction = planted(0, n=20_000, d=8)
    head = BradleyTerryHead(C=10.0).fit(differences)
    assert cosine(head.coef_, direction) > 0.998
    np.testing.assert_allclose(head.coef_, 3 * direction, atol=0.15)


@pytest.mark.parametrize("C", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("scale", [0.01, 1.0, 50.0])
def test_it_equals_scikit_learn_on_the_antisymmetric_data(C: float, scale: float) -> None:
    differences, _ = planted(1, n=600, d=6, scale=scale)
    rms = np.sqrt(np.mean(differences.astype(np.float64) ** 2))
    doubled = np.concatenate([differences, -differences]) / rms  # each pair counts twice, so half of C
    labels = np.repeat([1, 0], len(differences))
    model = LogisticRegression(C=C / 2, fit_intercept=False, tol=1e-10, max_iter=2000).fit(doubled, labels)
    head = BradleyTerryHead(C).fit(differences)
    np.testing.assert_allclose(unit(head.coef_), unit(model.coef_[0]), atol=1e-3)
    assert np.linalg.norm(head.coef_) == pytest.approx(np.linalg.norm(model.coef_[0]) / rms, rel=2e-2)


def test_the_scale_of_the_features_changes_no_ranking() -> None:
    differences, _ = planted(2, n=500, d=5)
    small, large = BradleyTerryHead().fit(differences), BradleyTerryHead().fit(differences * np.float32(1024))
    np.testing.assert_allclose(small.coef_, large.coef_ * 1024, rtol=1e-3, atol=1e-4)


def test_the_order_of_the_pairs_changes_nothing_that_matters() -> None:
    differences, _ = planted(3, n=500, d=5)
    one, other = BradleyTerryHead().fit(differences), BradleyTerryHead().fit(differences[::-1])
    np.testing.assert_allclose(unit(one.coef_), unit(other.coef_), atol=2e-3)


def test_a_score_difference_is_the_score_of_the_difference() -> None:
    differences, _ = planted(4, n=200, d=5)
    head = BradleyTerryHead().fit(differences)
    chosen, rejected = np.random.default_rng(0).standard_normal((2, 7, 5))
    scores = head.decision_function(chosen) - head.decision_function(rejected)
    np.testing.assert_allclose(scores, head.decision_function(chosen - rejected), atol=1e-12)


def test_pairs_that_do_not_differ_leave_the_head_at_zero() -> None:
    assert BradleyTerryHead().fit(np.zeros((4, 3), dtype=np.float32)).coef_.tolist() == [0.0, 0.0, 0.0]


def test_c_is_selected_by_accuracy_on_validation_pairs() -> None:
    pairs, _ = planted(5, n=460, d=40)
    train, held_out = pairs[:60], pairs[60:]
    values = (10.0, 1e-4, 0.01, 1.0)
    heads = {C: BradleyTerryHead(C).fit(train) for C in values}
    accuracies = {C: float(np.mean(head.decision_function(held_out) > 0)) for C, head in heads.items()}
    assert len(set(accuracies.values())) > 1
    head, accuracy = select_c(train, held_out, values)
    assert accuracy == max(accuracies.values())
    assert min(C for C, value in accuracies.items() if value == accuracy) == head.C
    assert head.coef_.tobytes() == heads[head.C].coef_.tobytes()


def test_equally_good_values_give_way_to_the_smallest() -> None:
    train = np.ones((10, 1), dtype=np.float32)
    head, accuracy = select_c(train, train, (100.0, 1e-3, 1.0))
    assert (head.C, accuracy) == (1e-3, 1.0)


def test_a_tie_counts_as_wrong() -> None:
    train = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (10, 1))
    validation = np.array([[1.0, 0.0], [0.0, 5.0], [0.0, 0.0], [-1.0, 0.0]], dtype=np.float32)
    _, accuracy = select_c(train, validation, (1.0,))
    assert accuracy == 0.25


def test_it_follows_scikit_learns_conventions() -> None:
    head = BradleyTerryHead(C=0.5, max_iter=7)
    assert clone(head).get_params() == {"C": 0.5, "max_iter": 7, "level": None}
    with pytest.raises(NotFittedError):
        head.decision_function(np.zeros((1, 2)))
    assert head.fit(planted(7, n=50, d=2)[0]) is head


def test_differences_in_whole_numbers_are_fitted_like_their_floats() -> None:
    differences = [[1, 0], [0, 1], [1, 1], [0, 0], [0, 0], [0, 0]]
    whole, real = BradleyTerryHead().fit(differences), BradleyTerryHead().fit(np.asarray(differences, dtype=np.float64))
    np.testing.assert_allclose(whole.coef_, real.coef_)


def test_a_single_pair_is_enough() -> None:
    assert BradleyTerryHead().fit(np.array([[2.0, 0.0]])).coef_[0] > 0


def uneven(n: int) -> NDArray[np.int64]:
    """Whole weights, some of them 0."""
    return np.random.default_rng(9).integers(0, 4, n)


def level_of(seed: int, d: int, size: float) -> NDArray[np.float64]:
    """A symmetric matrix with no negative eigenvalue, one of them large."""
    rng = np.random.default_rng(seed)
    sums = rng.standard_normal((50, d)) + 5.0
    return size * sums.T @ sums / 50


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_a_whole_weight_is_so_many_pairs_of_the_kind(C: float) -> None:
    differences, _ = planted(1, n=600, d=6)
    weight = uneven(600)
    repeated = BradleyTerryHead(C).fit(np.repeat(differences, weight, axis=0)).coef_
    weighted = BradleyTerryHead(C).fit(differences, sample_weight=weight).coef_
    np.testing.assert_allclose(weighted, repeated, atol=1e-3 * np.abs(repeated).max())
    assert cosine(BradleyTerryHead(C).fit(differences).coef_, repeated) < 0.9999


def test_weights_are_scikit_learns() -> None:
    differences, _ = planted(1, n=600, d=6)
    weight = np.random.default_rng(3).uniform(0.1, 3.0, 600)
    rms = np.sqrt(weight @ np.square(differences, dtype=np.float64).sum(axis=-1) / (6 * weight.sum()))
    model = LogisticRegression(C=0.5, fit_intercept=False, tol=1e-10, max_iter=2000)
    model.fit(np.concatenate([differences, -differences]) / rms, np.repeat([1, 0], 600), np.tile(weight, 2))
    head = BradleyTerryHead(1.0).fit(differences, sample_weight=weight)
    np.testing.assert_allclose(head.coef_ * rms, model.coef_[0], rtol=5e-3, atol=1e-3)


@given(st.floats(0.01, 100))
@settings(max_examples=10)
def test_equal_weights_are_a_factor_of_c(weight: float) -> None:
    differences, _ = planted(2, n=300, d=5)
    one = BradleyTerryHead(0.1).fit(differences, sample_weight=np.full(300, weight)).coef_
    other = BradleyTerryHead(0.1 * weight).fit(differences).coef_
    np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(other).max())


@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("size", [1e-3, 1.0])
def test_with_a_level_the_gradient_by_autograd_is_zero_at_the_head(C: float, size: float) -> None:
    differences, _ = planted(3, n=400, d=8)
    weight, level = np.random.default_rng(3).uniform(0.1, 3.0, 400), level_of(4, 8, size)
    head = BradleyTerryHead(C, level=level).fit(differences, sample_weight=weight)
    rms = np.sqrt(weight @ np.square(differences, dtype=np.float64).sum(axis=-1) / (8 * weight.sum()))

    def gradient(at: NDArray[np.float64]) -> NDArray[np.float64]:
        w = torch.tensor(at, requires_grad=True)
        margins = torch.from_numpy(differences).double() @ w
        each = torch.nn.functional.softplus(-margins) + w @ torch.from_numpy(level) @ w
        loss = 0.5 * rms**2 * w @ w + C * (torch.from_numpy(weight) * each).sum()
        (found,) = torch.autograd.grad(loss, w)
        return found.numpy()

    assert np.linalg.norm(gradient(head.coef_)) < 2e-3 * np.linalg.norm(gradient(np.zeros(8)))
    plain = BradleyTerryHead(C).fit(differences, sample_weight=weight)
    assert head.coef_ @ level @ head.coef_ < plain.coef_ @ level @ plain.coef_


def test_a_level_of_zeros_changes_nothing_but_rounding() -> None:
    differences, _ = planted(4, n=300, d=5)
    one, other = (BradleyTerryHead(level=level).fit(differences).coef_ for level in (None, np.zeros((5, 5))))
    np.testing.assert_allclose(other, one, rtol=1e-6)


@pytest.mark.parametrize("bad", [[1.0, -1.0], [np.nan, 1.0], [np.inf, 1.0], [0.0, 0.0], [1.0], [[1.0, 1.0]]])
def test_weights_that_are_none_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="sample_weight"):
        BradleyTerryHead().fit(np.eye(2), sample_weight=bad)
