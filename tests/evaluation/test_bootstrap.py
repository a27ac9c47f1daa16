"""Bootstrap intervals for accuracies on pairs that share prompts."""

import numpy as np
import pytest
from scipy.stats import binomtest

from evaluation.bootstrap import by_prompt


def outcomes(seed: int, n: int, accuracy: float) -> np.ndarray:
    return np.random.default_rng(seed).random(n) < accuracy


def test_with_one_pair_a_prompt_the_interval_is_the_binomials() -> None:
    right = outcomes(0, 1000, 0.7)
    accuracies, _ = by_prompt({"rule": right}, np.arange(1000), "rule")
    exact = binomtest(int(right.sum()), 1000).proportion_ci(method="wilson")
    assert accuracies["rule"].accuracy == pytest.approx(right.mean())
    assert accuracies["rule"].low == pytest.approx(exact.low, abs=0.01)
    assert accuracies["rule"].high == pytest.approx(exact.high, abs=0.01)


def test_pairs_that_share_a_prompt_count_as_the_prompts_they_are() -> None:
    each = outcomes(1, 100, 0.6)
    together, _ = by_prompt({"rule": np.repeat(each, 9)}, np.repeat(np.arange(100), 9), "rule")
    alone, _ = by_prompt({"rule": each}, np.arange(100), "rule")
    assert together["rule"].low == pytest.approx(alone["rule"].low)
    assert together["rule"].high == pytest.approx(alone["rule"].high)


def test_a_lead_has_a_narrower_interval_than_the_accuracies_where_rules_agree() -> None:
    one = outcomes(2, 500, 0.6)
    other = one.copy()
    other[np.flatnonzero(~one)[:20]] = True
    accuracies, leads = by_prompt({"one": one, "other": other}, np.arange(500), "one")
    assert leads["other"].accuracy == pytest.approx(0.04)
    assert leads["other"].low > 0.02
    assert leads["other"].high - leads["other"].low < 0.5 * (accuracies["one"].high - accuracies["one"].low)
    assert (leads["one"].low, leads["one"].accuracy, leads["one"].high) == (0.0, 0.0, 0.0)


def test_the_same_seed_gives_the_same_interval() -> None:
    right = {"rule": outcomes(3, 200, 0.5)}
    assert by_prompt(right, np.arange(200), "rule") == by_prompt(right, np.arange(200), "rule")


def test_names_of_prompts_do_not_matter() -> None:
    right, prompt = outcomes(4, 90, 0.5), np.arange(90) // 3
    one, _ = by_prompt({"rule": right}, prompt, "rule")
    other, _ = by_prompt({"rule": right}, prompt * 7 + 100, "rule")
    assert one == other


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(100):
        each = np.random.default_rng(seed).random(150) < 0.7
        accuracies, _ = by_prompt({"rule": each}, np.arange(150), "rule", seed)
        covered += accuracies["rule"].low <= 0.7 <= accuracies["rule"].high
    assert 88 <= covered <= 99
