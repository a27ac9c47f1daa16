"""RAG-RewardBench: averages are over rows, as the published table's are."""

import pytest

from evaluation.suites.rag_reward_bench import ROWS, SCENARIOS
from extract.sources import rag_reward_bench
from tests.evaluation.lines import Row, scored

PUBLISHED = {
    "Skywork-Critic-Llama-3.1-70B": ((85.9, 77.1, 68.1, 91.6, 74.2, 83.2), (76.1, 82.0), 78.3),
    "INF-ORM-Llama3.1-70B": ((80.5, 76.5, 62.9, 85.2, 84.8, 81.0), (72.3, 83.6), 76.6),
}
"""Table 2 of arXiv 2412.13746: the six scenarios, the averages of helpful and harmless ones, overall."""

COUNTS = (262, 306, 361, 155, 217, 184)
"""Rows of the scenarios, inferred from the percentages of that table."""


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_published_averages_come_out_of_the_published_columns(model: str) -> None:
    columns, averages, overall = PUBLISHED[model]
    rows: list[Row] = []
    for scenario, count, share in zip(SCENARIOS, COUNTS, columns, strict=True):
        right = round(count * share / 100)
        rows += [(scenario, str(number), [1.0 if number < right else 0.0], [0.5]) for number in range(count)]
    result = scored("rag_rewardbench", rows)
    shown = [round(100 * figure, 1) for figure in result.sections.values()]
    assert shown == list(columns)
    parts = [round(100 * figure.value, 1) for figure in result.extra["averages"].values()]
    assert parts == list(averages)
    assert round(100 * result.score, 1) == overall


def test_the_counts_add_up_to_the_benchmarks_rows() -> None:
    assert sum(COUNTS) == ROWS == 1485


def test_the_scenarios_read_are_the_scenarios_scored() -> None:
    assert SCENARIOS == rag_reward_bench.SCENARIOS
