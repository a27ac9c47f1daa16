"""The two-layer head: what one linear score cannot see, learned from pairs."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from heads.kinds.bradley_terry import BradleyTerryHead
from heads.kinds.mlp import MlpHead

SMALL = MlpHead(hidden_size=48, steps=500, batch_pairs=128, learning_rate=3e-3, check_every=25)


def planted(seed: int, responses: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]:
    """Features on very different scales and far off the origin, pairs chosen by |z_0|, and that quality."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((responses, 8))
    quality = 4.0 * np.abs(z[:, 0])
    pairs = rng.integers(0, responses, (n, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    right = rng.random(len(pairs)) < 1 / (1 + np.exp(quality[pairs[:, 1]] - quality[pairs[:, 0]]))
    return (
        (z * np.logspace(0, 3, 8) + 50.0).astype(np.float32),
        np.where(right[:, None], pairs, pairs[:, ::-1]),
        quality,
    )


def accuracy(scores: NDArray[np.float64], pairs: NDArray[np.int64]) -> float:
    return float((scores[pairs[:, 0]] > scores[pairs[:, 1]]).mean())


@pytest.fixture(scope="module")
def data() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    features, pairs, quality = planted(0, 3000, 4000)
    return features, pairs[:3000], pairs[3000:], quality


def test_it_finds_a_quality_that_is_not_linear(data: tuple) -> None:
    features, train, held_out, quality = data
    head = clone(SMALL).fit(features, train, held_out)
    scores = head.decision_function(features)
    linear = BradleyTerryHead().fit(features[train[:, 0]] - features[train[:, 1]])
    assert accuracy(linear.decision_function(features), held_out) < 0.6
    assert accuracy(scores, held_out) > accuracy(quality, held_out) - 0.04
    assert np.corrcoef(scores, quality)[0, 1] > 0.9


def test_stored_weights_score_as_a_torch_module_does(data: tuple) -> None:
    features, train, held_out, _ = data
    head = clone(SMALL).set_params(steps=50).fit(features, train, held_out)
    first, second = torch.nn.Linear(8, 48), torch.nn.Linear(48, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.from_numpy(head.hidden_weight_))
        first.bias.copy_(torch.from_numpy(head.hidden_bias_))
        second.weight.copy_(torch.from_numpy(head.output_weight_)[None])
        expected = second(torch.nn.functional.silu(first(torch.from_numpy(features)))).squeeze(-1).numpy()
    np.testing.assert_allclose(head.decision_function(features), expected, rtol=1e-4, atol=1e-5)


def test_the_validation_loss_is_that_of_the_kept_weights(data: tuple) -> None:
    features, train, held_out, _ = data
    head = clone(SMALL).fit(features, train, held_out)
    scores = head.decision_function(features)
    margins = scores[held_out[:, 0]] - scores[held_out[:, 1]]
    assert np.logaddexp(0.0, -margins).mean() == pytest.approx(head.validation_loss_, rel=1e-3)


def test_training_stops_when_validation_pairs_get_no_better() -> None:
    rng = np.random.default_rng(1)
    features = rng.standard_normal((300, 20)).astype(np.float32)
    pairs = rng.integers(0, 300, (400, 2))  # nothing to learn
    told: list[int] = []
    head = clone(SMALL).set_params(steps=5000, patience=2)
    head.fit(features, pairs[:200], pairs[200:], lambda *state: told.append(state[1]))
    assert told[-2] <= head.n_iter_ + 3 * SMALL.check_every < 5000
    assert told[-1] == 5000  # a bar that stops early is shown as done


def test_the_seed_decides(data: tuple) -> None:
    features, train, held_out, _ = data
    short = clone(SMALL).set_params(steps=30)
    torch.manual_seed(0)
    one = clone(short).fit(features, train, held_out)
    torch.manual_seed(1)
    again = clone(short).fit(features, train, held_out)
    other = clone(short).set_params(seed=1).fit(features, train, held_out)
    assert one.hidden_weight_.tobytes() == again.hidden_weight_.tobytes()
    assert one.hidden_weight_.tobytes() != other.hidden_weight_.tobytes()


def test_half_precision_features_and_constant_columns_are_read(data: tuple) -> None:
    features, train, held_out, quality = data
    narrow = np.concatenate([features, np.full((len(features), 2), 7.0)], axis=1).astype(np.float16)
    head = clone(SMALL).fit(narrow, train, held_out)
    assert head.hidden_weight_.dtype == np.float32
    assert np.isfinite(head.hidden_weight_).all()
    assert accuracy(head.decision_function(narrow), held_out) > accuracy(quality, held_out) - 0.1


@pytest.mark.parametrize(
    "pairs", [np.zeros((0, 2), int), np.array([[0.0, 1.0]]), np.array([0, 1]), np.array([[0, 9]]), np.array([[-1, 0]])]
)
def test_bad_pairs_are_refused(pairs: NDArray[np.int64]) -> None:
    features, good = np.eye(3, dtype=np.float32), np.array([[0, 1]])
    with pytest.raises(ValueError, match=r"^pairs"):
        MlpHead().fit(features, pairs, good)
    with pytest.raises(ValueError, match=r"^validation_pairs"):
        MlpHead().fit(features, good, pairs)


def test_bad_features_and_a_hopeless_learning_rate_are_refused(data: tuple) -> None:
    features, train, held_out, _ = data
    with pytest.raises(ValueError, match="NaN"):
        MlpHead().fit(np.array([[np.nan], [0.0]], np.float32), [[0, 1]], [[1, 0]])
    with pytest.raises(FloatingPointError, match="not finite after"):
        clone(SMALL).set_params(learning_rate=1e30, steps=50).fit(features, train, held_out)
    with pytest.raises(NotFittedError):
        MlpHead().decision_function(features)


def test_pairs_of_weight_0_teach_nothing_and_the_unit_of_weights_does_not_matter(data: tuple) -> None:
    features, train, held_out, quality = data
    spoilt = np.concatenate([train, train[:, ::-1]])
    weight = np.repeat([7.0, 0.0], len(train))
    head = clone(SMALL).set_params(steps=250).fit(features, spoilt, held_out, sample_weight=weight)
    assert accuracy(head.decision_function(features), held_out) > accuracy(quality, held_out) - 0.1
    again = clone(SMALL).set_params(steps=20).fit(features, spoilt, held_out, sample_weight=weight)
    other = clone(SMALL).set_params(steps=20).fit(features, spoilt, held_out, sample_weight=weight / 7)
    np.testing.assert_allclose(again.output_weight_, other.output_weight_, rtol=1e-5)


def test_equal_weights_are_none(data: tuple) -> None:
    features, train, held_out, _ = data
    head = clone(SMALL).set_params(steps=20)
    one, other = (
        clone(head).fit(features, train, held_out, sample_weight=weight).output_weight_
        for weight in (None, np.full(len(train), 3.0))
    )
    np.testing.assert_array_equal(one, other)
