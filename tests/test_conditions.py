"""A benchmark's JSON says how it was measured, and whether other work was in the way."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.conditions import Conditions
from cache.cores import cores
from pipelines.installation import machine

BUSY = "while True: pass"


def test_conditions_stand_beside_the_figures(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    Conditions().write(path, {"seconds": 1.5})
    written = json.loads(path.read_text())
    assert written["seconds"] == 1.5
    assert written["conditions"].keys() == {
        *("date", "machine", "cores", "versions", "load_before", "others", "busy"),
    }
    assert (written["conditions"]["machine"], written["conditions"]["cores"]) == (machine(), cores())


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
def test_a_process_that_is_counted_is_the_benchmarks_own() -> None:
    without, counting = Conditions(), Conditions()
    server = subprocess.Popen([sys.executable, "-c", BUSY])
    counting.count(server.pid)
    try:
        time.sleep(1.5)
        assert counting.so_far()["others"] < without.so_far()["others"]
    finally:
        server.kill()
        server.wait()
