"""`armorm score` between pipes: standard input and output, named pipes, devices; all else is refused at once."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from cache import UserError
from cache.progress import silent
from export.ends import STANDARD, Destination, Source
from export.reward_model import RewardModel
from export.score_ends import ends
from export.score_file import score_file
from extract.files.file_row import FileRow
from pipelines.cli import main
from tests.conftest import ROOT

ROWS = b"".join(json.dumps({"prompt": f"Name {n}.", "response": "Red."}).encode() + b"\n" for n in range(3))


def run(model: RewardModel, source: Path, out: Path) -> Any:
    return score_file(model, source, out, prefix="", full=False, progress=silent)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(ROWS)
    return path


def test_named_pipes_on_both_sides(model: RewardModel, rows: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    os.mkfifo(source)
    os.mkfifo(out)
    got: list[bytes] = []
    writer = threading.Thread(target=lambda: source.write_bytes(ROWS))
    reader = threading.Thread(target=lambda: got.append(out.read_bytes()))
    for each in (writer, reader):
        each.start()
    told = run(model, source, out)
    for each in (writer, reader):
        each.join(timeout=20)
    assert (told.rows, told.scored) == (3, 3)
    run(model, rows, tmp_path / "file.jsonl")
    assert got == [(tmp_path / "file.jsonl").read_bytes()]
    assert not list(tmp_path.glob("out.*"))


def test_a_device_takes_rows(model: RewardModel, rows: Path) -> None:
    assert run(model, rows, Path("/dev/null")).scored == 3


def test_standard_input_and_output(model_folder: Path) -> None:
    command = [sys.executable, "-m", "pipelines.cli", "score", str(model_folder), "--device", "cpu"]
    ends = ["--input", "-", "--output", "/dev/stdout"]
    done = subprocess.run([*command, *ends], cwd=ROOT, capture_output=True, timeout=120, input=ROWS)
    assert done.returncode == 0, done.stderr
    written = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["prompt"] for row in written] == ["Name 0.", "Name 1.", "Name 2."]
    assert all(isinstance(row["score"], float) for row in written)
    assert b"3 scored" in done.stderr


def test_dash_and_names_of_standard_streams_are_the_same() -> None:
    read, write = os.pipe()
    before = os.dup(0), os.dup(1)
    try:
        os.dup2(read, 0)
        os.dup2(write, 1)
        for source, name in ((Path("/dev/stdin"), STANDARD), (STANDARD, Path("/dev/stdout"))):
            with Destination.of(name).open() as out:
                out.write(b'{"a": 1}\n')
                out.flush()
                assert next(Source.of(source).rows()) == FileRow({"a": 1}, {"a": 1}.keys())
        assert Destination.of(Path("/dev/fd/1")).is_standard
    finally:
        for number, descriptor in enumerate(before):
            os.dup2(descriptor, number)
        for descriptor in (read, write, *before):
            os.close(descriptor)


def test_what_cannot_be_read_or_written_is_refused_before_the_model_is_loaded(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.jsonl").write_text("precious\n")
    both = tmp_path / "both"
    os.mkfifo(both)
    refused = [
        (tmp_path / "absent", tmp_path / "out", "there is no file"),
        (tmp_path, tmp_path / "out", "is a folder"),
        (rows, tmp_path, "is a folder"),
        (rows, rows / "below" / "out", "cannot be made in"),
        (rows, rows, "are both"),
        (both, both, "are both"),
        (rows, tmp_path / "mine.jsonl", "was not written by `armorm score`"),
    ]
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(tmp_path)  # a socket's name may have a hundred letters
        listening.bind("socket")
        for source, out, sentence in [*refused, (Path("socket"), tmp_path / "out", "is a socket")]:
            with pytest.raises(UserError, match=sentence):
                ends(source, out)
    commands = [
        (["--input", str(tmp_path), "--output", "out"], "is a folder"),
        (["--input", str(rows), "--output", "-", "--json"], "both go to standard output"),
    ]
    for ends_of, sentence in commands:
        monkeypatch.setattr(sys, "argv", ["armorm", "score", "no-such-model", *ends_of])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert sentence in capsys.readouterr().err


def test_a_rerun_into_a_file_goes_on_from_a_pipe_too(model: RewardModel, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out.jsonl"
    os.mkfifo(source)
    for expected in (0, 3):
        writer = threading.Thread(target=lambda: source.write_bytes(ROWS))
        writer.start()
        assert run(model, source, out).reused == expected
        writer.join(timeout=20)
    assert len(out.read_bytes().splitlines()) == 3
