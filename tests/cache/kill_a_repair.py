"""A program: repairs a store in child processes that kill themselves with SIGKILL before their n-th line of code.

The store has every fault that a repair mends: a damaged row, a damaged line, a forged line that names a file outside, a
skipped key that is none, a plan that is none, a temporary file, and another store's shard. For n = 1, 2, … until the
repair ends unharmed, another child then repairs what is left, and checks that the store verifies, that every row which
was good is there, that nobody else's file is lost, and that nothing outside the store was touched. Prints one line a
kill: n, and where it struck.

Usage: python -m tests.cache.kill_a_repair FOLDER FORMAT [MODULE | MODULE.FUNCTION …], by default all of the package
"""

import json
import shutil
import signal
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from cache import FeatureStore
from cache.verify import verify
from tests.cache.kill_at_each_line import Killer, child
from tests.cache.rows import flip, new_store, seal, shard_path, some_features, some_keys

GOOD = np.r_[0:4, 8:16]
"""Rows in undamaged shards: those of `a`, of `c`, whose line is damaged, and of `d`."""


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def forged(value: dict[str, Any]) -> bytes:
    """A line whose checksum is right."""
    body = json.dumps(value).encode()
    return body + f"\t{zlib.crc32(body):08x}\n".encode()


def prepare(root: Path, shard_format: Any) -> None:
    """The damaged store, another store, and a file outside both."""
    root.mkdir()
    (root / "victim.parquet").write_text("somebody's work")
    store = new_store(root / "stores", shard_format)
    for number, name in enumerate("abcd"):
        seal(store, name, 4 * number, 4 * number + 4)
    other = new_store(root / "stores", shard_format, layers=(-1, -2))
    seal(other, "x", 100, 104)
    shutil.copy(shard_path(other, "x"), store.folder / "shards")
    damaged = shard_path(store, "b")
    flip(damaged, damaged.read_bytes().index(some_features(5, 6).astype("<f2").tobytes()) + 5)
    lines = (store.folder / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    flip(store.folder / "manifest.jsonl", len(lines[0]) + len(lines[1]) + 40)
    with (store.folder / "manifest.jsonl").open("ab") as file:
        entry = json.loads(lines[0].partition(b"\t")[0])
        file.write(forged(entry | {"shard": "../../../victim.parquet"}))
        file.write(forged(entry | {"shard": str(root / "victim.parquet")}))
    (store.folder / "refused.jsonl").write_bytes(forged({"key": "zz", "reason": "r"}))
    (store.folder / "plans").mkdir(exist_ok=True)
    (store.folder / "plans" / "p.parquet").write_text("no plan")
    (store.folder / "shards" / f"{damaged.name}.partial").write_text("half")


def check(root: Path, begun: Path, digest: str) -> None:
    """A killed repair leaves what a repair mends, and what was nobody's to take is there."""
    folder = root / "stores" / digest
    assert verify(folder, repair=True).whole
    found = verify(folder)
    assert found.whole
    assert not found.leftovers
    store = FeatureStore.open(root / "stores", digest)
    keys = some_keys(0, 16)
    assert store.gather(keys[GOOD]).tolist() == some_features(0, 16)[GOOD].tolist()
    assert store.missing(keys[4:8]).all()
    left = files(folder)
    taken = {name: data for name, data in left.items() if name.startswith("set-aside/")}
    was = files(begun / "stores" / digest)
    foreign = f"x{shard_path(store, 'x').suffix}"
    assert taken == {f"set-aside/{foreign}": was[f"shards/{foreign}"], "set-aside/p.parquet": b"no plan"}
    assert {name.partition("/")[0] for name in files(root)} == {"stores", "victim.parquet"}
    for outside in ("victim.parquet", *(f"stores/{path.name}" for path in (begun / "stores").iterdir())):
        if not outside.endswith(digest):
            now, before = root / outside, begun / outside
            assert (files(now) if now.is_dir() else now.read_bytes()) == (
                files(before) if before.is_dir() else before.read_bytes()
            ), outside
    seal(store, "b", 4, 8)
    assert store.gather(keys).tolist() == some_features(0, 16).tolist()


def main(folder: Path, shard_format: Any, *parts: str) -> None:
    """See the top of this file."""
    begun, root, log = folder / "begun", folder / "killed", folder / "log"
    assert child(lambda: prepare(begun, shard_format)) == 0
    digest = new_store(folder / "name", shard_format).folder.name
    for n in range(1, 100_000):
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(begun, root)

        def work(n: int = n) -> None:
            sys.settrace(Killer(n, log, parts))
            verify(root / "stores" / digest, repair=True)
            sys.settrace(None)

        ended = child(work)
        assert ended in (0, -signal.SIGKILL), ended
        assert child(lambda: check(root, begun, digest)) == 0, log.read_text()
        if ended == 0:
            return
        sys.stdout.write(f"{n} {log.read_text()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
