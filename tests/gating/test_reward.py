"""The transform and the score of the run-time reward model."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from extract.style import STYLE
from gating.gate import Gate, GateShapeError
from gating.measured import Measured
from gating.reward import RewardParts
from gating.settings import MEASURED, GateSettings, in_order
from gating.transform import Transform
from tests.gating.transforms import transform_of

NAMES = ("a", "b", "c")
SETTINGS = GateSettings(hidden_size=4, hidden_layers=1)


VARIABLES = (*NAMES, *MEASURED)


def measured(rng: np.random.Generator, n: int) -> Measured:
    return Measured(rng.integers(1, 5000, n).astype(np.int32), rng.integers(0, 40, (n, 3)).astype(np.int32))


@given(st.integers(0, 2**31), st.sampled_from([*VARIABLES, "none"]))
def test_penalties_are_lambda_times_verbosity_to_the_last_bit(seed: int, verbosity: str) -> None:
    rng = np.random.default_rng(seed)
    rewards, some = rng.standard_normal((7, 3)), measured(rng, 7)
    lambdas = rng.standard_normal(3)
    transform = transform_of(lambdas, verbosity, NAMES)
    assert some.style is not None
    value = {"response_tokens": some.tokens / 1000.0, "none": np.zeros(7)}.get(verbosity)
    if verbosity in STYLE:
        value = np.log1p(some.style[:, STYLE.index(verbosity)])
    v = rewards[:, NAMES.index(verbosity)] if value is None else value
    assert (transform.apply(rewards, some) == rewards - lambdas * v[:, None]).all()
    assert transform.variables(NAMES) == ((verbosity,) if verbosity != "none" else ())
    assert transform.lambdas().tolist() == ([] if verbosity == "none" else [lambdas.tolist()])


@given(st.integers(0, 2**31), st.sets(st.sampled_from(VARIABLES)))
def test_several_variables_are_taken_out_at_once(seed: int, named: set[str]) -> None:
    rng = np.random.default_rng(seed)
    rewards, some = rng.standard_normal((7, 3)), measured(rng, 7)
    variables = in_order(sorted(named), NAMES)
    lambdas = rng.standard_normal((len(variables), 3))
    transform = Transform.of_lambdas(lambdas, variables, NAMES)
    values = [some.value(name) if name in MEASURED else rewards[:, NAMES.index(name)] for name in variables]
    expected = rewards - sum((np.outer(v, row) for v, row in zip(values, lambdas, strict=True)), np.zeros((7, 3)))
    np.testing.assert_allclose(transform.apply(rewards, some), expected, atol=1e-12)
    assert transform.variables(NAMES) == variables
    assert transform.lambdas().tolist() == lambdas.tolist()
    assert transform.values(rewards, some).T.tolist() == [list(v) for v in values]


def test_marks_of_style_that_were_not_measured_are_not_taken_for_none() -> None:
    with pytest.raises(ValueError, match="lists was not measured"):
        transform_of(np.ones(3), "lists", NAMES).apply(np.zeros((1, 3)), Measured(np.array([5])))


def test_a_matrix_of_a_checkpoint_and_back() -> None:
    matrix = np.eye(3)
    matrix[1] -= [0.25, 1.0, -0.5]
    transform = Transform.of_matrix(matrix, {})
    assert transform.matrix.tolist() == matrix.tolist()
    assert transform.variables(NAMES) == ("b",)
    rewards = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(transform.apply(rewards, Measured(np.array([5]))), rewards @ matrix)


def test_a_matrix_that_takes_out_every_objective_is_applied_and_has_lambdas_on_each() -> None:
    matrix = np.random.default_rng(0).standard_normal((3, 3))
    transform = Transform.of_matrix(matrix, {})
    rewards = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(transform.apply(rewards, Measured(np.array([5]))), rewards @ matrix)
    assert transform.variables(NAMES) == NAMES
    assert transform.lambdas().tolist() == (np.eye(3) - matrix).tolist()


def test_a_score_is_the_sum_of_its_terms() -> None:
    gate = Gate(5, 3, SETTINGS).eval()
    rng = np.random.default_rng(1)
    transform = transform_of(np.array([0.5, 1.0, -0.25]), "b", NAMES)
    parts = RewardParts(NAMES, rng.standard_normal((3, 5)).astype(np.float32), transform, gate)
    features = rng.standard_normal((2, 5)).astype(np.float32)
    rewards, weights = parts.rewards(features)[0], parts.weights(features)[1]
    scored = parts.score(rewards, weights, 11, Measured(np.array([6])))
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
    assert parts.transform.lambdas().tolist() == [[0.1, 0.2, 0.3]]
    for changed in ({"hidden_layers": 2}, {"hidden_size": 3}):
        with pytest.raises(GateShapeError):
            RewardParts.of_arrays(NAMES, weight, arrays, "response_tokens", SETTINGS.model_copy(update=changed))
