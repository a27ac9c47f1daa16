"""Moments of rewards and scores over a reference set, against sums written out; and what a file may hold of them."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from cache import FeatureStore, UserError
from cache.progress import silent
from extract.style import STYLE
from gating.measured import Measured
from gating.moments import Moments, ReferenceMoments
from gating.reference_moments import reference_moments
from gating.reference_set import reference_responses
from gating.reward import RewardParts
from tests.cache.rows import new_store, seal, some_keys
from tests.export.conftest import random_parts

RESPONSES, PROMPTS, D = 30, 6, 16


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Responses, and behind them prompts."""
    store = new_store(tmp_path_factory.mktemp("store"))
    seal(store, "one", 0, RESPONSES + PROMPTS)
    return store


def responses(first_prompt: int = RESPONSES) -> pl.DataFrame:
    keys = [bytes(key) for key in some_keys(0, RESPONSES)]
    prompts = [bytes(key) for key in some_keys(first_prompt, first_prompt + PROMPTS)]
    return pl.DataFrame(
        {
            "key": keys,
            "response_tokens": np.arange(10, 10 + RESPONSES, dtype=np.int32),
            **{mark: np.arange(RESPONSES, dtype=np.int32) % 3 for mark in STYLE},
            "prompt_key": [prompts[number % PROMPTS] for number in range(RESPONSES)],
        }
    )


def by_hand(store: FeatureStore, parts: RewardParts) -> dict[str, np.ndarray[Any, Any]]:
    features = store.gather(some_keys(0, RESPONSES + PROMPTS)).reshape(-1, D)
    gate = parts.weights(features[RESPONSES:])
    rewards, adjusted, scores = [], [], []
    for number in range(RESPONSES):
        scored = parts.score(
            parts.rewards(features[number : number + 1])[0],
            gate[number % PROMPTS],
            1,
            Measured(np.array([10 + number]), np.full((1, 3), number % 3)),
        )
        rewards.append(scored.rewards)
        adjusted.append(scored.adjusted)
        scores.append(scored.score)
    return {"rewards": np.array(rewards), "debiased": np.array(adjusted), "score": np.array(scores)}


@pytest.mark.parametrize("verbosity", ["long", "response_tokens", "none"])
def test_means_and_deviations_are_those_of_the_scores_one_by_one(store: FeatureStore, verbosity: str) -> None:
    parts = random_parts(D, verbosity)
    if verbosity == "long":  # as fitted: what is the verbosity itself is taken out whole
        parts.transform.on_rewards[2, 2] = 1.0
    told = reference_moments(responses(), parts, store, silent)
    expected = by_hand(store, parts)
    assert (told.responses, told.scored) == (RESPONSES, RESPONSES)
    assert told.score is not None
    assert told.score.mean == pytest.approx(expected["score"].mean(), rel=1e-5, abs=1e-5)
    assert told.score.std == pytest.approx(expected["score"].std(), rel=1e-5, abs=1e-5)
    for kind, moments in (("rewards", told.rewards), ("debiased", told.debiased)):
        assert list(moments) == list(parts.objectives)
        for name, column in zip(parts.objectives, expected[kind].T, strict=True):
            assert moments[name].mean == pytest.approx(column.mean(), rel=1e-5, abs=1e-5)
            nothing_left = (kind, name, verbosity) == ("debiased", "long", "long")
            assert moments[name].std == (None if nothing_left else pytest.approx(column.std(), rel=1e-5, abs=1e-5))


def test_responses_whose_prompt_has_no_feature_count_for_the_rewards_alone(store: FeatureStore) -> None:
    parts = random_parts(D, "long")
    told = reference_moments(responses(first_prompt=RESPONSES + PROMPTS - 1), parts, store, silent)
    assert (told.responses, told.scored) == (RESPONSES, RESPONSES // PROMPTS)
    expected = by_hand(store, parts)
    assert told.rewards["kind"].mean == pytest.approx(expected["rewards"][:, 0].mean(), rel=1e-5, abs=1e-5)
    none = reference_moments(responses(first_prompt=RESPONSES + PROMPTS), parts, store, silent)
    assert (none.scored, none.score) == (0, None)


def test_a_reward_that_is_not_finite_is_refused(store: FeatureStore) -> None:
    parts = random_parts(D, "none")
    parts.weight[1, 0] = 1e33
    with pytest.raises(UserError, match="the true of a reference response is not finite"):
        reference_moments(responses(), parts, store, silent)


def test_each_response_of_a_split_comes_once_with_its_prompt() -> None:
    pairs = pl.DataFrame(
        {
            "dataset": ["a", "a", "b"],
            "split": ["train", "train", "train"],
            "prompt_key": [b"p", b"q", b"r"],
            "chosen_key": [b"1", b"2", b"9"],
            "rejected_key": [b"3", b"1", b"8"],
            "chosen_tokens": [1, 2, 3],
            "rejected_tokens": [4, 5, 6],
            **{f"{side}_{mark}": [0, 1, 2] for side in ("chosen", "rejected") for mark in STYLE},
        }
    )
    rated = {"dataset": ["a"], "split": ["validation"], "prompt_key": [b"p"], "response_key": [b"1"]}
    told = reference_responses(
        pairs, pl.DataFrame(rated | {"response_tokens": [7]} | {mark: [3] for mark in STYLE}), ["a"]
    )
    assert told.columns == ["split", "prompt_key", "key", "response_tokens", *STYLE]
    assert told.sort("split", "key").select(told.columns[:4]).rows() == [
        ("train", b"p", b"1", 1),
        ("train", b"q", b"2", 2),
        ("train", b"p", b"3", 4),
        ("validation", b"p", b"1", 7),
    ]


@pytest.mark.parametrize("std", [0.0, -1.0, 1e-300, float("nan"), float("inf"), "much"])
def test_a_deviation_in_a_file_is_a_size_or_none(std: object) -> None:
    with pytest.raises(ValidationError):
        Moments.model_validate({"mean": 0.0, "std": std})
    assert Moments.model_validate({"mean": 0.0, "std": None}).std is None


def test_what_is_written_is_read_back(store: FeatureStore, tmp_path: Path) -> None:
    told = reference_moments(responses(), random_parts(D, "long"), store, silent)
    assert ReferenceMoments.model_validate_json(told.model_dump_json()) == told
