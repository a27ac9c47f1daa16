"""The manifest survives a torn line, and a damaged or foreign one is named."""

from dataclasses import replace
from pathlib import Path

import pytest

from cache import DamageError, manifest
from cache.manifest import ShardEntry, append, examine, read
from cache.names import ShardFile, StoreName

STORE = StoreName("0123456789abcdef")
ENTRIES = [ShardEntry(ShardFile(f"{name}.parquet"), STORE, 3, 100, "0" * 64, "1" * 64) for name in "abc"]


def write(path: Path) -> None:
    path.touch()
    for entry in ENTRIES:
        append(path, entry)


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write(path)
    assert read(path, STORE) == ENTRIES
    manifest.rewrite(path, ENTRIES[1:])
    assert read(path, STORE) == ENTRIES[1:]


def test_a_line_torn_at_any_byte_is_left_out_and_then_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write(path)
    lines = path.read_bytes().splitlines(keepends=True)
    manifest.rewrite(path, ENTRIES[:2])
    counted = path.with_suffix(".count").read_bytes()  # a line is counted after it was written
    for kept in range(1, len(lines[2])):
        path.write_bytes(b"".join(lines[:2]) + lines[2][:kept])
        path.with_suffix(".count").write_bytes(counted)
        assert read(path, STORE) == ENTRIES[:2]
        append(path, ENTRIES[2])
        assert path.read_bytes() == b"".join(lines)


def test_a_flipped_bit_anywhere_in_a_line_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write(path)
    lines = path.read_bytes().splitlines(keepends=True)
    for at in range(len(lines[1]) - 1):
        damaged = bytearray(lines[1])
        damaged[at] ^= 1 << at % 8
        path.write_bytes(lines[0] + bytes(damaged) + lines[2])
        with pytest.raises(DamageError, match=r"line 2, is damaged: run `armorm cache verify --repair`"):
            read(path, STORE)


def test_a_flipped_newline_costs_the_two_lines_it_joins_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0][:-1] + b"\x0b" + lines[1] + lines[2])
    entries, bad = examine(path, STORE)
    assert entries == ENTRIES[2:]
    assert [line.number for line in bad] == [1]


def test_lines_that_were_counted_are_missed_wherever_the_file_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write(path)
    whole = path.read_bytes()
    for kept in range(len(whole)):
        path.write_bytes(whole[:kept])
        with pytest.raises(DamageError, match=r"manifest\.jsonl has \d lines and had 3: run `armorm cache verify"):
            read(path, STORE)
        with pytest.raises(DamageError, match="and had 3"):  # what is lost must not be counted out by the next line
            append(path, ENTRIES[0])
    path.write_bytes(whole)
    assert read(path, STORE) == ENTRIES


def test_other_lines_of_the_same_number_are_not_those_that_were_sealed(tmp_path: Path) -> None:
    path, other = tmp_path / "manifest.jsonl", tmp_path / "other" / "manifest.jsonl"
    write(path)
    other.parent.mkdir()
    manifest.rewrite(other, reversed(ENTRIES))
    path.write_bytes(other.read_bytes())
    with pytest.raises(DamageError, match="does not hold the lines that were sealed"):
        read(path, STORE)


def test_a_manifest_that_nothing_counts_is_read_and_is_counted_from_the_next_line_on(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write(path)
    whole = path.read_bytes()
    path.with_suffix(".count").unlink()  # as version 0.2 left it
    assert read(path, STORE) == ENTRIES
    entry = replace(ENTRIES[0], shard=ShardFile("d.h5"))
    append(path, entry)
    assert read(path, STORE) == [*ENTRIES, entry]
    path.write_bytes(whole)
    with pytest.raises(DamageError, match="has 3 lines and had 4"):
        read(path, STORE)


def test_a_damaged_count_is_named(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write(path)
    for content in (b"", b"x", b"{}\tffffffff\n"):
        path.with_suffix(".count").write_bytes(content)
        with pytest.raises(DamageError, match=r"manifest\.count is damaged: run `armorm cache verify --repair`"):
            read(path, STORE)


def test_a_line_of_another_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write(path)
    with pytest.raises(DamageError, match=r"line 1, names a shard of the store 0123456789abcdef, not of fedcba"):
        read(path, "fedcba9876543210")


def test_a_line_that_comes_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write(path)
    append(path, ENTRIES[0])
    with pytest.raises(DamageError, match=r"line 4, names a\.parquet a second time"):
        read(path, STORE)


def test_a_manifest_that_is_gone_is_no_empty_store(tmp_path: Path) -> None:
    with pytest.raises(DamageError, match=r"manifest\.jsonl is gone"):
        read(tmp_path / "manifest.jsonl", STORE)
