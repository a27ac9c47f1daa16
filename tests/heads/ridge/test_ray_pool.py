"""Sums by Ray's processes: those of this machine's own, and a process that dies is replaced."""

import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from cache import UserError
from cache.ray_cluster import HERE
from heads.ridge.workers import Workers
from tests.conftest import ROOT
from tests.heads.ridge.test_workers import Made, by_several, make, stored
from tests.ray_driver import driver

WORK = """
import sys
from pathlib import Path
from cache import UserError
from heads.ridge import segments
from heads.ridge.workers import Workers
from tests.heads.ridge.test_workers import Made, by_several, make

segments.ROWS_A_MATRIX = 1000
out = sys.stdout
told = lambda what, done, total, unit: print("told", what, done, total, file=out, flush=True)
try:
    made = make(Path(sys.argv[1]))
    by_several(made, Path(sys.argv[2]), 2, told, ray_address=sys.argv[3])
    print("done")
except UserError as error:
    print("refused", error)
"""


@pytest.fixture(scope="session", autouse=True)
def _ray_is_installed() -> None:
    pytest.importorskip("ray", reason="Ray is not installed (pip install -e '.[ray]')")


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make(tmp_path / "store")


def running(folder: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    """A driver with Ray's processes and a store of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return driver(WORK, folder.with_name("its store"), folder, HERE, environment=environment)


def summing() -> list[int]:
    """Processes that run a task of `heads.ridge.ray_pool`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray::work_for" in (folder / "cmdline").read_bytes()[:200]:
                found.append(int(folder.name))
        except OSError:  # it ended meanwhile
            continue
    return found


@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_ray_leaves_the_bytes_of_processes_without_it(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    monkeypatch.setattr("heads.ridge.segments.ROWS_A_MATRIX", 1000)
    folder = tmp_path / "run"
    with running(folder) as driver:
        if killed:
            assert driver.stdout is not None
            for line in driver.stdout:
                if line.startswith("told summing") and (processes := summing()):
                    os.kill(processes[0], signal.SIGKILL)
                    break
        output, errors = driver.communicate(timeout=300)
    lines = output.splitlines()
    assert lines[-1:] == ["done"], errors
    assert lines[-2].startswith("told adding up sums")
    assert "told summing features 24000 24000" in lines
    assert not summing()
    found = by_several(made, folder, 2)  # takes up the sums that Ray's processes saved
    assert stored(found, folder) == stored(by_several(made, tmp_path / "unharmed", 2), tmp_path / "unharmed")


def test_what_fails_is_known_before_anything_is_read() -> None:
    code = "import sys; sys.modules['ray'] = None\nfrom heads.ridge.workers import Workers\n"
    code += "Workers(2, 1, 'local').check()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "UserError: Ray cannot be imported" in done.stderr
    assert "or leave --ray out, which takes processes of this machine" in done.stderr
    with pytest.raises(UserError, match=r"Ray cannot be reached at 127\.0\.0\.1:9 \("):
        Workers(2, 1, "127.0.0.1:9").check()
    Workers(2, 1).check()
