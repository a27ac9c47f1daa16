"""Tables with intervals: the same draws for all rules, prompts and not rows, and nothing judged that cannot be."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import bootstrap

from evaluation.metrics import accuracy_of
from evaluation.outcomes import Rows
from evaluation.results import RuleScore
from evaluation.scoring import score_suite
from evaluation.suites import SUITES
from evaluation.suites.reward_bench import SECTION_OF, score
from evaluation.units import Units, resampled, totals
from tests.evaluation.lines import Row, lines_of

SUBSETS = ("alpacaeval-easy", "mt-bench-hard", "donotanswer", "math-prm", "hep-go", "shp")


def random_rows(seed: int, rows: int) -> tuple[pl.DataFrame, dict[str, NDArray[np.float64]]]:
    """RewardBench rows, a rule that is right on two thirds, and one that is right on nearly the same rows."""
    rng = np.random.default_rng(seed)
    made: list[Row] = [
        (SUBSETS[number % len(SUBSETS)], str(number), [float(rng.random() < 2 / 3)], [0.5]) for number in range(rows)
    ]
    lines, scores = lines_of(made)
    other = np.where(rng.random(len(scores)) < 0.02, 1 - scores, scores)
    return lines, {"one": scores, "other": other, "none": np.zeros(len(scores))}


def table(seed: int = 0, rows: int = 300) -> dict[str, RuleScore]:
    return score_suite(SUITES["rewardbench"], *random_rows(seed, rows))


def test_figures_are_the_suites_arithmetic_on_accuracies() -> None:
    lines, scores = random_rows(0, 300)
    for rule, result in score_suite(SUITES["rewardbench"], lines, scores).items():
        accuracies = {}
        for subset in SUBSETS:
            own = (lines["subset"] == subset).to_numpy()
            chosen, rejected = (scores[rule][own & (lines["chosen"] == side).to_numpy()] for side in (True, False))
            accuracies[subset] = float((chosen > rejected).mean())
        expected = score(accuracies)
        assert result.score == pytest.approx(expected.score)
        assert result.sections == pytest.approx(expected.sections)
        assert {name: subset.accuracy for name, subset in result.subsets.items()} == pytest.approx(accuracies)
        assert set(result.missing_subsets) == set(SECTION_OF) - set(SUBSETS)


def test_every_figure_lies_in_its_interval() -> None:
    for result in table().values():
        assert result.score_low <= result.score <= result.score_high
        assert result.sections.keys() == result.section_intervals.keys()
        for section, figure in result.sections.items():
            assert result.section_intervals[section].low <= figure <= result.section_intervals[section].high


def test_the_interval_of_a_section_of_one_subset_agrees_with_scipys_bootstrap() -> None:
    lines, scores = random_rows(0, 600)
    result = score_suite(SUITES["rewardbench"], lines, scores)["one"].section_intervals["Safety"]
    chosen = (lines["chosen"] & (lines["subset"] == "donotanswer")).to_numpy()
    right = scores["one"][chosen] > 0.5
    expected = bootstrap((right,), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(1))
    assert result.low == pytest.approx(expected.confidence_interval.low, abs=0.02)
    assert result.high == pytest.approx(expected.confidence_interval.high, abs=0.02)


def test_subsets_without_shared_prompts_have_wilson_intervals() -> None:
    lines, scores = random_rows(0, 60)
    subset = score_suite(SUITES["rewardbench"], lines, scores)["one"].subsets["shp"]
    expected = accuracy_of(scores["one"][(lines["chosen"] & (lines["subset"] == "shp")).to_numpy()] > 0.5)
    assert subset == expected
    assert subset.rows == 10


def test_rows_that_share_a_prompt_are_drawn_together() -> None:
    lines, scores = random_rows(0, 240)
    one_prompt = lines.with_columns(prompt_key=(pl.int_range(pl.len()) // 60).cast(pl.String).cast(pl.Binary))
    apart = score_suite(SUITES["rewardbench"], lines, scores)["one"]
    together = score_suite(SUITES["rewardbench"], one_prompt, scores)["one"]
    assert together.score == apart.score
    assert together.score_high - together.score_low != pytest.approx(apart.score_high - apart.score_low)
    # Six subsets of one prompt each could only be drawn as they are.
    every = score_suite(SUITES["rewardbench"], lines.with_columns(prompt_key=pl.lit(b"p")), scores)["one"]
    assert every.score_low == pytest.approx(every.score)
    assert every.score_high == pytest.approx(every.score)


def test_all_rules_are_judged_on_the_same_draws() -> None:
    lines, scores = random_rows(3, 300)
    units = SUITES["rewardbench"].units(Rows.of(lines), np.stack([scores["one"], scores["other"]], axis=-1))
    drawn = SUITES["rewardbench"].figures(resampled(units)).score  # (draws, rules)
    assert np.corrcoef(drawn.T)[0, 1] > 0.8


def test_another_seed_moves_the_ends_a_little_and_the_figure_not_at_all() -> None:
    lines, scores = random_rows(0, 300)
    one, other = (score_suite(SUITES["rewardbench"], lines, scores, seed=seed)["one"] for seed in (0, 1))
    assert one.score == other.score
    assert one.score_low == pytest.approx(other.score_low, abs=0.01)
    assert one.score_low != other.score_low


def test_the_order_of_lines_does_not_matter() -> None:
    lines, scores = random_rows(0, 120)
    order = np.random.default_rng(0).permutation(len(lines))
    mixed = score_suite(
        SUITES["rewardbench"], lines[order.tolist()], {rule: values[order] for rule, values in scores.items()}
    )
    expected = score_suite(SUITES["rewardbench"], lines, scores)
    for rule, result in expected.items():
        assert mixed[rule].score == pytest.approx(result.score)
        assert mixed[rule].sections == pytest.approx(result.sections)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_refused(bad: float) -> None:
    lines, scores = random_rows(0, 12)
    scores["one"][3] = bad
    with pytest.raises(ValueError, match="not finite"):
        score_suite(SUITES["rewardbench"], lines, scores)


@pytest.mark.parametrize("suite", [name for name in SUITES if name not in ("rewardbench", "rmbench")])
def test_a_row_without_a_rejected_response_is_refused_by_every_suite(suite: str) -> None:
    lines, scores = lines_of([("Math", "0", [1.0], [0.0]), ("Math", "17", [1.0], [])])
    with pytest.raises(ValueError, match="row 17 has no"):
        score_suite(SUITES[suite], lines, {"rule": scores})


@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(1, 4), st.integers(1, 3))
def test_draws_keep_the_number_of_clusters_of_each_stratum(seed: int, units: int, strata: int, cells: int) -> None:
    rng = np.random.default_rng(seed)
    stratum = rng.integers(strata, size=units)
    values = rng.random((units, cells, 2))
    made = Units(("a", "b", "c", "d"), stratum, values, np.arange(units), stratum)
    drawn, whole = resampled(made, resamples=8), totals(made)
    np.testing.assert_array_equal(drawn.counts, np.broadcast_to(whole.counts, drawn.counts.shape))
    for number in np.unique(stratum):
        own = values[stratum == number]
        mean = drawn.mean("abcd"[number])
        assert (mean >= own[:, 0].min(axis=0) - 1e-6).all()
        assert (mean <= own[:, 0].max(axis=0) + 1e-6).all()
