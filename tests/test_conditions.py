"""A benchmark's JSON says how it was measured, and whether other work was in the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks.conditions import ROOT, THREADS, Conditions
from cache.cores import cores
from pipelines.installation import machine, processor

BUSY = "while True: pass"


def test_conditions_stand_beside_the_figures(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    Conditions().write(path, {"seconds": 1.5})
    written = json.loads(path.read_text())
    assert written["seconds"] == 1.5
    assert written["conditions"].keys() == {
        *("date", "command", "commit", "machine", "cpu", "gpu", "cores", "versions"),
        *("load_before", "load_after", "others", "busy"),
    }
    assert (written["conditions"]["machine"], written["conditions"]["cores"]) == (machine(), cores())


def test_the_processors_units_are_those_that_torch_finds() -> None:
    _, units = processor()
    assert ("AVX512-BF16" in units) == torch.cpu._is_avx512_bf16_supported()
    assert ("AMX" in units) == torch.cpu._is_amx_tile_supported()


def test_the_command_is_as_it_would_be_typed_without_folders_of_this_machine(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.tiny", "--quick", f"--json={tmp_path / 'figures.json'}"]
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, env=environment, cwd=ROOT, capture_output=True)
    written = json.loads((tmp_path / "figures.json").read_text())["conditions"]["command"]
    assert written == "OMP_NUM_THREADS=1 python -m tests.benchmarks.tiny --quick --json=figures.json"


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux tells what other processes take")
def test_other_work_is_counted_and_the_benchmarks_own_is_not() -> None:
    conditions = Conditions()
    other = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        time.sleep(1.5)
        seen = conditions.so_far()
    finally:
        other.kill()
        other.wait()
    assert seen["others"] > 0.0
    assert seen["busy"] == (seen["others"] > 0.1)


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux tells what other processes take")
def test_processes_that_still_run_are_the_benchmarks_own_if_it_started_or_counted_them() -> None:
    """Two busy processes (one forks the other), seen by their parent, by one that counts them, and by neither."""
    stranger = "import sys, time; from benchmarks.conditions import Conditions; sees = Conditions()\n"
    stranger += "sys.argv[1:] and sees.count(int(sys.argv[1]))\n"
    stranger += "print(flush=True); sys.stdin.readline(); print(sees.so_far()['others'])"
    busy = subprocess.Popen([sys.executable, "-c", f"import os; os.fork()\n{BUSY}"], start_new_session=True)
    parent = Conditions()
    others = [
        subprocess.Popen([sys.executable, "-c", stranger, *given], stdin=-1, stdout=-1, text=True, cwd=ROOT)
        for given in ([str(busy.pid)], [])
    ]
    try:
        for other in others:
            other.stdout.readline()
        time.sleep(1.5)
        mine = parent.so_far()["others"]
        counting, not_counting = (float(other.communicate("\n")[0]) for other in others)
    finally:
        os.killpg(busy.pid, signal.SIGKILL)
        busy.wait()
        for other in others:
            other.kill()
            other.wait()
    assert mine < not_counting
    assert counting < not_counting
