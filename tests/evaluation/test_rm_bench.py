"""RM-Bench: the matrix of styles, as the benchmark's own published code computes it."""

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.suites.rm_bench import SUBSETS
from extract.sources import rm_bench
from tests.evaluation.lines import scored

CASES = json.loads((Path(__file__).parent / "data" / "rm_bench.json").read_text())
"""Random scores, and what the benchmark's own published code makes of them."""


@pytest.mark.parametrize("case", CASES, ids=[f"{number}" for number in range(len(CASES))])
def test_figures_equal_the_benchmarks_own_code(case: dict[str, Any]) -> None:
    result = scored(
        "rmbench", [(row["domain"], row["id"], row["score_chosen"], row["score_rejected"]) for row in case["rows"]]
    )
    expected = case["result"]
    assert result.score == pytest.approx(expected["total_avg_acc"], abs=1e-12)
    assert list(result.sections) == ["chat", "math", "code", "safety"]
    for domain, figure in result.sections.items():
        assert figure == pytest.approx(expected[domain], abs=1e-12)
    for level, figure in result.extra["difficulty"].items():
        assert figure.value == pytest.approx(expected[f"{level}_acc"], abs=1e-12)
        assert figure.low <= figure.value <= figure.high


def test_a_rule_that_looks_at_style_alone_is_right_on_easy_wrong_on_hard_and_never_on_the_diagonal() -> None:
    result = scored("rmbench", [("chat", "0", [0.0, 1.0, 2.0], [0.0, 1.0, 2.0])])
    levels = {level: figure.value for level, figure in result.extra["difficulty"].items()}
    assert levels == {"easy": 1.0, "normal": 0.0, "hard": 0.0}
    cells = {name: figure.value for name, figure in result.extra["chat"].items()}
    assert cells["markdown > concise"] == 1.0
    assert cells["concise > markdown"] == cells["concise > concise"] == 0.0
    assert result.score == pytest.approx(1 / 3)


def test_both_kinds_of_safety_rows_make_one_domain_of_all_their_rows() -> None:
    right, wrong = ([1.0] * 3, [0.0] * 3), ([0.0] * 3, [1.0] * 3)
    rows = [("safety-refuse", str(number), *right) for number in range(3)] + [("safety-response", "0", *wrong)]
    result = scored("rmbench", rows)
    assert result.sections == {"safety": 0.75}
    assert result.subsets["safety-refuse"].accuracy == 1.0
    assert result.subsets["safety-response"].accuracy == 0.0


def test_a_row_with_another_number_of_styles_is_refused() -> None:
    with pytest.raises(ValueError, match="three chosen and three rejected"):
        scored("rmbench", [("chat", "0", [0.0, 1.0], [0.0, 1.0, 2.0])])


def test_the_domains_read_are_the_domains_scored() -> None:
    assert set(SUBSETS) == set(rm_bench.DOMAINS)
