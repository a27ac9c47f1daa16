"""The transform and the score of the run-time reward model."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gating.gate import Gate, GateShapeError
from gating.reward import RewardParts
from gating.settings import GateSettings
from gating.transform import MixedTransformError, Transform

NAMES = ("a", "b", "c")
SETTINGS = GateSettings(hidden_size=4, hidden_layers=1)


@given(st.integers(0, 2**31), st.sampled_from([*NAMES, "response_tokens", "none"]))
def test_penalties_are_lambda_times_verbosity_to_the_last_bit(seed: int, verbosity: str) -> None:
    rng = np.random.default_rng(seed)
    rewards, tokens = rng.standard_normal((7, 3)), rng.integers(1, 5000, 7).astype(np.int32)
    lambdas = rng.standard_normal(3)
    transform = Transform.of_lambdas(lambdas, verbosity, NAMES)
    value = {"response_tokens": tokens / 1000.0, "none": np.zeros(7)}.get(verbosity)
    v = rewards[:, NAMES.index(verbosity)] if value is None else value
    assert (transform.apply(rewards, tokens) == rewards - lambdas * v[:, None]).all()
    assert transform.verbosity(NAMES) == verbosity
    assert transform.lambdas().tolist() == (np.zeros(3) if verbosity == "none" else lambdas).tolist()


def test_a_matrix_of_a_checkpoint_and_back() -> None:
    matrix = np.eye(3)
    matrix[1] -= [0.25, 1.0, -0.5]
    transform = Transform.of_matrix(matrix, None)
    assert transform.matrix.tolist() == matrix.tolist()
    assert transform.verbosity(NAMES) == "b"
    rewards = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(transform.apply(rewards, np.array([5])), rewards @ matrix)


def test_a_matrix_that_takes_out_two_objectives_is_applied_and_has_no_lambdas() -> None:
    matrix = np.random.default_rng(0).standard_normal((3, 3))
    transform = Transform.of_matrix(matrix, None)
    rewards = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(transform.apply(rewards, np.array([5])), rewards @ matrix)
    for ask in (transform.lambdas, lambda: transform.verbosity(NAMES)):
        with pytest.raises(MixedTransformError):
            ask()


def test_a_score_is_the_sum_of_its_terms() -> None:
    gate = Gate(5, 3, SETTINGS).eval()
    rng = np.random.default_rng(1)
    transform = Transform.of_lambdas(np.array([0.5, 1.0, -0.25]), "b", NAMES)
    parts = RewardParts(NAMES, rng.standard_normal((3, 5)).astype(np.float32), transform, gate)
    features = rng.standard_normal((2, 5)).astype(np.float32)
    rewards, weights = parts.rewards(features)[0], parts.weights(features)[1]
    scored = parts.score(rewards, weights, 11, 6)
    assert scored.score == sum(scored.contributions.tolist())
    assert scored.tokens == 17
    assert (scored.contributions == scored.gains - scored.penalties).all()
    np.testing.assert_allclose(scored.contributions, weights.astype(np.float64) * scored.adjusted, atol=1e-12)
    assert scored.adjusted[1] == scored.contributions[1] == 0.0


def test_it_is_read_from_the_arrays_of_a_run() -> None:
    gate = Gate(5, 3, SETTINGS)
    arrays = {f"gating.{name}": value.numpy() for name, value in gate.state_dict().items()}
    arrays |= {"lambda": np.array([0.1, 0.2, 0.3])}
    weight = np.ones((3, 5), dtype=np.float32)
    parts = RewardParts.of_arrays(NAMES, weight, arrays, "response_tokens", SETTINGS)
    prompts = np.linspace(-1, 1, 10, dtype=np.float32).reshape(2, 5)
    assert torch.equal(torch.from_numpy(parts.weights(prompts)), gate(torch.from_numpy(prompts)).detach())
    assert parts.transform.lambdas().tolist() == [0.1, 0.2, 0.3]
    for changed in ({"hidden_layers": 2}, {"hidden_size": 3}):
        with pytest.raises(GateShapeError):
            RewardParts.of_arrays(NAMES, weight, arrays, "none", SETTINGS.model_copy(update=changed))
