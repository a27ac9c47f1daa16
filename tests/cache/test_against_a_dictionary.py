"""Any sequence of sealing, kills, resumes, damage and repair: the store answers as a dictionary would."""

import shutil
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import cache
from cache import FeatureStore
from cache.verify import verify
from tests.cache.rows import FORMATS, flip, new_store, seal, some_features, some_keys

CACHE = str(Path(cache.__file__).parent)
ROWS = 60


class Snapshot:
    """A trace function that copies a folder before the n-th line of the package `cache`.

    The copy is what SIGKILL would have left there at that moment: what Python still held in its buffers
    is not in it.
    """

    def __init__(self, folder: Path, n: int) -> None:
        self.folder, self.left = folder, n
        self.copy = folder.with_name("snapshot")
        self.taken = False

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(CACHE):
            return None
        if event == "line" and not self.taken:
            self.left -= 1
            if self.left == 0:
                self.taken = True
                shutil.copytree(self.folder, self.copy)
        return self


class StoreMachine(RuleBasedStateMachine):
    @initialize(shard_format=st.sampled_from(FORMATS))
    def begin(self, shard_format: Any) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.root = self.folder / "features"
        self.store = new_store(self.root, shard_format)
        self.digest = self.store.fingerprint.digest
        self.shards: dict[str, tuple[int, ...]] = {}
        """Content of the dictionary: shard -> the numbers of its rows."""
        self.sealed = 0

    def _free(self, start: int, count: int) -> tuple[int, int]:
        """A stretch of rows from `start` on of which none is held."""
        held = {row for rows in self.shards.values() for row in rows}
        stop = start
        while stop < min(start + count, ROWS) and stop not in held:
            stop += 1
        return start, stop

    @rule(start=st.integers(0, ROWS - 1), count=st.integers(0, 12))
    def insert(self, start: int, count: int) -> None:
        start, stop = self._free(start, count)
        name = f"s{self.sealed}"
        self.sealed += 1
        seal(self.store, name, start, stop)
        self.shards[name] = tuple(range(start, stop))

    @rule(start=st.integers(0, ROWS - 1), count=st.integers(1, 12), line=st.integers(1, 260))
    def insert_killed_and_resumed(self, start: int, count: int, line: int) -> None:
        start, stop = self._free(start, count)
        name = f"s{self.sealed}"
        self.sealed += 1
        snapshot, before = Snapshot(self.root, line), sys.gettrace()
        sys.settrace(snapshot)
        try:
            seal(self.store, name, start, stop)
        finally:
            sys.settrace(before)
        if snapshot.taken:
            shutil.rmtree(self.root)
            snapshot.copy.rename(self.root)
            self.store = FeatureStore.open(self.root, self.digest)
            if not any(entry.shard.split(".")[0] == name for entry in self.store.entries):
                assert self.store.missing(some_keys(start, stop)).all()
                seal(self.store, name, start, stop)
        self.shards[name] = tuple(range(start, stop))

    @rule()
    def reopen(self) -> None:
        self.store = FeatureStore.open(self.root, self.digest)

    @precondition(lambda self: any(self.shards.values()))
    @rule(data=st.data())
    def damage_and_repair(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.shards)))
        (path,) = (self.store.folder / "shards").glob(f"{name}.*")
        flip(path, data.draw(st.integers(0, path.stat().st_size - 1)), data.draw(st.integers(0, 7)))
        assert verify(self.store.folder, repair=True).damaged_shards == [path.name]
        del self.shards[name]
        self.store = FeatureStore.open(self.root, self.digest)

    @rule(data=st.data())
    def gather(self, data: st.DataObject) -> None:
        held = sorted(row for rows in self.shards.values() for row in rows)
        wanted = data.draw(st.lists(st.sampled_from(held), max_size=30)) if held else []
        got = self.store.gather(some_keys(0, ROWS)[np.array(wanted, dtype=np.int64)])
        assert got.tolist() == some_features(0, ROWS)[np.array(wanted, dtype=np.int64)].tolist()

    @invariant()
    def holds_what_the_dictionary_holds(self) -> None:
        held = {row for rows in self.shards.values() for row in rows}
        assert self.store.missing(some_keys(0, ROWS)).tolist() == [row not in held for row in range(ROWS)]
        assert len(self.store) == len(held)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)


StoreMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
TestStoreAgainstADictionary = StoreMachine.TestCase
