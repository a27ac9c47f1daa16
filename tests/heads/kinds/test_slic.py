"""The pairwise hinge head: a linear support vector machine without intercept on differences of features."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.svm import LinearSVC

from heads.kinds.bradley_terry import select_c
from heads.kinds.slic import SlicHead
from tests.heads.kinds.test_bradley_terry import cosine, planted, uneven


def hinge_objective(weights: NDArray[np.float64], differences: NDArray[np.float64], C: float) -> float:
    return 0.5 * float(weights @ weights) + C * float(np.maximum(0.0, 1.0 - differences @ weights).sum())


def test_it_recovers_a_planted_direction() -> None:
    differences, direction = planted(0, n=20_000, d=8)
    assert cosine(SlicHead(C=1.0).fit(differences).coef_, direction) > 0.995


@pytest.mark.parametrize("C", [1e-3, 0.1, 1.0])
@pytest.mark.parametrize("largest", [1.0, 100.0])
def test_it_minimises_what_scikit_learns_support_vector_machine_does(C: float, largest: float) -> None:
    differences, _ = planted(1, n=800, d=12)
    differences = differences * np.logspace(0, -np.log10(largest), 12, dtype=np.float32)
    rms = float(np.sqrt(np.mean(differences.astype(np.float64) ** 2)))
    scaled = differences.astype(np.float64) / rms
    sign = np.where(np.arange(len(scaled)) % 2 == 0, 1, -1)
    machine = LinearSVC(C=C, loss="hinge", fit_intercept=False, tol=1e-8, max_iter=1_000_000)
    machine.fit(scaled * sign[:, None], sign)
    ours = SlicHead(C).fit(differences).coef_ * rms
    best = hinge_objective(machine.coef_[0], scaled, C)
    assert hinge_objective(ours, scaled, C) <= best * (1 + 1e-3)
    np.testing.assert_allclose(ours, machine.coef_[0], atol=0.02 * np.abs(machine.coef_).max())


def test_the_scale_of_the_features_changes_no_ranking() -> None:
    differences, _ = planted(2, n=500, d=5)
    small, large = SlicHead().fit(differences), SlicHead().fit(differences * np.float32(1024))
    np.testing.assert_allclose(small.coef_, large.coef_ * 1024, rtol=1e-3, atol=1e-4)


def test_pairs_beyond_the_margin_do_not_pull() -> None:
    differences, _ = planted(3, n=400, d=4)
    head = SlicHead(C=1.0).fit(differences)
    far = differences[head.decision_function(differences) > 2.0]
    more = SlicHead(C=1.0).fit(np.concatenate([differences, far, far]))
    rms = [np.sqrt(np.mean(np.square(array))) for array in (differences, np.concatenate([differences, far, far]))]
    again = SlicHead(C=(rms[1] / rms[0]) ** 2).fit(np.concatenate([differences, far, far]))
    assert len(far) > 50
    assert cosine(more.coef_, head.coef_) > 0.99
    np.testing.assert_allclose(again.coef_, head.coef_, rtol=0.03, atol=0.01 * np.abs(head.coef_).max())


def test_c_is_selected_as_the_plain_heads_is() -> None:
    pairs, _ = planted(5, n=460, d=40)
    head, accuracy = select_c(pairs[:60], pairs[60:], (10.0, 1e-4, 0.01), SlicHead)
    tried = [float(np.mean(SlicHead(c).fit(pairs[:60]).decision_function(pairs[60:]) > 0)) for c in (10.0, 1e-4, 0.01)]
    assert isinstance(head, SlicHead)
    assert accuracy == max(tried)


def test_one_pair_and_pairs_that_do_not_differ_are_fitted() -> None:
    assert SlicHead().fit(np.array([[2.0, 0.0]], dtype=np.float32)).decision_function([[1.0, 0.0]])[0] > 0
    assert np.abs(SlicHead().fit(np.zeros((4, 3), dtype=np.float32)).coef_).max() == 0


def test_a_whole_weight_is_so_many_pairs_of_the_kind() -> None:
    differences, _ = planted(3, n=400, d=4)
    weight = uneven(400)
    weighted = SlicHead(0.1).fit(differences, sample_weight=weight).coef_
    repeated = SlicHead(0.1).fit(np.repeat(differences, weight, axis=0)).coef_
    np.testing.assert_allclose(weighted, repeated, atol=0.01 * np.abs(repeated).max())
    assert np.abs(SlicHead(0.1).fit(differences).coef_ - repeated).max() > 0.03 * np.abs(repeated).max()


@pytest.mark.parametrize("bad", [np.array([[np.nan, 1.0]]), np.zeros((0, 3)), np.zeros(4)])
def test_bad_differences_are_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match=r"NaN|minimum of 1|2D array"):
        SlicHead().fit(bad)


def test_it_is_an_estimator() -> None:
    head = clone(SlicHead(C=3.0, max_iter=7))
    assert head.get_params() == {"C": 3.0, "max_iter": 7}
    with pytest.raises(NotFittedError):
        head.decision_function(np.ones((1, 2)))


def test_a_fit_that_runs_out_of_steps_says_so(caplog: pytest.LogCaptureFixture) -> None:
    SlicHead(C=100.0, max_iter=1).fit(planted(6, n=300, d=30)[0])
    assert "stopped after 1 steps" in caplog.text
