"""A repair killed between any two steps can be repeated, loses no good row and touches nothing outside."""

import subprocess
import sys
from pathlib import Path

import pytest

from cache.formats import FormatName
from tests.cache.rows import FORMATS
from tests.conftest import ROOT

STEPS = (
    "verify._repair",
    "verify._unwanted",
    "set_aside",
    "manifest.rewrite",
    "line_count",
    "checked_lines.rewrite",
    "skipped_keys.drop_bad_lines",
    "durable",
)
"""The parts of the package whose lines write, rename or remove in a repair; before them it only reads."""


def kills(folder: Path, *arguments: str) -> list[str]:
    command = [sys.executable, "-m", "tests.cache.kill_a_repair", str(folder), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split()[1].split(".")[0] for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_repair_killed_before_any_line_that_writes_can_be_repeated(tmp_path: Path, shard_format: FormatName) -> None:
    struck = kills(tmp_path, shard_format, *STEPS)
    assert set(struck) == {step.partition(".")[0] for step in STEPS}
    assert len(struck) > 100
