"""All benchmarks run one after the other, and one that fails does not end the others."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.all import BENCHMARKS, Benchmark, run_all, selected
from benchmarks.runs_kept import folder_name
from benchmarks.tables import TABLES
from cache import UserError
from tests.pipelines.conftest import ROOT

TINY = {
    "fails": Benchmark("tests.benchmarks.tiny", 2, 1, ("--end", "fails")),
    "lacks": Benchmark("tests.benchmarks.tiny", 2, 1, ("--end", "lacks")),
    "odd": Benchmark("tests.benchmarks.tiny", 2, 1, ("--end", "odd")),
    "works": Benchmark("tests.benchmarks.tiny", 2, 1),
}


def test_the_next_one_runs_after_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_all(TINY, False, tmp_path, None) == 1
    printed, said = capsys.readouterr()
    assert "| fails |" in printed
    assert "failed with exit status 1 (the disk is full: make room)" in printed
    assert "a_package_that_nobody_has is not installed (pip install 'armorm[benchmarks]')" in printed
    assert "| rows |\n|---|\n| 1000 |" in printed
    assert "failed: its table cannot be made (KeyError: 'rows')" in printed
    assert "1 of 4 done" in printed
    assert "[4 of 4] works: expected 2 s, all that is left 2 s" in said
    assert json.loads((tmp_path / "works.json").read_text())["rows"] == 1000
    assert "one line that a benchmark prints" in (tmp_path / "works.log").read_text()


def test_quick_sizes_keep_nothing_unless_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    works = {"works": TINY["works"]}
    assert run_all(works, True, tmp_path, None) == 0
    assert "| 10 |" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["works.json", "works.log"]
    assert run_all(works, True, tmp_path, tmp_path / "runs") == 0
    conditions = json.loads((tmp_path / "works.json").read_text())["conditions"]
    kept = tmp_path / "runs" / folder_name(conditions) / "works.json"
    assert kept.read_bytes() == (tmp_path / "works.json").read_bytes()


def test_some_are_chosen_by_file_or_by_module() -> None:
    assert list(selected(["heads"], False, BENCHMARKS)) == ["heads", "heads-workers", "heads-full-size"]
    assert list(selected(["heads"], True, BENCHMARKS)) == ["heads"]
    assert list(selected(["heads-workers", "store"], False, BENCHMARKS)) == ["store", "heads-workers"]
    with pytest.raises(UserError, match="no benchmark is named stor: take some of store, "):
        selected(["stor"], False, BENCHMARKS)


@pytest.mark.parametrize(
    ("given", "command"),
    [
        (["QUICK=1"], "-m benchmarks.all --quick"),
        (["BENCH=store heads"], "-m benchmarks.all store heads --keep"),
    ],
)
def test_make_bench_runs_them(given: list[str], command: str) -> None:
    told = subprocess.run(
        ["make", "--no-print-directory", "-n", "bench", *given], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert " ".join(told.split("\n")[-2].split()).endswith(command)


def test_quick_is_expected_to_take_eleven_minutes() -> None:
    assert sum(benchmark.quick or 0 for benchmark in BENCHMARKS.values()) <= 660


def test_every_benchmark_has_a_table_in_the_registry() -> None:
    assert {name: (one.module, name) for name, one in BENCHMARKS.items()} == {
        name: (source.module, source.json) for name, source in TABLES.items() if name != "gpu"
    }
