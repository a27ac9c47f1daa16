"""Scales of rewards are what they say, and what a model cannot give is refused in one sentence."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache import UserError
from gating.measured import Measured
from gating.moments import Moments, ReferenceMoments
from gating.reward import Scored
from gating.reward_scales import SCALES, RewardScales, factors_of
from heads.objectives import Scale

OBJECTIVES = ("kind", "true", "long", "still")
RATED = {
    "kind": Scale(low=0, high=4),
    "true": Scale(low=1, high=10),
    "long": Scale(low=-1, high=1, rule="linear"),
    "still": Scale(low=0, high=1, rule="linear"),
}
MEANS = {"kind": 0.5, "true": -0.25, "long": 0.75, "still": 0.125}
STDS = {"kind": 0.125, "true": 2.0, "long": 0.0625, "still": None}
TEMPERATURE = 0.5

REFERENCE = ReferenceMoments(
    responses=9,
    rewards={name: Moments(mean=MEANS[name], std=STDS[name]) for name in OBJECTIVES},
    debiased={name: Moments(mean=-MEANS[name], std=None if name == "long" else 0.25) for name in OBJECTIVES},
    scored=7,
    score=Moments(mean=-3.0, std=1.5),
)
WHOLE = RewardScales(OBJECTIVES, RATED, REFERENCE, TEMPERATURE)

finite = st.floats(-1e6, 1e6, allow_subnormal=False)
rows = st.lists(st.tuples(*[finite] * 9), min_size=1, max_size=4)


def scored(values: tuple[float, ...]) -> Scored:
    """A result of four rewards, four debiased rewards and a score."""
    nothing = np.zeros(4)
    return Scored(
        score=values[8],
        rewards=np.array(values[:4]),
        adjusted=np.array(values[4:8]),
        weights=nothing.astype(np.float32),
        gains=nothing,
        penalties=nothing,
        contributions=nothing,
        prompt_tokens=1,
        measured=Measured(np.array([1])),
        objectives=OBJECTIVES,
    )


@given(rows)
def test_raw_is_the_number_itself_in_the_order_asked_for(given_rows: list[tuple[float, ...]]) -> None:
    names = ("score", "long", "kind")
    plain = WHOLE.chosen(names).of([scored(row) for row in given_rows])
    debiased = WHOLE.chosen(names, debiased=True).of([scored(row) for row in given_rows])
    assert plain.tolist() == [[row[8], row[2], row[0]] for row in given_rows]
    assert debiased.tolist() == [[row[8], row[6], row[4]] for row in given_rows]


@given(st.sampled_from(OBJECTIVES), st.data())
def test_a_predicted_rating_is_on_its_own_scale_and_its_unit_runs_from_the_lowest_to_the_highest(
    name: str, data: st.DataObject
) -> None:
    scale = RATED[name]
    rating = data.draw(st.floats(scale.low, scale.high))
    target = float(scale.target(np.array(rating)))
    row = tuple(target if other == name else 0.0 for other in OBJECTIVES) + (0.0,) * 5
    assert WHOLE.chosen([name], "rating").of([scored(row)])[0, 0] == pytest.approx(rating, abs=1e-9)
    expected = (rating - scale.low) / (scale.high - scale.low)
    assert WHOLE.chosen([name], "unit").of([scored(row)])[0, 0] == pytest.approx(expected, abs=1e-9)


@given(rows)
def test_unit_and_sigmoid_are_between_nought_and_one(given_rows: list[tuple[float, ...]]) -> None:
    results = [scored(row) for row in given_rows]
    for values in (
        WHOLE.chosen(OBJECTIVES, "unit").of(results),
        WHOLE.chosen(["kind", "true", "long", "score"], "sigmoid").of(results),
    ):
        assert ((values >= 0) & (values <= 1)).all()


@given(st.lists(finite, min_size=2, max_size=5, unique=True), st.sampled_from(SCALES))
def test_no_scale_turns_an_order_round(values: list[float], scale: str) -> None:
    names = ["kind", "true", "long"] if scale in ("rating", "unit") else ["kind", "true", "long", "score"]
    given = np.sort(values)
    scaled = WHOLE.chosen(names, scale).of([scored((value,) * 9) for value in given])
    assert (np.diff(scaled, axis=0) >= 0).all()


@given(st.floats(-50, 50), st.booleans())
def test_scales_of_the_reference_set_count_from_its_mean_in_its_deviations(steps: float, debiased: bool) -> None:
    moments = (REFERENCE.debiased if debiased else REFERENCE.rewards)["true"]
    assert moments.std is not None
    assert REFERENCE.score is not None
    assert REFERENCE.score.std is not None
    value = moments.mean + steps * moments.std
    score = REFERENCE.score.mean + steps * REFERENCE.score.std
    (row,) = [scored((value,) * 8 + (score,))]

    def on(scale: str) -> list[float]:
        return list(map(float, WHOLE.chosen(["true", "score"], scale, debiased=debiased).of([row])[0]))

    assert on("standardised") == pytest.approx([steps, steps], abs=1e-9)
    assert on("centred") == pytest.approx([steps * moments.std, steps * REFERENCE.score.std], abs=1e-9)
    gap = steps * REFERENCE.score.std / TEMPERATURE
    expected = [1 / (1 + math.exp(-steps)), 1 / (1 + math.exp(-gap))]
    assert on("sigmoid") == pytest.approx(expected, abs=1e-12)


def test_numbers_drawn_from_the_reference_set_are_standard_there() -> None:
    rng = np.random.default_rng(3)
    values = rng.gamma(2.0, 3.0, 500)
    reference = REFERENCE.model_copy(
        update={"rewards": dict.fromkeys(OBJECTIVES, Moments(mean=values.mean(), std=values.std()))}
    )
    scales = RewardScales(OBJECTIVES, RATED, reference, None)
    standard = scales.chosen(["kind"], "standardised").of([scored((value,) * 9) for value in values])
    assert standard.mean() == pytest.approx(0, abs=1e-12)
    assert standard.std() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("scales", "names", "given", "sentence"),
    [
        (WHOLE, [], {}, "objectives names nothing: choose from kind, true, long, still, score"),
        (WHOLE, ["nice"], {}, "'nice' is no objective of this model: choose from kind, true, long, still, score"),
        (WHOLE, ["true", "kind", "true"], {}, "'true' is named twice among the objectives: name it once"),
        (WHOLE, "kind", {}, "objectives is the text 'kind': give a list of names"),
        (WHOLE, ["kind"], {"scale": "percent"}, "there is no scale 'percent': choose from raw, rating, unit, centred,"),
        (WHOLE, ["kind", "score"], {"scale": "unit"}, "the score is no rating and has no scale 'unit'"),
        (WHOLE, ["kind"], {"scale": "rating", "debiased": True}, "a debiased reward is no rating"),
        (WHOLE, ["still"], {"scale": "standardised"}, "'still' does not vary on the reference set"),
        (WHOLE, ["long"], {"scale": "sigmoid", "debiased": True}, "'long' does not vary on the reference set"),
        (WHOLE, ["score"], {"scale": "sigmoid", "steered": True}, "known under the gate's own weights alone"),
        (RewardScales(OBJECTIVES, {}, None, None), ["kind"], {"scale": "unit"}, "ratings of 'kind' is not known"),
        (RewardScales(OBJECTIVES, {}, None, None), ["kind"], {"scale": "centred"}, "no mean of 'kind' on a reference"),
        (RewardScales(OBJECTIVES, {}, REFERENCE, None), ["score"], {"scale": "sigmoid"}, "no temperature was fitted"),
    ],
)
def test_what_cannot_be_given_is_refused_in_one_sentence(
    scales: RewardScales, names: list[str], given: dict[str, bool | str], sentence: str
) -> None:
    with pytest.raises(UserError) as refused:
        scales.chosen(names, **given)  # type: ignore[arg-type]
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_objective_of_the_name_score_is_that_objective_and_the_score_is_had_without_a_name() -> None:
    scales = RewardScales(("kind", "true", "long", "score"), {}, None, None)
    row = scored((1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 9.0))
    assert scales.chosen(["score"]).of([row]).tolist() == [[4.0]]
    assert scales.of_score().of([row]).tolist() == [[9.0]]
    assert WHOLE.of_score("centred").of([row]).tolist() == [[12.0]]


def test_objectives_that_have_a_scale_are_those_that_it_takes() -> None:
    assert WHOLE.available("raw") == OBJECTIVES
    assert WHOLE.available("standardised") == ("kind", "true", "long")
    assert WHOLE.available("standardised", debiased=True) == ("kind", "true", "still")
    assert WHOLE.available("unit", debiased=True) == ()


def test_numbers_out_of_all_proportion_are_refused_by_their_name() -> None:
    scales = RewardScales(OBJECTIVES, RATED | {"true": Scale(low=0, high=1e308)}, None, None)
    with pytest.raises(UserError, match="true is not finite on this scale"):
        scales.chosen(["kind", "true"], "rating").of([scored((1e30,) * 9)])


def test_one_number_is_the_mean_or_a_weighted_sum() -> None:
    values = np.array([[1.0, 2.0, 6.0]])
    assert values @ factors_of(None, 3) == pytest.approx([3.0])
    assert (values @ factors_of([2, 0, -1], 3)).tolist() == [-4.0]
    for weights, sentence in (([1.0], "there are 1 weights and 3 objectives"), ([1, math.nan, 1], "a weight is nan")):
        with pytest.raises(UserError, match=sentence):
            factors_of(weights, 3)
