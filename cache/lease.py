"""The writer's lease: one process writes to a store, or one for each share of it; a dead one holds nothing."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from cache.durable import naming
from cache.errors import UserError
from cache.share import WHOLE, Share

HOLDER = ".json"
"""Suffix of the note, beside a lock, on who holds it; it says nothing while nobody does."""


@contextmanager
def writer_lease(folder: Path, share: Share = WHOLE) -> Iterator[None]:
    """Hold the only right to write a share of a store.

    Shares of the same number of writers go together; a writer of the whole, or of another number of shares,
    keeps all others out. The locks are the operating system's: they end with the process that holds them,
    however it ends.

    Raises:
        UserError: another process holds a lease that excludes this one, or the folder cannot be written.
    """
    lock = folder / _name(share)
    with _deciding(folder):
        for other in sorted(folder.glob("writer*.lock")):
            if other != lock and not (share.of > 1 and other.stem.endswith(f"-of-{share.of}")):
                _take(folder, other).release()
        held = _take(folder, lock)
    try:
        _sign(lock)
        yield
    finally:
        held.release()


def hold_as_worker(folder: Path) -> FileLock:
    """A lock that keeps other writers out of a store until this process ends; the caller keeps the object.

    For a process that seals shards by order of one that holds the lease: should that one die, the lease must
    not go to another while a worker of it may still write.
    """
    for number in count(1):
        # Of the process, not of a thread: who asks for it may be a thread that ends before the process does.
        lock = FileLock(folder / f"writer-worker-{number}.lock", thread_local=False)
        with suppress(Timeout):
            lock.acquire(timeout=0)
            _sign(folder / f"writer-worker-{number}.lock")
            return lock
    raise AssertionError("count ended")


def holder(folder: Path) -> str:
    """What the one that holds the lease of a whole store wrote down about itself; empty where nobody did."""
    with suppress(OSError):
        return (folder / _name(WHOLE)).with_suffix(HOLDER).read_text()
    return ""


@contextmanager
def creating(folder: Path) -> Iterator[None]:
    """Wait for, then hold, the right to write a store's description. Held for moments only."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    with _deciding(folder):
        yield


@contextmanager
def _deciding(folder: Path) -> Iterator[None]:
    """Wait for, then hold, the right to decide who writes. Held for moments only."""
    lock = FileLock(folder / "create.lock")
    try:
        lock.acquire()
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        yield
    finally:
        lock.release()


def _take(folder: Path, path: Path) -> FileLock:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{_holder(path)} is writing to {folder}: wait until it ends, or stop it") from None
    except OSError as error:
        raise _unwritable(folder, error) from None
    return lock


def _sign(lock: Path) -> None:
    note = lock.with_suffix(HOLDER)
    with naming(note):
        note.write_text(json.dumps({"process": os.getpid(), "host": socket.gethostname()}))


def _name(share: Share) -> str:
    return "writer.lock" if share == WHOLE else f"writer-{share.number}-of-{share.of}.lock"


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(f"{folder} cannot be written ({error.strerror}): make it writable, or use another store.root")


def _holder(lock: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        holder = json.loads(lock.with_suffix(HOLDER).read_text())
        return f"another process ({holder['process']} on {holder['host']})"
    return "another process"
