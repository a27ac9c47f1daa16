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

from benchmarks.conditions import ROOT, THREADS, Conditions, own_seconds
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
def test_a_process_of_the_benchmark_that_still_runs_is_its_own() -> None:
    before = own_seconds()
    child = subprocess.Popen([sys.executable, "-c", f"import os; os.fork()\n{BUSY}"], start_new_session=True)
    try:
        time.sleep(1.5)
        after = own_seconds()
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    assert after - before > 0.2
