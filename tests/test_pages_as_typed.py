"""The README and the first recipe, typed block by block in a fresh copy of the checkout with its own environment.

Run by `make test-pages`, since an environment and the demo take minutes.
"""

import os
import shutil
import signal
import subprocess
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.recipe import Recipe
from tests.conftest import ROOT
from tests.pages import Block, blocks

pytestmark = pytest.mark.clone

NOT_HERE = {
    "make test ": "this is a test",
    "make real ": "reads rows and weights from the hub, for an hour",
    "make smollm": "fetches 93 MB, and tests/pipelines has a slow test of it",
    "RECIPE=recipes/armorm-llama3-8b.toml": "reads the hub, and needs a GPU",
    "RECIPE=recipes/local-sample.toml DATA_ROOT=mirror": "needs a mirror of the hub",
}
"""Part of a line that is not typed here -> why."""

LISTING = "features/<fingerprint>/"
"""Beginning of the list of files, which nobody types."""

WRITTEN = (".venv", "armorm.egg-info", "data", "exported", "features", "runs")
"""Entries that the pages write in the checkout beside the reader's own folder, all of them ignored by git."""

ACTIVATE = "source .venv/bin/activate"
SERVE = "armorm serve "
HEALTH = "http://127.0.0.1:8000/health"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout without what git ignores."""
    lines = (ROOT / ".gitignore").read_text().split()
    at_the_top = {line.strip("/") for line in lines if line.startswith("/")}
    anywhere = [line.strip("/").rpartition("/")[2] for line in lines if not line.startswith("/")]

    def ignored(folder: str, names: list[str]) -> set[str]:
        found = shutil.ignore_patterns(".git", *anywhere)(folder, names)
        return found | at_the_top if Path(folder) == ROOT else found

    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("fresh") / "armorm", ignore=ignored))


class Reader:
    """Types blocks in a terminal of its own, and remembers whether the environment was activated."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.activated = False
        kept = ("HOME", "PATH", "LANG", "TMPDIR", "PIP_INDEX_URL", "PIP_CONSTRAINT", "SSL_CERT_FILE")
        self.environment = {name: os.environ[name] for name in kept if name in os.environ}
        self.environment["PATH"] = os.pathsep.join(
            part for part in os.environ["PATH"].split(os.pathsep) if not part.startswith(str(ROOT))
        )
        self.environment |= {"HF_HUB_OFFLINE": "1"}  # nothing here may reach for the hub

    def type(self, block: Block) -> None:
        """Save the block, run it, or start the server that it names."""
        if block.file:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a" if block.language == "toml" else "w") as file:
                file.write(block.text)
            return
        text = block.text
        if block.language == "python":
            text = f"python - <<'END_OF_PYTHON'\n{text}END_OF_PYTHON\n"
        script = f"set -euo pipefail\n{ACTIVATE + chr(10) if self.activated else ''}{text}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        printed = f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
        told = f"line {block.line}, which ended with {done.returncode}:\n{text}\n{printed}"
        assert done.returncode == 0, told
        assert "Traceback" not in done.stderr, told
        self.activated = self.activated or ACTIVATE in text

    @contextmanager
    def serving(self, block: Block) -> Iterator[None]:
        """Run the server of a block while the next blocks are typed."""
        script = f"{ACTIVATE}\nexec {block.text}"
        server = subprocess.Popen(["bash", "-c", script], cwd=self.folder, env=self.environment)
        try:
            _wait_for_health(server)
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=60) == 0


def _wait_for_health(server: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        assert server.poll() is None, "the server ended by itself"
        try:
            with urllib.request.urlopen(HEALTH, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server does not answer")


def _typed(block: Block) -> Block | None:
    """The block without the lines that are not typed here; None if nothing is left."""
    if block.text.lstrip().startswith(LISTING) or (block.language not in ("sh", "python") and not block.file):
        return None
    kept = [line for line in block.text.splitlines(keepends=True) if not any(part in line for part in NOT_HERE)]
    return replace(block, text="".join(kept)) if "".join(kept).strip() else None


def _walk(reader: Reader, page: Path) -> None:
    waiting = [typed for block in blocks(page) if (typed := _typed(block)) is not None]
    while waiting:
        block = waiting.pop(0)
        if block.text.lstrip().startswith(SERVE):
            with reader.serving(block):
                while waiting and "curl " in waiting[0].text:
                    reader.type(waiting.pop(0))
        else:
            reader.type(block)


def test_the_readme_runs_as_typed_and_then_the_first_recipe(clone: Path) -> None:
    reader = Reader(clone)
    there = {path.name for path in clone.iterdir()}
    _walk(reader, clone / "README.md")
    assert reader.activated
    assert (clone / "runs" / "demo" / "report.html").is_file()
    _walk(reader, clone / "docs" / "first-recipe.md")
    assert {path.name for path in clone.iterdir()} - there == {*WRITTEN, "first"}
    shutil.rmtree(clone)


def test_what_is_not_typed_here_is_in_the_readme() -> None:
    text = "\n".join(block.text for block in blocks(ROOT / "README.md"))
    assert [part for part in (*NOT_HERE, LISTING) if part not in text] == []


def test_tables_of_the_readme_are_parts_of_recipes() -> None:
    shown = [block for block in blocks(ROOT / "README.md") if block.language == "toml"]
    assert shown
    for block in shown:
        values = tomllib.loads(block.text)
        values.setdefault("name", "mine")
        values.setdefault("backbone", {"model": "org/name"})
        values.setdefault("pairs", [{"source": "shp"}])
        values.setdefault("debiasing", {"verbosity": "none"})
        Recipe.model_validate(values)
