"""A journal that several processes append to at once, or die at, keeps every line that was appended."""

import subprocess
import sys
from pathlib import Path

import pytest

from cache import checked_lines
from tests.conftest import ROOT

APPEND = """
import sys
from pathlib import Path
from cache import checked_lines
path, writer, lines = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for number in range(lines):
    checked_lines.append(path, [{"writer": writer, "line": number, "text": "x" * (37 * number % 5000)}])
"""


def test_processes_that_append_at_once_lose_and_tear_no_line(tmp_path: Path) -> None:
    path, writers, lines = tmp_path / "journal.jsonl", 4, 40
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    processes = [
        subprocess.Popen([sys.executable, "-c", APPEND, str(path), str(writer), str(lines)], **pipes)  # type: ignore[call-overload]
        for writer in range(writers)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    while any(process.poll() is None for process in processes):
        assert all(
            line.value is not None for line in checked_lines.read(path, dict)
        )  # a reader meets whole lines alone
    assert [process.wait() for process in processes] == [0] * writers
    for process in processes:
        process.stdin.close()
        process.stdout.close()
    values = [line.value for line in checked_lines.read(path, dict)]
    assert len(values) == writers * lines
    for writer in range(writers):
        own = [value["line"] for value in values if value is not None and value["writer"] == writer]
        assert own == list(range(lines)), "one writer's lines are not in its order"


def test_a_dead_writers_torn_line_is_cut_off_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    checked_lines.append(path, [{"line": 0}])
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"line": 1, "text": "torn')
    assert [line.value for line in checked_lines.read(path, dict)] == [{"line": 0}]
    checked_lines.append(path, [{"line": 2}])
    assert [line.value for line in checked_lines.read(path, dict)] == [{"line": 0}, {"line": 2}]
    assert b"torn" not in path.read_bytes()


def test_a_writer_that_dies_with_the_turn_in_its_hand_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    dies = (
        "import os, signal, sys; from pathlib import Path; from cache import checked_lines\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "checked_lines.append(Path(sys.argv[1]), [{'line': 0}])"
    )
    done = subprocess.run([sys.executable, "-c", dies, str(path)], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == -9
    checked_lines.append(path, [{"line": 1}])
    assert [line.value for line in checked_lines.read(path, dict)][-1] == {"line": 1}


def test_a_line_that_finds_no_room_names_the_journal_and_leaves_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    checked_lines.append(path, [{"line": 0}])
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*journal\.jsonl'"):
        checked_lines.append(path, [{"line": 1}])
    assert path.read_bytes() == before
