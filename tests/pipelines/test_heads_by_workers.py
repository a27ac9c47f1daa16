"""`fit-heads --workers`: the heads of one process, at any moment of being ended."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from cache import UserError
from cache.progress import silent
from heads.ridge.segments import FOLDER as UNFINISHED
from pipelines.artefacts import HEADS, LEASES
from pipelines.cli import app
from pipelines.commands.fit_heads import fit_heads
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.conftest import ROOT
from tests.pipelines.pairs_run import extracted, unrated_run, write_rows
from tests.pipelines.small_run import run_here, small_run

INTERRUPTED = 130
"""The exit code: 128 and the number of SIGINT, as shells give it."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose features are stored, and its heads by one process."""
    recipe = small_run(tmp_path_factory.mktemp("made"))
    run_here(recipe)
    fit_heads(Run(read_recipe(recipe)), silent)
    return recipe


def weight(recipe: Path) -> np.ndarray:
    return load_file(recipe.parent / "runs" / "small" / "heads.safetensors")["weight"]


def again(made: Path, folder: Path) -> Path:
    """A run of the recipe and its features, without heads."""
    recipe = folder / "small.toml"
    recipe.write_text(made.read_text().replace(f'"{made.parent}/runs"', f'"{folder}/runs"'))
    shutil.copytree(made.parent / "runs", folder / "runs")
    run = folder / "runs" / "small"
    for path in run.glob("*"):
        if path.name.startswith(("statistics", "heads", "uncertainty", "intervals")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return recipe


def assert_made(recipe: Path, made: Path) -> None:
    """The heads are those of one process, and nothing else is left."""
    np.testing.assert_allclose(weight(recipe), weight(made), rtol=1e-6, atol=1e-6 * np.abs(weight(made)).max())
    folders = [each.parent / "runs" / "small" for each in (recipe, made)]
    names = [
        {path.name for path in folder.rglob("*") if LEASES not in path.relative_to(folder).parts} for folder in folders
    ]
    assert names[0] == names[1]


def struck(recipe: Path, moment: str) -> subprocess.CompletedProcess[str]:
    """Run `armorm fit-heads --workers 2` and strike it at a moment, see `tests.pipelines.struck`."""
    command = [sys.executable, "-m", "tests.pipelines.struck", moment, "fit-heads", "--recipe", str(recipe)]
    done = subprocess.run(
        [*command, "--workers", "2"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert f"struck by {moment}\n" in done.stderr, done.stderr
    return done


def test_two_workers_make_the_heads_of_one_process_and_their_sums_are_used_again(made: Path, tmp_path: Path) -> None:
    recipe = again(made, tmp_path)
    run = Run(read_recipe(recipe))
    result = fit_heads(run, silent, workers=2)
    assert_made(recipe, made)
    one = Run(read_recipe(made)).read(HEADS)
    assert (result.rows_read, result.rows_reused) == (one.rows_read, 0)
    assert result.alphas_by_objective() == one.alphas_by_objective()
    assert fit_heads(run, silent, workers=2).rows_read == 0
    assert fit_heads(run, silent).rows_read == 0


@pytest.mark.slow
@pytest.mark.parametrize("blow", ["SIGINT", "SIGTERM", "SIGKILL"])
@pytest.mark.parametrize(
    ("moment", "all_saved"),
    [("heads.ridge.workers:_merge:1", True), ("heads.ridge.workers:ProcessPool.submit:2", False)],
)
def test_a_run_that_is_ended_goes_on_with_its_sums(
    made: Path, tmp_path: Path, blow: str, moment: str, all_saved: bool
) -> None:
    recipe = again(made, tmp_path)
    done = struck(recipe, f"{blow}:{moment}")
    assert done.returncode == (-signal.SIGKILL if blow == "SIGKILL" else INTERRUPTED), done.stderr
    assert "Traceback" not in done.stderr
    if blow != "SIGKILL":
        assert re.search(r"interrupted: the sums of \d of \d shards are saved; run the same command", done.stderr)
    assert not (tmp_path / "runs" / "small" / "heads.json").exists()
    again_done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "fit-heads", "--recipe", recipe, "--workers", "2", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    if all_saved:
        assert re.search(r"the sums of (\d) of \1 shards are there already", again_done.stderr), again_done.stderr
    assert json.loads(again_done.stdout)["rows_reused"] == 0
    assert_made(recipe, made)


def test_what_is_left_of_several_is_removed_by_one(made: Path, tmp_path: Path) -> None:
    recipe = again(made, tmp_path)
    left = tmp_path / "runs" / "small" / UNFINISHED / "0123456789abcdef" / "statistics"
    left.mkdir(parents=True)
    (left / "half.safetensors").write_bytes(b"half")
    fit_heads(Run(read_recipe(recipe)), silent)
    assert_made(recipe, made)


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_a_number_that_is_none_is_refused_by_name(number: str) -> None:
    shown = CliRunner().invoke(app, ["fit-heads", "--recipe", "x.toml", "--workers", number])
    assert shown.exit_code == 2
    assert "Invalid value for '--workers'" in shown.output


@pytest.mark.parametrize(
    ("option", "how"), [("--workers", {"workers": 2}), ("--ray", {"ray": True}), ("--device", {"device": "cpu"})]
)
def test_without_ratings_there_is_nothing_to_sum(tmp_path: Path, option: str, how: dict[str, Any]) -> None:
    write_rows(tmp_path)
    run = extracted(unrated_run(tmp_path, "preference", ""))
    with pytest.raises(UserError, match=rf"{option} is for the sums over ratings, and this recipe has no .*: leave"):
        fit_heads(run, silent, **how)
