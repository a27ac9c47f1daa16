"""Progress is a bar with a rate on a terminal, and plain text elsewhere."""

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.pipelines.conftest import Demo, armorm


def on_a_terminal(*arguments: str, folder: Path) -> str:
    """The command line's output to a terminal, less its colours."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, cwd=folder, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the terminal's other end is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    assert process.returncode == 0, shown
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


def test_a_terminal_shows_bars_with_rates_and_the_log_above_them(demo: Demo, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(demo.folder, folder)
    shutil.rmtree(folder / "features")
    shown = on_a_terminal("extract", "--recipe", "demo.toml", "--limit", "5", folder=folder)
    assert re.search(r"reading rows +━+.* rows/s", shown)
    assert re.search(r"extracting +━+ *(\d+)/\1 .*tokens/s", shown)
    assert "distinct sequences" in shown
    assert "features computed" in shown


def test_elsewhere_there_are_no_control_characters(demo: Demo, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(demo.folder, folder)
    done = armorm("fit-heads", "--recipe", "demo.toml", folder=folder)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
