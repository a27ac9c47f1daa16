"""Functions for TRL: called as its GRPO trainer calls them, one pass a batch, and the class's numbers."""

from typing import Any

import numpy as np
import pytest

from cache import UserError
from export.reward_model import RewardModel
from export.rewards import reward_functions
from tests.export.conftest import SEVERAL
from tests.export.rewards.counting import counted_passes

NAMES = ["true", "score", "kind"]


def called(functions: list[Any], prompts: list[Any], completions: list[Any]) -> np.ndarray[Any, Any]:
    """The functions' numbers (n, m), called with all that TRL hands on."""
    more = {"completion_ids": [[1]] * len(prompts), "trainer_state": object(), "log_extra": print, "answer": ["x"]}
    columns = [one(prompts=prompts, completions=completions, **more) for one in functions]
    assert all(isinstance(value, float) for column in columns for value in column)
    return np.array(columns).T


@pytest.mark.parametrize(
    ("scale", "debiased"), [("raw", False), ("standardised", True), ("sigmoid", False), ("centred", True)]
)
def test_turns_get_the_numbers_of_the_class_in_one_pass(on_scale: RewardModel, scale: str, debiased: bool) -> None:
    expected = on_scale.rewards(SEVERAL, NAMES, scale=scale, debiased=debiased)
    functions = reward_functions(on_scale, NAMES, scale=scale, debiased=debiased)
    with counted_passes(on_scale) as passes:
        told = called(functions, [turns[:-1] for turns in SEVERAL], [turns[-1:] for turns in SEVERAL])
    assert len(passes) == 1
    np.testing.assert_allclose(told, expected, rtol=1e-6, atol=1e-9)
    assert [one.__name__ for one in functions] == NAMES


def test_texts_are_a_users_message_and_the_answer(on_scale: RewardModel) -> None:
    functions = reward_functions(on_scale, ["kind"], scale="unit")
    turns = [[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": said}] for said in ("Yes.", "No!")]
    told = called(functions, ["Hi", "Hi"], ["Yes.", "No!"])
    np.testing.assert_allclose(told, on_scale.rewards(turns, ["kind"], scale="unit"), rtol=1e-6)


def test_each_new_batch_is_one_pass_and_a_batch_seen_before_is_none(on_scale: RewardModel) -> None:
    functions = reward_functions(on_scale, ["kind", "true", "long", "score"])
    with counted_passes(on_scale) as passes:
        first = called(functions, ["Hi", "Hi"], ["Yes.", "No!"])
        called(functions, ["Hi", "Ho"], ["Maybe.", "No!"])
        assert called(functions, ["Hi", "Hi"], ["Yes.", "No!"]).tolist() == first.tolist()
    assert passes == [3, 4]  # a shared prompt and two answers; two prompts and two answers


def test_a_completion_without_a_score_gets_the_number_or_ends_the_training(on_scale: RewardModel) -> None:
    prompts, completions = ["Hi"] * 4, ["Yes.", " ", "a <|eot_id|> spelt", "word " * 3000]
    told = called(reward_functions(on_scale, NAMES, unscorable=-7.5), prompts, completions)
    assert told[1:].tolist() == [[-7.5] * 3] * 3
    assert told[0, 0] == pytest.approx(called(reward_functions(on_scale, NAMES), ["Hi"], ["Yes."])[0, 0], rel=1e-6)
    calling = [{"role": "assistant", "content": "", "tool_calls": [{"name": "add"}]}]
    assert called(reward_functions(on_scale, ["kind"], unscorable=0), [[]], [calling]).tolist() == [[0.0]]
    with pytest.raises(UserError, match=r"conversation 1 cannot be scored: the response is empty.*`unscorable`"):
        called(reward_functions(on_scale, NAMES), prompts, completions)


@pytest.mark.parametrize(
    ("names", "given", "sentence"),
    [
        ([], {}, "objectives names nothing"),
        (["nice"], {}, "'nice' is no objective of this model"),
        (["kind", "kind"], {}, "'kind' is named twice"),
        (["kind"], {"scale": "percent"}, "there is no scale 'percent'"),
        (["long"], {"scale": "sigmoid", "debiased": True}, "'long' does not vary on the reference set"),
        (["kind"], {"unscorable": float("nan")}, "unscorable is nan: give a finite number, or None"),
    ],
)
def test_what_cannot_be_is_refused_before_the_training(
    on_scale: RewardModel, names: list[str], given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as refused:
        reward_functions(on_scale, names, **given)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
