"""Steered scores: terms sum to the score, neutral profiles change nothing, and standard errors follow the weights."""

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cache import UserError
from gating.gate import Gate
from gating.measured import Measured
from gating.profile import Profile, Vetoes
from gating.reward import RewardParts, Scored
from gating.settings import MEASURED, GateSettings, Verbosity
from gating.steering import Steering, steer, veto_term
from heads.objectives import Scale
from heads.ridge.uncertainty import Uncertainty
from tests.gating.transforms import transform_of

NAMES = ("a", "b", "c", "d")
K = len(NAMES)
SCALES = {"a": Scale(low=0, high=4), "b": Scale(low=0, high=1, rule="linear"), "c": Scale(low=1, high=10)}
GATE = Gate(3, K, GateSettings(hidden_size=2, hidden_layers=1)).eval()

numbers = st.one_of(
    st.just(0.0), st.floats(1e-6, 1e6), st.floats(-1e6, -1e-6), st.integers(-3, 3).map(float), st.floats(-2, -0.1)
)
tables = st.dictionaries(st.sampled_from(NAMES), numbers, min_size=1)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """Any profile that is one."""
    values: dict[str, Any] = {"renormalise": draw(st.sampled_from([None, True, False]))}
    kind = draw(st.sampled_from(["add", "multiply", "replace", "direction", "veto"]))
    weights = draw(tables.filter(lambda table: any(table.values())))
    if kind == "veto":
        values = {}
    elif kind == "direction":
        values["direction"] = weights
    else:
        values |= {"mode": kind, "weights": weights}
    if kind == "veto" or draw(st.booleans()):
        below = draw(st.dictionaries(st.sampled_from(NAMES[:3]), st.floats(-10, 10), min_size=1))
        cap = draw(st.one_of(st.floats(-1e6, 1e6), st.floats(-1, 1)))
        values["vetoes"] = Vetoes(below=below, cap=cap, unit=draw(st.sampled_from(["rating", "reward"])))
    return Profile(**values)


def parts_of(verbosity: Verbosity, seed: int, uncertainty: Uncertainty | None = None) -> RewardParts:
    lambdas = np.random.default_rng(seed).standard_normal((len(MEASURED) + K, K))
    transform = transform_of(lambdas, verbosity, NAMES)
    return RewardParts(NAMES, np.zeros((K, 3), dtype=np.float32), transform, GATE, uncertainty)


def scored_by_the_gate(parts: RewardParts, seed: int, scale: float = 1.0) -> Scored:
    rng = np.random.default_rng(seed)
    weights = (2.5 * rng.dirichlet(np.full(K, 0.5))).astype(np.float32)
    measured = Measured(rng.integers(1, 4000, 1), rng.integers(0, 50, (1, 3)))
    return parts.score(scale * rng.standard_normal(K), weights, 7, measured)


def steered(parts: RewardParts, scored: Scored, **values: Any) -> Scored:
    return steer(parts, scored, Steering.of(Profile(**values), NAMES, SCALES))


def same(one: Scored, other: Scored) -> bool:
    arrays = [(getattr(one, name), getattr(other, name)) for name in ("gains", "penalties", "contributions")]
    return one.score == other.score and all((a == b).all() for a, b in arrays)


SEEDS = st.integers(0, 2**31)
VERBOSITIES = st.one_of(
    st.sampled_from(["b", "response_tokens", "none"]),
    st.lists(st.sampled_from([*NAMES, *MEASURED]), min_size=1, unique=True).map(tuple),
)


@given(profiles(), SEEDS, VERBOSITIES, st.sampled_from([1.0, 1e3, 1e-3]))
def test_terms_and_veto_sum_to_the_score(profile: Profile, seed: int, verbosity: Verbosity, scale: float) -> None:
    parts = parts_of(verbosity, seed)
    before = scored_by_the_gate(parts, seed, scale)
    try:
        steering = Steering.of(profile, NAMES, SCALES)
    except UserError:  # every objective is multiplied with 0
        assert profile.mode == "multiply"
        assert len(profile.weights) == K
        return
    after = steer(parts, before, steering)
    assert after.steered is not None
    assert after.score == reduce(add, [*after.contributions.tolist(), after.steered.veto])
    assert after.not_finite is None
    assert (after.coefficients == after.steered.coefficients).all()
    np.testing.assert_allclose(
        after.contributions, after.coefficients * before.adjusted, rtol=1e-9, atol=1e-9 * np.abs(after.gains).max()
    )
    assert (after.steered.gate_score, after.weights.tolist()) == (before.score, before.weights.tolist())
    below = _below(profile, before.rewards)
    assert set(after.steered.vetoed) == below
    if below and profile.vetoes is not None:
        assert after.score <= profile.vetoes.cap
        total = sum(after.contributions.tolist())
        assert after.score == pytest.approx(min(total, profile.vetoes.cap), rel=1e-12, abs=1e-12 * abs(total))
    else:
        assert after.steered.veto == 0.0


def _below(profile: Profile, rewards: NDArray[np.float64]) -> set[str]:
    """The vetoed objectives, found on the scale of the ratings where thresholds are ratings."""
    found = set()
    for name, least in (profile.vetoes.below if profile.vetoes else {}).items():
        reward = np.array(rewards[NAMES.index(name)])
        value = SCALES[name].raw(reward) if profile.vetoes and profile.vetoes.unit == "rating" else reward
        if float(value) < least:
            found.add(name)
    return found


@given(SEEDS, VERBOSITIES, st.sets(st.sampled_from(NAMES), min_size=1))
def test_neutral_weights_change_no_bit(seed: int, verbosity: Verbosity, named: set[str]) -> None:
    parts = parts_of(verbosity, seed)
    before = scored_by_the_gate(parts, seed)
    own = dict(zip(NAMES, before.weights.astype(np.float64).tolist(), strict=True))
    own = {name: weight for name, weight in own.items() if weight >= 1e-6}
    for renormalise in (True, False, None):
        ones = steered(parts, before, mode="multiply", weights=dict.fromkeys(named, 1.0), renormalise=renormalise)
        zeros = steered(parts, before, mode="add", weights=dict.fromkeys(named, 0.0), renormalise=renormalise)
        assert same(ones, before)
        assert same(zeros, before)
    if len(own) == K:
        assert same(steered(parts, before, mode="replace", weights=own), before)
        assert same(steered(parts, before, mode="replace", weights=own, renormalise=False), before)


@given(SEEDS, tables, st.sampled_from(["add", "multiply", "replace"]))
def test_renormalised_weights_keep_the_gates_sum(seed: int, weights: Mapping[str, float], mode: str) -> None:
    parts = parts_of("none", seed)
    before = scored_by_the_gate(parts, seed)
    plain = {"mode": mode, "weights": weights}
    if mode == "replace" and not any(weights.values()):
        with pytest.raises(ValueError, match="no objective would count"):
            Profile.model_validate(plain)
        return
    if mode == "multiply" and len(weights) == K and not any(weights.values()):
        with pytest.raises(UserError, match="leave one objective its weight"):
            steered(parts, before, **plain)
        return
    kept, free = (steered(parts, before, **plain, renormalise=renormalise) for renormalise in (None, False))
    own, w = before.weights.astype(np.float64), np.array([weights.get(name, np.nan) for name in NAMES])
    expected = {"add": own + np.nan_to_num(w), "multiply": own * np.where(np.isnan(w), 1.0, w)}.get(
        mode, np.nan_to_num(w)
    )
    assert free.coefficients.tolist() == expected.tolist()
    sum_of_sizes = np.abs(kept.coefficients).sum()
    assert sum_of_sizes == pytest.approx(own.sum() if expected.any() else 0.0, rel=1e-12)
    assert (np.sign(kept.coefficients) == np.sign(expected)).all()


def test_a_direction_is_a_unit_vector_on_the_adjusted_rewards() -> None:
    parts = parts_of("response_tokens", 3)
    before = scored_by_the_gate(parts, 3)
    after = steered(parts, before, direction={"a": 3.0, "c": -4.0})
    assert after.coefficients.tolist() == pytest.approx([0.6, 0.0, -0.8, 0.0], rel=1e-15)
    assert after.score == pytest.approx(0.6 * before.adjusted[0] - 0.8 * before.adjusted[2], rel=1e-12)
    on_the_gates_scale = steered(parts, before, direction={"a": 3.0, "c": -4.0}, renormalise=True)
    assert np.abs(on_the_gates_scale.coefficients).sum() == pytest.approx(before.weights.sum(), rel=1e-6)


def test_weights_that_cancel_the_gates_leave_a_score_of_zero() -> None:
    parts = parts_of("none", 5)
    before = scored_by_the_gate(parts, 5)
    against = dict(zip(NAMES, (-before.weights.astype(np.float64)).tolist(), strict=True))
    after = steered(parts, before, weights=against)
    assert after.coefficients.tolist() == [0.0] * K
    assert after.score == 0.0


@given(st.floats(-1e9, 1e9), st.floats(-1e6, 1e6))
def test_a_veto_brings_any_sum_to_the_cap_and_never_above(total: float, cap: float) -> None:
    veto = veto_term(total, cap)
    assert veto <= 0.0
    assert total + veto <= cap or veto == 0.0
    assert total + veto == pytest.approx(min(total, cap), rel=1e-15, abs=1e-15 * abs(total))
    assert (veto == 0.0) == (total <= cap)


def test_a_threshold_is_a_rating_or_a_reward() -> None:
    parts = parts_of("none", 0)
    before = parts.score(np.array([0.5, 0.25, 0.9, 0.1]), np.full(K, 0.5, dtype=np.float32), 5, Measured(np.array([6])))
    rating = float(SCALES["a"].raw(np.array(0.5)))  # 2.0 of 0 to 4
    assert rating == 2.0
    for unit, least, vetoed in (("rating", 2.01, ("a",)), ("rating", 2.0, ()), ("reward", 0.51, ("a",))):
        after = steered(parts, before, vetoes={"below": {"a": least}, "cap": -1.0, "unit": unit})
        assert after.steered is not None
        assert after.steered.vetoed == vetoed
        assert after.score == pytest.approx(-1.0 if vetoed else before.score, rel=1e-15)
    low = steered(parts, before, vetoes={"below": {"a": 3.0}, "cap": 5.0})
    assert low.score == before.score  # not above the cap
    assert low.steered is not None
    assert (low.steered.veto, low.steered.vetoed) == (0.0, ("a",))


def test_standard_errors_under_steered_weights_are_those_of_drawn_rewards() -> None:
    """Rewards drawn from the heads' errors, steered with each draw, against the formula's standard errors."""
    rng = np.random.default_rng(0)
    root = rng.standard_normal((K, K))
    factor_of = np.array([0, 0, 1, 1])
    whitening = rng.standard_normal((2, 3, 3)).astype(np.float32)
    known = Uncertainty(
        whitening, factor_of, root @ root.T, np.tile(np.linspace(0, 1, 101), (2, 1)), np.ones(2), quantile=0.9
    )
    features = rng.standard_normal((1, 3)).astype(np.float32)
    for verbosity in ("b", "none"):
        parts = parts_of(verbosity, 2, known)
        leverages = known.leverages(features)[0]  # (f,)
        weights = np.array([1.0, 0.25, 0.75, 0.5], dtype=np.float32)
        mean = rng.standard_normal(K)
        before = parts.score(mean, weights, 7, Measured(np.array([40])), leverages)
        steering = Steering.of(Profile(weights={"a": 2.0, "c": -1.5}, mode="multiply"), NAMES, SCALES)
        after = steer(parts, before, steering)
        assert before.uncertainty is not None
        assert after.uncertainty is not None
        sizes = np.sqrt(leverages[factor_of])  # (k,)
        draws = rng.multivariate_normal(mean, known.covariance * np.outer(sizes, sizes), 200_000)  # (n, k)
        adjusted = parts.transform.apply(draws, Measured(np.full(len(draws), 40)))  # (n, k)
        terms = adjusted * steering.coefficients(weights)  # (n, k)
        assert after.uncertainty.score_std == pytest.approx(terms.sum(axis=-1).std(), rel=0.01)
        np.testing.assert_allclose(after.uncertainty.contribution_std, terms.std(axis=0), rtol=0.01)
        assert after.uncertainty.score_std != pytest.approx(before.uncertainty.score_std, rel=0.05)
        assert after.uncertainty.reward_std.tolist() == before.uncertainty.reward_std.tolist()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"weights": {"x": 1.0}}, "names 'x', which is no objective of this model: choose from a, b, c, d"),
        ({"direction": {"x": 1.0}}, "names 'x'"),
        ({"vetoes": {"below": {"x": 1.0}, "cap": 0.0}}, "names 'x'"),
        ({"vetoes": {"below": {"d": 1.0}, "cap": 0.0}}, "a threshold for 'd', the scale of whose ratings is not known"),
        (
            {"weights": {"a": 1.0}, "objectives": ["a", "b", "x"]},
            "made for another model: that one lacks the objective",
        ),
        ({"weights": {"a": 1.0}, "objectives": [*NAMES, "x"]}, "this one lacks the objective 'x'"),
        ({"mode": "multiply", "weights": dict.fromkeys(NAMES, 0.0)}, "multiplies every weight with 0"),
    ],
)
def test_a_profile_that_does_not_fit_the_model(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        Steering.of(Profile(name="mine", **values), NAMES, SCALES)
    assert sentence in str(refused.value)
    assert str(refused.value).startswith("profile 'mine' ")
