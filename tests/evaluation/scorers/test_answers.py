"""The file of answers: whole, locked, damaged, or another program's; what was paid for survives as much as it can."""

import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from cache import UserError
from evaluation.scorers import answers as module
from evaluation.scorers.answers import answers_in, key_of

ANSWERS = {key_of(number): f"answer {number} " * 40 + "é\0[[A]]" for number in range(200)}
PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with answers."""
    path = tmp_path / "scorers" / "m.sqlite"
    with answers_in(path) as answers:
        answers.put(ANSWERS.items())
    return path


def known(path: Path) -> dict[str, str]:
    """Answers that the file gives."""
    with answers_in(path) as answers:
        found = {key: answers.get(key) for key in ANSWERS}
    return {key: answer for key, answer in found.items() if answer is not None}


def test_answers_come_back_as_they_were(path: Path) -> None:
    assert known(path) == ANSWERS
    assert [file.name for file in path.parent.iterdir()] == ["m.sqlite"]


@pytest.mark.parametrize(
    ("start", "least"),
    [
        (0, 200),  # the header and the schema
        (2 * PAGE, 200),  # the index of keys
        (5 * PAGE, 150),
        (-PAGE, 150),
    ],
)
def test_a_page_of_zeros_costs_the_answers_on_it(
    path: Path, start: int, least: int, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray(path.read_bytes())
    place = slice(start, start + PAGE if start >= 0 else None)
    content[place] = bytes(len(content[place]))
    path.write_bytes(content)
    found = known(path)
    assert found.items() <= ANSWERS.items()
    assert len(found) >= least
    (line,) = caplog.messages
    assert re.search(rf"m\.sqlite is damaged \(.*\): {len(found)} answers were read from it and are used", line)
    assert line.endswith("the damaged file is kept as m.sqlite.damaged")
    assert path.with_name("m.sqlite.damaged").read_bytes() == content
    caplog.clear()
    assert known(path) == found  # and now it is whole
    assert caplog.messages == []


def test_a_file_that_was_cut_keeps_the_answers_before_the_cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 + 100])
    found = known(path)
    assert found.items() <= ANSWERS.items()
    assert len(found) > 50


def test_every_kind_of_damage_is_set_aside_and_nothing_is_made_up(path: Path) -> None:
    whole = path.read_bytes()
    for number, start in enumerate(range(0, len(whole), len(whole) // 40)):
        content = bytearray(whole)
        content[start : start + 64] = b"\xff" * 64
        path.write_bytes(content)
        found = known(path)
        assert found.items() <= ANSWERS.items()
        assert len(found) > 150
        assert sum(file.name.startswith("m.sqlite.damaged") for file in path.parent.iterdir()) <= number + 1


def test_a_file_of_another_kind_is_set_aside(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be looked at" * 10)
    assert known(path) == {}
    path.write_bytes(b"and again" * 100)
    assert known(path) == {}
    assert sorted(file.name for file in path.parent.iterdir()) == ["m.sqlite", "m.sqlite.damaged", "m.sqlite.damaged-2"]
    assert path.with_name("m.sqlite.damaged").read_bytes().startswith(b"not a database")


def test_a_stale_journal_is_set_aside_with_the_damaged_file(path: Path) -> None:
    path.write_bytes(b"\xff" * PAGE + path.read_bytes()[PAGE:])
    path.with_name("m.sqlite-journal").write_bytes(b"\xff" * 600)
    assert known(path) == ANSWERS
    assert not path.with_name("m.sqlite-journal").exists()


def test_a_locked_file_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UserError, match=r"^another command is writing to .*m\.sqlite: run this one again when"):
            known(path)
    assert known(path) == ANSWERS


def test_a_file_that_is_locked_later_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)

    def put_beside(other: sqlite3.Connection) -> None:
        with answers_in(path) as answers:
            other.execute("BEGIN IMMEDIATE")
            answers.put([(key_of("new"), "[[A]]")])

    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        pytest.raises(UserError, match="another command is writing to"),
    ):
        put_beside(other)
    assert known(path) == ANSWERS


def test_a_full_disk_is_named(path: Path) -> None:
    def fill() -> None:
        with answers_in(path) as answers:
            answers._connection.execute("PRAGMA max_page_count = 1")
            answers.put((key_of("new", number), "x" * PAGE) for number in range(100))

    with pytest.raises(UserError, match=r"m\.sqlite cannot be written, for the disk is full: free space") as caught:
        fill()
    assert "remove" not in str(caught.value)
    assert known(path) == ANSWERS


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.sqlite").mkdir()
    with pytest.raises(UserError, match=r"m\.sqlite cannot be opened or written"), answers_in(tmp_path / "m.sqlite"):
        pass


def test_a_table_of_another_program_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE answers (question INTEGER, text TEXT)")
    before = path.read_bytes()
    with pytest.raises(UserError, match="is a database of another program"):
        known(path)
    assert path.read_bytes() == before
    assert stat.S_ISREG(path.stat().st_mode)
