"""All ways of the heads' benchmark give the same heads, and its tables are made of its JSON alone."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.heads import authors, normal_equations, ours, table
from benchmarks.heads.comparison import agreement, difference, results_of
from benchmarks.heads.data import generate, read

ROWS, WIDTH = 3000, 48


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, and every way's results."""
    folder = tmp_path_factory.mktemp("heads")
    generate(folder, ROWS, WIDTH)
    for fit in (ours.fit, normal_equations.fit, authors.fit, authors.fit_exactly):
        fit(*read(folder, ROWS), folder)
    return folder


@pytest.mark.parametrize("way", ["normal_equations", "authors"])
def test_a_baseline_chooses_the_same_alphas_and_has_the_same_losses(folder: Path, way: str) -> None:
    found = agreement(results_of(folder, way), results_of(folder, "ours"))
    assert found["same_alphas"]
    assert found["validation_loss_anywhere"] < 1e-4


@pytest.mark.parametrize(("way", "apart"), [("ours", 1e-9), ("normal_equations", 1e-4), ("authors", 1e-4)])
def test_every_ways_heads_are_those_of_float64(folder: Path, way: str, apart: float) -> None:
    assert difference(results_of(folder, way)["weights"], results_of(folder, "exact")["weights"]) < apart


def test_alphas_differ_between_objectives_so_that_the_choice_is_one(folder: Path) -> None:
    assert len(np.unique(results_of(folder, "ours")["alphas"])) > 1


def test_normal_equations_take_float64_where_float32_is_not_positive_definite() -> None:
    rng = np.random.default_rng(0)
    x = np.ones((64, 40), np.float32)  # x' x is exact and of rank one; float32 loses alpha beside it
    y = rng.standard_normal((64, 2), dtype=np.float32)
    xx, xy = np.zeros((40, 40), np.float32, order="F"), np.zeros((40, 2))
    normal_equations.add(x, y, xx, xy)
    alpha = 1e-7
    found = normal_equations.solve(xx, xy, alpha, np.empty_like(xx, order="F"))
    assert found.dtype == np.float64
    np.testing.assert_allclose(x @ found, np.broadcast_to(y.mean(axis=0), y.shape), atol=1e-5)


def run(tmp_path: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """The JSON of a run of the command, and what it printed."""
    file = tmp_path / "heads.json"
    command = [sys.executable, "-m", "benchmarks.heads", "--width", "24", "--json", str(file), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(file.read_text()), done.stdout


def test_the_command_measures_all_ways_and_prints_their_tables(tmp_path: Path) -> None:
    report, printed = run(tmp_path, "--rows", "1400", "--rounds", "1", "--authors-rows", "700")
    (size,) = report["side_by_side"]
    assert [(each["way"], each["rows"]) for each in size["ways"]] == [
        ("normal_equations", 1400),
        ("ours", 1400),
        ("authors", 700),
    ]
    assert all(found["same_alphas"] for found in size["agreement"].values())
    assert report["blas"]["libraries"]
    assert report["conditions"]["versions"]
    assert printed == table(report)
    assert "authors' way, extrapolated |" in printed
    assert printed.count("normal equations |") == 2  # time, and agreement


def test_the_authors_time_is_extrapolated_on_the_line_of_two_sizes() -> None:
    def way(name: str, rows: int, seconds: float) -> dict[str, Any]:
        return {"way": name, "rows": rows, "seconds": seconds, "peak_bytes": 1e9}

    sizes = [
        {"rows": 100, "ways": [way("ours", 100, 1.0), way("authors", 100, 30.0)]},
        {"rows": 200, "ways": [way("ours", 200, 1.0), way("authors", 200, 40.0)]},
        {"rows": 1000, "ways": [way("ours", 1000, 2.0)]},
    ]
    printed = table({"width": 8, "side_by_side": sizes, "blas": {"libraries": [], "environment": {"A": "b"}}})
    assert "| 1,000 | authors' way, extrapolated | 120.0 s |  |  | 60.00 |" in printed
    assert "slowed by A=b" in printed


@pytest.mark.slow
def test_the_full_size_and_the_workers_have_their_tables(tmp_path: Path) -> None:
    report, printed = run(tmp_path, "--rows", "700", "1400", "--full-size")
    assert [each["way"] for each in report["full_size"]["ways"]] == 2 * [
        *("normal_equations", "saved", "workers"),
    ]
    assert all(each["same_alphas"] for each in report["full_size"]["agreement"])
    assert printed.count("| 1,400 × 24 |") == 3
    assert printed == table(report)
    report, printed = run(tmp_path, "--rows", "1400", "1000", "--rounds", "1", "--authors-rows", "1000")
    small, large = report["side_by_side"]
    assert [each["way"] for each in small["ways"]] == ["normal_equations", "ours", "authors"]
    assert [each["way"] for each in large["ways"]] == ["normal_equations", "ours"]
    assert "authors' way, extrapolated |" in printed
    report, printed = run(tmp_path, "--rows", "40000", "--workers", "2")
    assert report["by_workers"]["resumed_the_same_to_the_bit"]
    assert report["by_workers"]["same_alphas"]
    assert printed == table(report)
