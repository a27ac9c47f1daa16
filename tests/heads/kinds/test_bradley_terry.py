"""The plain Bradley-Terry head: logistic regression without intercept on differences of features."""

import numpy as np
import pytest
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
    assert clone(head).get_params() == {"C": 0.5, "max_iter": 7}
    with pytest.raises(NotFittedError):
        head.decision_function(np.zeros((1, 2)))
    assert head.fit(planted(7, n=50, d=2)[0]) is head


def test_differences_in_whole_numbers_are_fitted_like_their_floats() -> None:
    differences = [[1, 0], [0, 1], [1, 1], [0, 0], [0, 0], [0, 0]]
    whole, real = BradleyTerryHead().fit(differences), BradleyTerryHead().fit(np.asarray(differences, dtype=np.float64))
    np.testing.assert_allclose(whole.coef_, real.coef_)


def test_a_single_pair_is_enough() -> None:
    assert BradleyTerryHead().fit(np.array([[2.0, 0.0]])).coef_[0] > 0
