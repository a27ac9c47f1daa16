"""Shards that no line names are found by `verify`, and taken up by the next writer in place of being computed again."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cache import DamageError, FeatureStore, UserError, durable
from cache.formats import FormatName
from cache.verify import verify
from cache.worker import Worker
from tests.cache.rows import FORMATS, flip, new_store, seal, shard_path, some_features, some_keys
from tests.conftest import ROOT


def store_of_version_0_2(root: Path, shard_format: FormatName = "parquet") -> FeatureStore:
    store = new_store(root, shard_format)
    for name, start in (("a", 0), ("b", 10), ("c", 20)):
        seal(store, name, start, start + 10)
    (store.folder / "manifest.count").unlink()
    return store


def cut(store: FeatureStore, lines: int) -> None:
    manifest = store.folder / "manifest.jsonl"
    manifest.write_bytes(b"".join(manifest.read_bytes().splitlines(keepends=True)[:lines]))


@pytest.mark.parametrize("shard_format", FORMATS)
@pytest.mark.parametrize("lines", [0, 2])
def test_a_cut_that_nothing_counts_is_shown_and_the_next_writer_takes_the_shards_up(
    tmp_path: Path, shard_format: FormatName, lines: int
) -> None:
    store = store_of_version_0_2(tmp_path, shard_format)
    cut(store, lines)
    found = verify(store.folder)
    assert found.unnamed == [shard_path(store, name).name for name in "abc"[lines:]]
    assert (found.problems, found.whole) == ([], False)
    again = FeatureStore.open(tmp_path, store.folder.name)
    assert len(again) == 10 * lines
    with again.writing():
        assert not again.missing(some_keys(0, 30)).any()
    assert again.gather(some_keys(0, 30)).tolist() == some_features(0, 30).tolist()
    assert verify(store.folder).whole
    cut(again, 2)  # from now on the lines are counted
    with pytest.raises(DamageError, match=r"manifest\.jsonl has 2 lines and had 3"):
        FeatureStore.open(tmp_path, store.folder.name)
    assert verify(store.folder).problems == [f"{store.folder / 'manifest.jsonl'} has 2 lines and had 3"]
    assert verify(store.folder, repair=True).adopted == [shard_path(store, "c").name]
    assert verify(store.folder).whole


def test_what_is_damaged_of_another_store_or_there_already_is_not_taken_up(tmp_path: Path) -> None:
    store, other = store_of_version_0_2(tmp_path), new_store(tmp_path, layers=(-1, -2))
    seal(other, "x", 100, 110)
    cut(store, 1)
    shutil.copy(shard_path(other, "x"), shard_path(store, "x"))
    shutil.copy(shard_path(store, "a"), shard_path(store, "again"))
    flip(shard_path(store, "c"), 300)
    with store.writing():
        assert [entry.shard for entry in store.entries] == ["a.parquet", "b.parquet"]
    assert len(list((store.folder / "shards").iterdir())) == 5, "an extraction removes nothing"


def test_one_of_several_workers_takes_up_nothing_for_another_may_just_be_naming_it(tmp_path: Path) -> None:
    store = store_of_version_0_2(tmp_path)
    cut(store, 2)
    with store.writing(Worker(1, 2)):
        assert len(store) == 20


WRITE = """
import sys
from itertools import count
from pathlib import Path
import numpy as np
from tests.cache.rows import new_store, some_features, some_keys
store = new_store(Path(sys.argv[1]), sys.argv[2])
with store.writing():
    for number in count():
        rows = (number * 20, number * 20 + 20)
        store.seal(f"s{number}", some_keys(*rows), np.arange(*rows, dtype=np.int32), some_features(*rows))
        print(number, flush=True)
"""


@pytest.fixture
def writer(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator["subprocess.Popen[str]"]:
    """A process that seals shards of 20 rows for ever, and prints the number of each; three are sealed."""
    command = [sys.executable, "-c", WRITE, str(tmp_path / "stores"), request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert [process.stdout.readline() for _ in range(3)] == ["0\n", "1\n", "2\n"]
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("writer", FORMATS, indirect=True)
def test_a_copy_of_a_store_in_mid_write_is_right_or_refused_and_can_be_repaired(
    tmp_path: Path, writer: "subprocess.Popen[str]"
) -> None:
    (source,) = (tmp_path / "stores").iterdir()
    for number in range(3):
        copy = tmp_path / f"copy-{number}" / source.name
        copy.parent.mkdir()
        # It may say that a file was gone before it was copied: temporary files come and go.
        subprocess.run(["cp", "-r", str(source), str(copy)], check=False, capture_output=True)
        try:
            rows = len(FeatureStore.open(copy.parent, copy.name))
        except DamageError as error:
            assert "run `armorm cache verify --repair`" in str(error)  # noqa: PT017
        else:
            assert rows >= 60
        assert verify(copy, repair=True).whole  # the copy's leases are held by nobody
        store = FeatureStore.open(copy.parent, copy.name)
        assert len(store) >= 60
        assert store.gather(some_keys(0, 60)).tolist() == some_features(0, 60).tolist()
        assert verify(copy).whole
    assert writer.poll() is None


@pytest.mark.parametrize("writer", FORMATS, indirect=True)
def test_a_kill_after_some_shards_leaves_them_and_the_next_writer_goes_on(
    tmp_path: Path, writer: "subprocess.Popen[str]"
) -> None:
    time.sleep(np.random.default_rng().uniform(0, 0.05))
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    (folder,) = (tmp_path / "stores").iterdir()
    store = FeatureStore.open(folder.parent, folder.name)
    sealed = len(store)
    with store.writing():
        assert len(store) - sealed in (0, 20), "more than the shard in hand was unnamed"
        rows = (len(store), len(store) + 20)
        store.seal("next", some_keys(*rows), np.arange(*rows, dtype=np.int32), some_features(*rows))
    store.refresh()
    assert store.gather(some_keys(0, len(store))).tolist() == some_features(0, len(store)).tolist()
    assert verify(folder).whole


@pytest.mark.parametrize("jump", [-4_000_000_000, -3600, 4_000_000_000])
def test_a_clock_that_jumps_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    store = new_store(tmp_path)
    seal(store, "a", 0, 10)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + jump)
    for path in (shard_path(store, "a"), store.folder / "manifest.jsonl", store.folder / "writer.lock"):
        os.utime(path, (max(0, now + 2 * jump), max(0, now + 2 * jump)))
    seal(store, "b", 10, 20)
    with store.writing():
        with pytest.raises(UserError, match="is writing to"), FeatureStore.open(tmp_path, store.folder.name).writing():
            pass
        assert verify(store.folder).whole
    again = FeatureStore.open(tmp_path, store.folder.name)
    assert again.gather(some_keys(0, 20)).tolist() == some_features(0, 20).tolist()


@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_disk_that_fills_at_any_place_of_a_seal_costs_that_shard_alone(
    tmp_path: Path, shard_format: FormatName, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(tmp_path, shard_format)
    seal(store, "a", 0, 10)
    fsync = os.fsync
    for place in range(20):
        left = place

        def full(descriptor: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(28, "No space left on device")
            fsync(descriptor)

        with monkeypatch.context() as patched, store.writing():
            patched.setattr(os, "fsync", full)
            try:
                rows = (10 * (place + 1), 10 * (place + 2))
                store.seal(f"s{place}", some_keys(*rows), np.arange(*rows, dtype=np.int32), some_features(*rows))
            except OSError as error:
                assert "No space left" in str(error)  # noqa: PT017
            else:
                break
        assert not list(store.folder.rglob(f"*{durable.TEMPORARY}"))
        again = FeatureStore.open(tmp_path, store.fingerprint.digest)
        assert again.gather(some_keys(0, 10)).tolist() == some_features(0, 10).tolist()
        assert not verify(store.folder).problems
    assert place > 4, "the disk never filled within the seal"
    with store.writing():
        there = ~store.missing(some_keys(0, 10 * (place + 2)))
    assert there[-10:].all()
    keys, expected = some_keys(0, len(there))[there], some_features(0, len(there))[there]
    assert store.gather(keys).tolist() == expected.tolist()


def test_a_disk_that_fills_within_the_count_keeps_the_shard(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    seal(store, "a", 0, 1)
    (store.folder / "manifest.count").unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"), store.writing():
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(FeatureStore.open(tmp_path, store.folder.name)) == 1
    assert not list(store.folder.rglob(f"*{durable.TEMPORARY}"))
