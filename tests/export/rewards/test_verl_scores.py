"""Functions for verl, called as its reward managers call them: by name, from threads, an event loop, by the batch."""

import asyncio
import importlib
import inspect
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache import UserError
from export.reward_model import RewardModel
from export.rewards import verl_scores
from export.rewards.verl_scores import compute_score, compute_score_async, compute_score_batch
from tests.export.conftest import SEVERAL
from tests.export.rewards.counting import counted_passes

NAMES = ["kind", "score", "true"]


@pytest.fixture(autouse=True)
def no_model_left() -> Iterator[None]:
    """Every test loads its own."""
    verl_scores._load.cache_clear()
    yield
    verl_scores._load.cache_clear()


def one_call(number: int) -> dict[str, Any]:
    """The arguments of verl's naive and GDPO managers for one response; a prompt comes out of Parquet as an array."""
    prompt = np.array(SEVERAL[number][:-1], dtype=object)
    return {
        "data_source": "own",
        "solution_str": SEVERAL[number][-1]["content"],
        "ground_truth": "4",
        "extra_info": {"prompt": prompt, "num_turns": 2, "rollout_reward_scores": {}},
    }


def expected(model: RewardModel, scale: str) -> list[dict[str, float]]:
    rows = model.rewards(SEVERAL, NAMES, scale=scale)
    return [{"score": row.mean(), "kind": row[0], "model_score": row[1], "true": row[2]} for row in rows]


def same(told: list[dict[str, float]], wanted: list[dict[str, float]]) -> None:
    for one, other in zip(told, wanted, strict=True):
        assert list(one) == list(other)
        assert all(isinstance(value, float) for value in one.values())
        assert one == pytest.approx(other, rel=1e-5, abs=1e-8)


def test_threads_an_event_loop_and_the_batch_get_the_numbers_of_the_class(
    on_scale_folder: Path, on_scale: RewardModel
) -> None:
    settings = {"folder": str(on_scale_folder), "objectives": NAMES, "scale": "standardised", "device": "cpu"}
    wanted = expected(on_scale, "standardised")
    calls = [one_call(number) for number in range(len(SEVERAL))]
    one = partial(compute_score, **settings)  # as verl binds `reward_kwargs`
    with ThreadPoolExecutor() as pool:
        same(list(pool.map(lambda call: one(**call), calls)), wanted)
    assert inspect.iscoroutinefunction(compute_score_async)  # by which verl tells the two kinds

    async def together() -> list[dict[str, float]]:
        return await asyncio.gather(*(compute_score_async(**call, **settings) for call in calls))

    same(asyncio.run(together()), wanted)
    told = compute_score_batch(
        data_sources=["own"] * 3,
        solution_strs=[call["solution_str"] for call in calls],
        ground_truths=[None] * 3,
        extra_infos=[call["extra_info"] for call in calls],
        **settings,
    )
    same(told, wanted)
    with counted_passes(verl_scores._load(str(on_scale_folder), "cpu").model) as passes:
        compute_score(**calls[0], **settings, reward_router_address="localhost:1", reward_model_tokenizer=None)
    assert passes == []


def test_it_is_found_by_the_name_that_the_page_gives() -> None:
    module = importlib.import_module("export.rewards.verl_scores")  # verl: pkg://export.rewards.verl_scores
    assert module.compute_score is compute_score


def test_weights_the_scale_and_the_key_of_the_prompt(on_scale_folder: Path, on_scale: RewardModel) -> None:
    told = compute_score(
        data_source="gsm8k",
        solution_str="It is four.",
        ground_truth="4",
        extra_info={"question": "What is two plus two?"},
        folder=str(on_scale_folder),
        objectives=("true", "kind"),
        weights=(2.0, -1.0),
        scale="unit",
        prompt_key="question",
    )
    turns = [{"role": "user", "content": "What is two plus two?"}, {"role": "assistant", "content": "It is four."}]
    (true, kind), *_ = on_scale.rewards([turns], ["true", "kind"], scale="unit").tolist()
    assert told == pytest.approx({"score": 2 * true - kind, "true": true, "kind": kind}, rel=1e-5)


def test_a_response_without_a_score(on_scale_folder: Path) -> None:
    call = one_call(0) | {"solution_str": ""}
    settings = {"folder": str(on_scale_folder), "objectives": ["kind", "true"]}
    assert compute_score(**call, **settings, unscorable=-2) == {"score": -2, "kind": -2, "true": -2}
    with pytest.raises(UserError, match="cannot be scored: the response is empty"):
        compute_score(**call, **settings)


@pytest.mark.parametrize(
    ("call", "settings", "sentence"),
    [
        ({"extra_info": None}, {}, "no 'prompt': put the prompt there"),
        ({"extra_info": {"question": "x"}}, {}, "no 'prompt': put the prompt there"),
        ({}, {"weights": [1.0, 2.0]}, "there are 2 weights and 1 objectives"),
        ({}, {"objectives": []}, "objectives names nothing"),
        ({}, {"objectives": ["nice"]}, "'nice' is no objective"),
        ({}, {"scale": "percent"}, "there is no scale 'percent'"),
        ({}, {"folder": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_is_refused(
    on_scale_folder: Path, call: dict[str, Any], settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as refused:
        compute_score(**(one_call(0) | call), **({"folder": str(on_scale_folder), "objectives": ["kind"]} | settings))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_misspelt_setting_is_no_setting(on_scale_folder: Path) -> None:
    with pytest.raises(TypeError, match="scal"):
        compute_score(**one_call(0), folder=str(on_scale_folder), objectives=["kind"], scal="unit")
