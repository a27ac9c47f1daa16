"""Shards are sealed in another thread, and the block that seals them ends with the last of them."""

import errno
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache import FeatureStore
from extract.packing import PackLayout
from extract.shard_writer import Part, ShardWriter
from tests.cache.rows import HIDDEN, new_store, some_features, some_keys


def part(start: int, stop: int) -> Part:
    """A pack whose features are those of the rows with these numbers."""
    rows = np.arange(start, stop)
    layout = PackLayout(rows, rows, (), some_keys(start, stop), rows, rows.astype(np.int32))
    return layout, some_features(start, stop)


def seal_then(store: FeatureStore, work: Callable[[ShardWriter], None]) -> None:
    """Give a shard to be sealed, and go on with other work."""
    with store.writing(), ShardWriter(store) as writer:
        writer.seal("a", [part(0, 5)])
        work(writer)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return new_store(tmp_path)


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests run in the background of a shell, which would ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_shards_hold_the_rows_of_their_packs(store: FeatureStore) -> None:
    with store.writing(), ShardWriter(store) as writer:
        writer.seal("a", [part(0, 3), part(3, 7)])
        writer.seal("b", [part(7, 9)])
    assert writer.features == 9
    store.refresh()
    assert [entry.rows for entry in store.entries] == [7, 2]
    assert store.gather(some_keys(0, 9)).tolist() == some_features(0, 9).tolist()


@pytest.mark.usefixtures("interrupts")
def test_the_store_is_held_until_the_shard_is_sealed_however_often_an_interrupt_comes(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = threading.Event()
    seal = store.seal

    def interrupted(*arguments: Any) -> Any:
        for _ in range(5):
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)
            time.sleep(0.1)
        entry = seal(*arguments)
        sealed.set()
        return entry

    monkeypatch.setattr(store, "seal", interrupted)
    with pytest.raises(KeyboardInterrupt):
        seal_then(store, ShardWriter.wait)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it fails, interrupts still come
    assert sealed.is_set(), "the store was given to the next writer while a shard was being written"
    store.refresh()
    assert len(store) == 5


def test_what_goes_wrong_is_raised_by_the_next_call_once(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "seal", full)
    with store.writing(), ShardWriter(store) as writer:
        writer.seal("a", [part(0, 5)])
        with pytest.raises(OSError, match="No space left"):
            writer.seal("b", [part(5, 9)])
    with pytest.raises(OSError, match="No space left"), store.writing(), ShardWriter(store) as writer:
        writer.seal("a", [part(0, 5)])


def test_what_went_wrong_first_is_what_is_told(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "seal", full)

    def lost(_: ShardWriter) -> None:
        raise RuntimeError("the device is lost")

    with pytest.raises(RuntimeError, match="the device is lost"):
        seal_then(store, lost)
    assert "a shard could not be sealed: [Errno 28] No space left on device" in caplog.text


def test_a_row_that_is_there_is_not_stored_again(store: FeatureStore) -> None:
    with store.writing(), ShardWriter(store) as writer:
        writer.seal("a", [part(0, 5)])
    with store.writing(), ShardWriter(store) as writer:
        writer.seal("b", [part(3, 8)])
    assert writer.features == 3
    store.refresh()
    assert len(store) == 8


def test_features_beyond_the_dtype_are_refused_and_the_rest_of_their_pack_is_stored(store: FeatureStore) -> None:
    layout, features = part(0, 5)
    features[2, 1, HIDDEN - 1] = np.inf
    with store.writing(), ShardWriter(store) as writer:
        writer.seal("a", [(layout, features)])
    store.refresh()
    assert set(store.skipped) == {some_keys(2, 3).tobytes()}
    assert len(store) == 4
