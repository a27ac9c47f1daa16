"""A program: seals a shard in child processes that kill themselves with SIGKILL before their n-th line of code.

For n = 1, 2, … until sealing ends unharmed, another child then opens what is left, checks that it is the
store without the shard or with all of it, seals the shard if it is missing, and compares with the bytes of
an uninterrupted store. Prints one line a kill: n, where it struck, and whether the shard was there.

Forking from a process that has only imported things is as real a kill as any, and takes milliseconds.

Usage: python -m tests.cache.kill_at_each_line FOLDER FORMAT [MODULE | MODULE.FUNCTION …], by default all of the package
"""

import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import cache
from cache import FeatureStore
from cache.verify import verify
from tests.cache.rows import new_store, seal, shard_path, some_features, some_keys

CACHE = str(Path(cache.__file__).parent)


class Killer:
    """A trace function that ends its process before the n-th line of the package `cache`, or of parts of it."""

    def __init__(self, n: int, log: Path, parts: tuple[str, ...]) -> None:
        self.left = n
        self.parts = set(parts)
        self.log = log

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(CACHE):
            return None
        module = Path(code.co_filename).stem
        if self.parts and self.parts.isdisjoint({module, f"{module}.{code.co_name}"}):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                self.log.write_text(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def child(work: Any) -> int:
    """Run `work` in a child; its exit status, or minus the signal that ended it."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def prepare(root: Path, shard_format: Any) -> None:
    """A store with one shard, and beside it one with both, uninterrupted."""
    for name in ("begun", "whole"):
        store = new_store(root / name, shard_format)
        seal(store, "a", 0, 4)
    seal(store, "b", 4, 8)


def check(root: Path, whole: Path, shard_format: Any, log: Path) -> None:
    """A killed store is the one before or after sealing, and can be completed to the same bytes."""
    store = FeatureStore.open(root, next(root.iterdir()).name)
    assert len(store) in (4, 8), len(store)
    sealed = len(store) == 8
    assert store.gather(some_keys(0, len(store))).tolist() == some_features(0, len(store)).tolist()
    assert not verify(store.folder).problems
    with store.writing():  # takes the shard up if it is whole
        pass
    if store.missing(some_keys(4, 8)).all():
        seal(store, "b", 4, 8)
    expected = FeatureStore.open(whole, store.folder.name)
    for shard in ("a", "b"):
        assert shard_path(store, shard).read_bytes() == shard_path(expected, shard).read_bytes()
    for file in ("manifest.jsonl", "manifest.count"):
        assert (store.folder / file).read_bytes() == (expected.folder / file).read_bytes()
    assert verify(store.folder).whole
    assert not verify(store.folder).leftovers
    log.write_text(f"{log.read_text()} {'sealed' if sealed else 'not sealed'}")


def main(folder: Path, shard_format: Any, *parts: str) -> None:
    """See the top of this file."""
    assert child(lambda: prepare(folder, shard_format)) == 0
    log = folder / "log"
    for n in range(1, 10_000):
        root = folder / "killed"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(folder / "begun", root)

        def work(n: int = n, root: Path = root) -> None:
            store = new_store(root, shard_format)
            sys.settrace(Killer(n, log, parts))
            seal(store, "b", 4, 8)
            sys.settrace(None)

        ended = child(work)
        if ended == 0:
            return
        assert ended == -signal.SIGKILL, ended
        assert child(lambda root=root: check(root, folder / "whole", shard_format, log)) == 0, log.read_text()
        sys.stdout.write(f"{n} {log.read_text()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
