"""`--worker`: workers that run at once make one run's features."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cache.keys import as_keys
from cache.verify import verify
from cache.worker import Worker
from tests.conftest import ROOT
from tests.extract.test_run import stored_bytes
from tests.pipelines.small_run import run_here, small_run, store_of
from tests.pipelines.struck import extract_struck

VARIABLES = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    *(f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "COUNT", "MIN", "MAX", "STEP")),
)


@pytest.fixture(autouse=True)
def no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may be run by one."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def start(recipe: Path, worker: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pipelines.cli", "extract", "--recipe", str(recipe), "--worker", worker]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def assert_same_rows(recipe: Path, other: Path) -> None:
    """Both runs have the same keys, features equal up to what shares a pack, and the same tables."""
    stores = [store_of(recipe), store_of(other)]
    stored = [stored_bytes(store) for store in stores]
    assert stored[0].keys() == stored[1].keys()
    keys = as_keys(stored[0])
    one, two = (store.gather(keys) for store in stores)
    assert np.linalg.norm(one - two) < 1e-3 * np.linalg.norm(one)  # float16 rounds to 5e-4
    for table in ("examples", "pairs", "suites", "suite_texts"):
        paths = [path.parent / "runs" / "small" / "tables" / f"{table}.parquet" for path in (recipe, other)]
        assert pl.read_parquet(paths[0]).equals(pl.read_parquet(paths[1]))


def test_two_workers_at_once_and_a_last_run_without_make_one_run(tmp_path: Path) -> None:
    alone, shared = small_run(tmp_path / "alone"), small_run(tmp_path / "shared")
    total = run_here(alone)
    by_hand = start(shared, "1/2")
    by_torchrun = start(shared, "auto", RANK="1", WORLD_SIZE="2")
    for process in (by_hand, by_torchrun):
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        assert "when all are, run extract without --worker: it writes the tables" in said
    assert len(store_of(shared)) == total
    run = shared.parent / "runs" / "small"
    assert not (run / "tables").exists()
    assert not (run / "extract.json").exists()
    assert run_here(shared) == 0
    assert_same_rows(shared, alone)
    found = verify(store_of(shared).folder)
    assert (found.problems, found.leftovers) == ([], [])


def test_a_worker_that_is_killed_goes_on_with_its_own_while_the_other_is_not_disturbed(tmp_path: Path) -> None:
    unharmed, recipe = small_run(tmp_path / "unharmed"), small_run(tmp_path / "killed")
    for number in (1, 2):
        run_here(unharmed, Worker(number, 2))
    other = start(recipe, "2/2")
    killed = extract_struck(recipe, ["SIGKILL:cache.sealing:sha256:2"], "--worker", "1/2")
    assert killed.returncode == -signal.SIGKILL
    _, said = other.communicate(timeout=300)
    assert other.returncode == 0, said
    before = len(store_of(recipe))
    assert run_here(recipe, Worker(2, 2)) == 0
    assert run_here(recipe, Worker(1, 2)) > 0
    assert before < len(store_of(recipe))
    assert stored_bytes(store_of(recipe)) == stored_bytes(store_of(unharmed))
    assert run_here(recipe) == 0
    found = verify(store_of(recipe).folder)
    assert (found.problems, found.leftovers) == ([], [])


def test_a_worker_says_nothing_of_files_that_it_does_not_write(tmp_path: Path) -> None:
    recipe = small_run(tmp_path)
    with (tmp_path / "rated.jsonl").open("a") as rows:
        rows.write('{"prompt": "Why?", "response": "", "polite": 3}\n')
    process = start(recipe, "1/2")
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "skipped.jsonl" not in out
    assert not (tmp_path / "runs" / "small" / "skipped.jsonl").exists()
