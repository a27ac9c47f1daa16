"""The writer's lease: one process writes to a store, or several numbered workers; a dead process holds nothing."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from cache.durable import naming
from cache.errors import UserError
from cache.own_files import refuse_links
from cache.parsing import parse
from cache.worker import ALONE, Worker

STORE_ROOT = "store.root"
"""The setting that names the folder of the stores."""

HOLDER = ".json"
"""Suffix of the note that names the holder of a lock; without a holder the note means nothing."""


@dataclass(frozen=True, slots=True)
class _Note:
    """Who holds a lock."""

    process: int
    host: str


@contextmanager
def writer_lease(folder: Path, worker: Worker = ALONE) -> Iterator[None]:
    """Hold the exclusive right to write to a store as this worker.

    Workers that agree on their number may write at once; a single writer, or a worker of another number of workers,
    keeps all others out. The locks are the operating system's: they end with the process that holds them,
    however it ends.

    Raises:
        UserError: another process holds a lease that excludes this one, or the folder cannot be written.
    """
    lock = folder / _name(worker)
    refuse_links(folder)
    with _deciding(folder):
        for other in sorted(folder.glob("writer*.lock")):
            if other != lock and not (worker.of > 1 and other.stem.endswith(f"-of-{worker.of}")):
                _take(folder, other).release()
        held = _take(folder, lock)
    try:
        _sign(lock)
        yield
    finally:
        held.release()


def hold_as_worker(folder: Path) -> FileLock:
    """A lock that keeps other writers out of a store until this process ends; the caller keeps the object.

    For a process that seals shards on behalf of the lease's holder: should the holder die, nobody else may get the
    lease while one of its workers may still write.
    """
    refuse_links(folder)
    for number in count(1):
        # Bound to the process, not to a thread: the calling thread may end before the process does.
        lock = FileLock(folder / f"writer-worker-{number}.lock", thread_local=False)
        with suppress(Timeout):
            lock.acquire(timeout=0)
            _sign(folder / f"writer-worker-{number}.lock")
            return lock
    raise AssertionError("count ended")


def holder(folder: Path) -> str:
    """The note of the process that holds the lease of a whole store (JSON text); empty if there is none."""
    with suppress(OSError):
        return (folder / _name(ALONE)).with_suffix(HOLDER).read_text()
    return ""


@contextmanager
def lease(lock: Path, folder: Path, setting: str) -> Iterator[None]:
    """Hold the exclusive right to write what a lock stands for; a dead process holds nothing.

    Args:
        lock: the lock's file; it and its folder are made if they are missing.
        folder: what is written, for the sentence of a refusal.
        setting: the setting that names another folder.

    Raises:
        UserError: another process holds it, or the lock cannot be written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error, setting) from None
    held = _take(folder, lock, setting)
    try:
        _sign(lock)
        yield
    finally:
        held.release()


@contextmanager
def creating(folder: Path) -> Iterator[None]:
    """Wait for, then hold, the right to write a store's description, for a moment."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    refuse_links(folder)
    with _deciding(folder):
        yield


@contextmanager
def _deciding(folder: Path) -> Iterator[None]:
    """Wait for, then hold, the right to decide who writes, for a moment."""
    lock = FileLock(folder / "create.lock")
    try:
        lock.acquire()
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        yield
    finally:
        lock.release()


def _take(folder: Path, path: Path, setting: str = STORE_ROOT) -> FileLock:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{_holder(path)} is writing to {folder}: wait until it ends, or stop it") from None
    except OSError as error:
        raise _unwritable(folder, error, setting) from None
    return lock


def _sign(lock: Path) -> None:
    note = lock.with_suffix(HOLDER)
    with naming(note):
        note.write_text(json.dumps(asdict(_Note(os.getpid(), socket.gethostname()))))


def _name(worker: Worker) -> str:
    return "writer.lock" if worker == ALONE else f"writer-{worker.number}-of-{worker.of}.lock"


def _unwritable(folder: Path, error: OSError, setting: str = STORE_ROOT) -> UserError:
    return UserError(f"{folder} cannot be written ({error.strerror}): make it writable, or use another {setting}")


def _holder(lock: Path) -> str:
    with suppress(OSError, ValueError):
        note = parse(_Note, lock.with_suffix(HOLDER).read_bytes())
        return f"another process ({note.process} on {note.host})"
    return "another process"
