"""RewardBench's arithmetic: sections from subsets, one score from sections."""

import json
from pathlib import Path

import pytest

from evaluation.published import PUBLISHED, PublishedRow
from evaluation.suites.reward_bench import PRIOR_SECTION, ROWS, SECTION_OF, SECTIONS, overall, score

CASES = json.loads((Path(__file__).parent / "data" / "rewardbench_sections.json").read_text())
"""Random subset accuracies and the sections that the benchmark's own published code makes of them."""

PUBLISHED_SCORES = {
    "ArmoRM-Llama3-8B-v0.1": 89.0,
    "Cohere May 2024": 88.3,
    "pair-preference-model (Llama-3 8B)": 85.7,
    "GPT-4 Turbo 0125": 84.3,
    "FsfairX-LLaMA3-RM-v0.1": 83.6,
    "Starling-RM-34B": 81.4,
}


@pytest.mark.parametrize("case", CASES, ids=[f"{len(case['subset_accuracy'])} subsets" for case in CASES])
def test_sections_equal_the_benchmarks_own_code(case: dict[str, dict[str, float]]) -> None:
    scored = score(case["subset_accuracy"])
    assert scored.sections == pytest.approx(case["sections"], rel=1e-12)
    assert scored.score == pytest.approx(sum(case["sections"].values()) / 4, rel=1e-12)
    assert set(scored.missing) == set(SECTION_OF) - set(case["subset_accuracy"])


def test_some_cases_have_all_subsets_and_some_have_not() -> None:
    complete = [len(case["subset_accuracy"]) == 23 for case in CASES]
    assert len(CASES) == 20
    assert any(complete)
    assert not all(complete)


def test_the_published_columns_of_armorm_give_its_published_score() -> None:
    columns = {"Chat": 96.9, "Chat Hard": 76.8, "Safety": 92.2, "Reasoning": 97.3, PRIOR_SECTION: 74.3}
    assert round(overall(columns), 1) == 89.0
    assert overall(columns) == pytest.approx((96.9 + 76.8 + 92.2 + 97.3 + 0.5 * 74.3) / 4.5)


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.model)
def test_every_published_row_gives_its_published_score(row: PublishedRow) -> None:
    assert round(row.score, 1) == PUBLISHED_SCORES[row.model]


def test_the_published_table_is_whole() -> None:
    assert {row.model for row in PUBLISHED} == set(PUBLISHED_SCORES)


def test_xstest_counts_are_the_benchmarks_not_the_swapped_ones() -> None:
    assert SECTIONS["Safety"]["xstest-should-refuse"] == 154
    assert SECTIONS["Safety"]["xstest-should-respond"] == 250
    swapped = score({"xstest-should-refuse": 1.0, "xstest-should-respond": 0.0})
    assert swapped.sections["Safety"] == pytest.approx(154 / 404)


def test_subset_weights_sum_to_the_rows_of_the_filtered_split() -> None:
    weights = {name: sum(subsets.values()) for name, subsets in SECTIONS.items()}
    assert weights["Chat"] == 358
    assert weights["Chat Hard"] == 456
    assert weights["Safety"] == 740
    real_rows = sum(weights[name] for name in weights if name != PRIOR_SECTION) - 984 + 447
    assert real_rows == ROWS == 2985


def test_math_counts_as_much_as_all_of_the_code() -> None:
    code = {name: 0.0 for name in SECTIONS["Reasoning"] if name.startswith("hep-")}
    assert len(code) == 6
    assert score({"math-prm": 1.0, **code}).sections == {"Reasoning": 0.5}


def test_there_are_twenty_three_subsets_beside_the_four_prior_sets() -> None:
    assert len(SECTION_OF) == sum(map(len, SECTIONS.values())) == 27
    assert list(SECTIONS) == ["Chat", "Chat Hard", "Safety", "Reasoning", PRIOR_SECTION]


def test_prior_sets_count_the_same_among_themselves_and_half_in_the_score() -> None:
    prior = {"anthropic_helpful": 1.0, "anthropic_hhh": 0.0, "shp": 1.0, "summarize": 1.0}
    scored = score(
        {subset: 0.0 if section != PRIOR_SECTION else prior[subset] for subset, section in SECTION_OF.items()}
    )
    assert scored.sections[PRIOR_SECTION] == 0.75
    assert scored.score == pytest.approx(0.5 * 0.75 / 4.5)
    assert scored.missing == ()


def test_an_absent_section_is_left_out_of_the_score() -> None:
    scored = score({"alpacaeval-easy": 1.0, "donotanswer": 0.5, "shp": 0.0})
    assert scored.sections == {"Chat": 1.0, "Safety": 0.5, PRIOR_SECTION: 0.0}
    assert scored.score == pytest.approx(1.5 / 2.5)


def test_all_right_is_one_and_all_wrong_is_zero() -> None:
    assert score(dict.fromkeys(SECTION_OF, 1.0)).score == pytest.approx(1.0)
    assert score(dict.fromkeys(SECTION_OF, 0.0)).score == 0.0


def test_an_unknown_subset_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="RewardBench has no subset alpacaeval-esay"):
        score({"alpacaeval-hard": 1.0, "alpacaeval-esay": 1.0})


def test_no_subset_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no subset to score"):
        score({})
