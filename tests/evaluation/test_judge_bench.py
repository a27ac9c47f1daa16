"""JudgeBench: accuracy by category of source, and by response model."""

import pytest

from evaluation.suites.judge_bench import SECTIONS
from extract.sources import judge_bench
from tests.evaluation.lines import Row, scored

RIGHT, WRONG, TIE = ([1.0], [0.0]), ([0.0], [1.0]), ([1.0], [1.0])


def test_figures_are_those_of_the_benchmarks_script() -> None:
    # By hand: run_judge.py prints the share of right ones among sources that begin with each name, and over all.
    rows: list[Row] = [
        ("gpt-4o/mmlu-pro-law", "0", *RIGHT),
        ("gpt-4o/mmlu-pro-math", "1", *WRONG),
        ("gpt-4o/livebench-reasoning", "2", *RIGHT),
        ("gpt-4o/livebench-math", "3", *TIE),
        ("gpt-4o/livecodebench", "4", *RIGHT),
        ("claude/mmlu-pro-law", "5", *RIGHT),
    ]
    result = scored("judgebench", rows)
    assert result.score == pytest.approx(4 / 6)
    assert result.sections == pytest.approx({"knowledge": 2 / 3, "reasoning": 1.0, "math": 0.0, "coding": 1.0})
    gpt = {name: figure.value for name, figure in result.extra["gpt-4o"].items()}
    assert gpt == pytest.approx({"all": 3 / 5, "knowledge": 0.5, "reasoning": 1.0, "math": 0.0, "coding": 1.0})
    claude = {name: figure.value for name, figure in result.extra["claude"].items()}
    assert claude == {"all": 1.0, "knowledge": 1.0}


def test_the_sources_read_are_the_sources_scored() -> None:
    assert tuple(SECTIONS.values()) == judge_bench.SOURCES
