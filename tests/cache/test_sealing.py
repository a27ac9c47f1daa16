"""Sealing a shard: killed between any two steps, or on a full disk, it leaves the store as it was before or after."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cache import FeatureStore, durable
from cache.formats import FormatName
from cache.verify import verify
from tests.cache.rows import FORMATS, new_store, seal, shard_path, some_features, some_keys
from tests.conftest import ROOT

STEPS = ("sealing", "durable", "manifest.append", "checked_lines.add", "line_count.write")
"""The parts of the package whose lines are the steps of sealing: write, flush, rename, manifest line."""


def kill_at_each_line(folder: Path, *arguments: str) -> list[str]:
    command = [sys.executable, "-m", "tests.cache.kill_at_each_line", str(folder), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_kill_between_any_two_steps_leaves_the_shard_whole_or_unnamed(
    tmp_path: Path, shard_format: FormatName
) -> None:
    kills = kill_at_each_line(tmp_path, shard_format, *STEPS)
    assert {line.split()[1].split(".")[0] for line in kills} == {step.split(".")[0] for step in STEPS}
    sealed = [line.endswith(" sealed") and not line.endswith("not sealed") for line in kills]
    assert sealed == sorted(sealed), "a shard was there, and then it was not"
    assert 20 < sealed.index(True) < len(sealed)


@pytest.mark.slow
@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_kill_before_any_line_of_the_package_leaves_the_shard_whole_or_unnamed(
    tmp_path: Path, shard_format: FormatName
) -> None:
    assert len(kill_at_each_line(tmp_path, shard_format)) > 300


@pytest.mark.parametrize("shard_format", FORMATS)
def test_each_step_is_durable_before_the_next(
    tmp_path: Path, shard_format: FormatName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order that guards against a power cut, which a kill cannot show: the system keeps what was written."""
    store = new_store(tmp_path, shard_format)
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        done.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').resolve().name}")
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        done.append(f"rename {self.name} {target.name}")
        return replace(self, target)

    with store.writing():
        monkeypatch.setattr(os, "fsync", noted_fsync)
        monkeypatch.setattr(Path, "replace", noted_replace)
        store.seal("a", some_keys(0, 4), np.arange(4, dtype=np.int32), some_features(0, 4))
        monkeypatch.undo()
    name = shard_path(store, "a").name
    assert done == [
        f"fsync {name}{durable.TEMPORARY}",
        f"rename {name}{durable.TEMPORARY} {name}",
        "fsync shards",
        "fsync manifest.jsonl",
        f"fsync {store.folder.name}",
        f"fsync manifest.count{durable.TEMPORARY}",
        f"rename manifest.count{durable.TEMPORARY} manifest.count",
        f"fsync {store.folder.name}",
    ]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not permitted here; the test with a limit on files stands in")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def seal_for_ever(store: FeatureStore) -> None:
    with store.writing():
        for number in count():
            rows = (number * 300, number * 300 + 300)
            store.seal(f"s{number}", some_keys(*rows), np.arange(*rows, dtype=np.int32), some_features(*rows))


FULL = r"could not be written \(.*\): make room, and run `armorm extract` again; all shards sealed before are safe"


@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_full_disk_is_named_and_costs_the_open_shard_alone(small_disk: Path, shard_format: FormatName) -> None:
    store = new_store(small_disk, shard_format)
    with pytest.raises(OSError, match=FULL) as caught:
        seal_for_ever(store)
    assert "\n" not in str(caught.value)
    sealed = len((store.folder / "manifest.jsonl").read_bytes().splitlines())
    assert sealed > 3
    assert not list(store.folder.rglob(f"*{durable.TEMPORARY}"))
    again = FeatureStore.open(small_disk, store.fingerprint.digest)
    assert len(again) == sealed * 300
    assert again.gather(some_keys(0, len(again))).tolist() == some_features(0, len(again)).tolist()
    assert verify(store.folder).problems == []
    for name in ("s0", "s1"):
        shard_path(store, name).unlink()  # room again, for one shard and the count of its line
    verify(store.folder, repair=True)
    seal(again, "s0", 0, 300)
    assert len(again) == (sealed - 1) * 300


@pytest.mark.parametrize("room", range(0, 220, 20))
def test_a_disk_that_fills_within_the_manifest_line_leaves_no_half_of_it(tmp_path: Path, room: int) -> None:
    store = new_store(tmp_path)
    seal(store, "a", 0, 1)
    path = store.folder / "manifest.jsonl"
    before = path.read_bytes()
    # The limit is on the size of any file: padding makes the manifest the largest one.
    path.write_bytes(before * 40)
    entry = path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (entry + room, limits[1]))
    try:
        with pytest.raises(OSError, match=r"File too large|could not be written"):
            store.seal("b", some_keys(1, 2), np.ones(1, dtype=np.int32), some_features(1, 2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before * 40


def test_a_shard_that_only_this_program_could_read_is_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(tmp_path)
    fsync = os.fsync

    def rot(descriptor: int) -> None:
        fsync(descriptor)
        (file,) = (store.folder / "shards").glob("*")
        data = bytearray(file.read_bytes())
        at = data.index(some_features(0, 1).astype("<f2").tobytes())
        page = pq.read_metadata(file).row_group(0).column(3).data_page_offset
        data[page:at] = bytes(at - page)  # its header and levels, without which nobody can decode it
        file.write_bytes(bytes(data))
        monkeypatch.undo()

    monkeypatch.setattr(os, "fsync", rot)
    with pytest.raises(OSError, match="did not read back as it was written; check the disk"):
        store.seal("a", some_keys(0, 4), np.arange(4, dtype=np.int32), some_features(0, 4))
    assert list((store.folder / "shards").iterdir()) == []


@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_shard_that_does_not_read_back_is_not_named(
    tmp_path: Path, shard_format: FormatName, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(tmp_path, shard_format)
    fsync = os.fsync

    def rot(descriptor: int) -> None:
        fsync(descriptor)
        for file in (store.folder / "shards").glob("*"):
            data = bytearray(file.read_bytes())
            data[data.index(some_features(2, 3).astype("<f2").tobytes())] ^= 4
            file.write_bytes(bytes(data))
        monkeypatch.undo()

    monkeypatch.setattr(os, "fsync", rot)
    with pytest.raises(OSError, match="did not read back as it was written; check the disk"):
        store.seal("a", some_keys(0, 4), np.arange(4, dtype=np.int32), some_features(0, 4))
    assert list((store.folder / "shards").iterdir()) == []
    assert len(FeatureStore.open(tmp_path, store.fingerprint.digest)) == 0
