"""A small demo, run once through the real command line, for the tests of all commands."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]


def armorm(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in `folder`."""
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def small_recipe(text: str) -> str:
    """The demo's recipe for a folder in which the demo's rows lie too, with the backbone's place written out."""
    text = text.replace('"../data/demo"', '"data/demo"')
    return text.replace('"../backbones/tiny"', json.dumps(str(ROOT / "backbones" / "tiny")))


@dataclass(frozen=True)
class Demo:
    """A folder in which the demo ran, and what each command printed with --json."""

    folder: Path
    results: dict[str, dict[str, Any]]

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.folder / "runs" / "demo"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Demo:
    """The demo at a fifth of its size, run by the first worker that needs it."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    folder = shared / "demo"
    with FileLock(shared / "demo.lock"):
        if not (folder / "results.json").exists():
            run_demo(folder)
    return Demo(folder, json.loads((folder / "results.json").read_text()))


def run_demo(folder: Path) -> None:
    """Run all commands of the demo in `folder`, and keep what they print with --json."""
    folder.mkdir()
    (folder / "demo.toml").write_text(small_recipe((ROOT / "recipes" / "demo.toml").read_text()))
    results = {}
    for command in (
        ["demo-corpus", "--out", "data/demo", "--scale", "0.2"],
        ["extract", "--recipe", "demo.toml"],
        ["fit-heads", "--recipe", "demo.toml"],
        ["train-gating", "--recipe", "demo.toml"],
        ["eval", "--recipe", "demo.toml"],
    ):
        done = armorm(*command, "--json", folder=folder)
        assert done.returncode == 0, done.stderr
        results[command[0]] = json.loads(done.stdout)
    (folder / "results.json").write_text(json.dumps(results))
