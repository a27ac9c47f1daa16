"""The manifest survives a torn line, and a damaged or foreign one is named."""

from pathlib import Path

import pytest

from cache import DamageError, manifest
from cache.manifest import ShardEntry, append, examine, read

STORE = "0123456789abcdef"
ENTRIES = [ShardEntry(f"{name}.parquet", STORE, 3, 100, "0" * 64, "1" * 64) for name in "abc"]


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
    for kept in range(1, len(lines[2])):
        path.write_bytes(b"".join(lines[:2]) + lines[2][:kept])
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
