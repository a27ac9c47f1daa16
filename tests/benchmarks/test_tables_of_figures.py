"""The published figures of a benchmark are enough to print its tables."""

import importlib

import pytest

from benchmarks.runs_kept import runs_of

PARTS = {
    "ablate": ("kinds",),
    "evaluate": ("parts",),
    "other_heads": ("results",),
    "personalise": ("accuracy",),
    "suggest": ("retrospective", "cost"),
    "uncertainty": ("speed", "accuracy"),
}
"""Benchmark -> parts of its figures that have a line for each entry."""


@pytest.mark.parametrize("name", sorted(PARTS))
def test_a_table_has_a_line_for_every_figure(name: str) -> None:
    report = runs_of(name)[0].report
    printed = importlib.import_module(f"benchmarks.{name}").table(report)
    count = 0
    for part in printed.split("\n\n"):
        rows = [line for line in part.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1  # as many cells as the heading
        count += max(0, len(rows) - 2)
    assert count == sum(len(report[part]) for part in PARTS[name]) > 0
