"""Two commands on one run at once: one is refused by name, and what only reads is not."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer

from cache import UserError
from pipelines.artefacts import scorer
from pipelines.cli import app
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.pipelines.conftest import ROOT, Demo

HOLD = """
import sys, time
from pathlib import Path
from pipelines.artefacts import scorer
from pipelines.recipe import read_recipe
from pipelines.run import Run
run = Run(read_recipe(Path(sys.argv[1])))
with run.writing() if len(sys.argv) == 2 else run.writing_scores(scorer("rewardbench", sys.argv[2])):
    print("held", flush=True)
    time.sleep(600)
"""

WRITERS = {
    "extract": (),
    "fit-heads": (),
    "fit-other-heads": (),
    "train-gating": (),
    "eval": (),
    "analyse": (),
    "ablate": (),
    "leaderboard": (),
    "report": (),
}
READERS = {"check", "export", "explain", "suggest", "personalise", "cache status", "cache verify", "cache export"}
ELSEWHERE = {"demo-corpus", "doctor", "new", "score", "serve"}
"""Commands that know no run."""
OWN_LEASE = {"score-suite"}


@pytest.fixture
def copy(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe of a copy of the demo's run, in whose folder the test runs."""
    shutil.copytree(demo.run, tmp_path / "runs" / "demo")
    for name in ("demo.toml", "features", "data"):
        (tmp_path / name).symlink_to(demo.folder / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "demo.toml"


@contextmanager
def held(recipe: Path, *arguments: str) -> Iterator[int]:
    """Another process writes to the run while the block runs; its number."""
    command = [sys.executable, "-c", HOLD, str(recipe), *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=recipe.parent, env={"PYTHONPATH": str(ROOT)}
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process.pid
        finally:
            process.kill()


def call(name: str, recipe: Path) -> None:
    """Run a command in this process, as the command line would."""
    command: typer.main.TyperGroup = typer.main.get_command(app)  # type: ignore[assignment]
    command.main([*name.split(), "--recipe", str(recipe)], standalone_mode=False)


def test_every_command_is_known_to_write_or_not() -> None:
    commands = {command.name for command in app.registered_commands} | {
        f"{group.name} {command.name}"
        for group in app.registered_groups
        for command in group.typer_instance.registered_commands  # type: ignore[union-attr]
    }
    assert commands == {*WRITERS, *READERS, *ELSEWHERE, *OWN_LEASE}


def test_a_second_command_that_writes_is_refused_with_the_process_that_holds_the_run(copy: Path) -> None:
    folder = copy.parent / "runs" / "demo"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.parent.name != "leases"}
    with held(copy) as process:
        for name in WRITERS:
            with pytest.raises(
                UserError, match=rf"another process \({process} on .*\) is writing to .*demo: wait until it ends"
            ):
                call(name, copy)
        call("cache status", copy)
    assert {path: path.read_bytes() for path in before} == before
    call("leaderboard", copy)  # the process has died, and holds nothing any longer


def test_two_scorers_write_at_once_and_one_scorer_twice_does_not(copy: Path) -> None:
    run = Run(read_recipe(copy))
    with held(copy, "judge-a") as process, run.writing(), run.writing_scores(scorer("rewardbench", "judge-b")):
        with (
            pytest.raises(UserError, match=rf"another process \({process} on .*\) is writing to .*judge-a\.json"),
            run.writing_scores(scorer("rewardbench", "judge-a")),
        ):
            pass
        with run.writing_scores(scorer("rmbench", "judge-a")):
            pass


def test_a_run_that_does_not_exist_yet_is_held_once_its_folder_is_made(copy: Path) -> None:
    shutil.rmtree(copy.parent / "runs")
    run, other = Run(read_recipe(copy)), Run(read_recipe(copy))
    with run.writing():
        assert not run.folder.exists()
        run.make_folder()
        with pytest.raises(UserError, match="is writing to"), other.writing():
            pass
    with other.writing():
        pass
