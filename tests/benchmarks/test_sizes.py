"""The benchmarks of large sizes, at small ones: their figures are of the rows that were asked for."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gate_sizes, heads_sizes, plan_sizes


def run(folder: Path, module: str, *arguments: str) -> dict[str, Any]:
    """The figures that a benchmark writes."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments, "--json", str(folder / "figures.json")]
    subprocess.run(command, check=True, capture_output=True)
    report: dict[str, Any] = json.loads((folder / "figures.json").read_text())
    return report


@pytest.mark.parametrize("layers", [1, 3])
def test_waves_add_up_to_the_rows_of_each_size(tmp_path: Path, layers: int) -> None:
    report = run(tmp_path, "heads_sizes", "--rows", "600", "1500", "--width", "32", "--layers", str(layers))
    assert [one["rows"] for one in report["results"]] == [600, 1500]
    assert all(one["statistics_bytes"] > 0 for one in report["results"])
    first, last = (one["mean_pearson"] for one in report["results"])
    assert last > first - 0.05  # more rows to learn from
    assert f"1,500{' × 3 layers' if layers == 3 else ''} × 32" in heads_sizes.table(report)


def test_a_plan_of_every_size_is_taken_up_again(tmp_path: Path) -> None:
    report = run(tmp_path, "plan_sizes", "--rows", "400", "2000")
    assert [one["sequences"] for one in report["results"]] == [500, 2500]
    assert all(0.5 < one["full"] <= 1 for one in report["results"])
    assert "2,000" in plan_sizes.table(report)


@pytest.mark.slow
def test_the_whole_command_on_made_pairs(tmp_path: Path) -> None:
    report = run(tmp_path, "gate_sizes", "--quick")
    assert [one["pairs"] for one in report["results"]] == [1_000, 10_000]
    assert report["results"][1]["gate"] > report["results"][1]["uniform"]
    assert "10,000" in gate_sizes.table(report)
