"""Seconds, bytes and memory of every way on the same rows, in turns."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.process_memory import peak_bytes, resident_bytes
from benchmarks.store.processes import result
from benchmarks.store.way import Reader, Rows, Way
from benchmarks.store.ways import WAYS, way

FRACTION = 100
"""One row in so many is gathered."""

WARM_UP = Rows.random(64, 1_024, 64)

Work = Callable[[], object]
"""Operations that are timed."""


def measure(folder: Path, rows: Rows, repeats: int, writes: int, prompts: int) -> list[dict[str, Any]]:
    """One line a way, at one size.

    Args:
        folder: an empty one, for all ways' files.
        rows: the rows.
        repeats: rounds of reading, in each of which every way has its turn; the fewest seconds count.
        writes: rounds of writing.
        prompts: rows of the large gather, 0 for none.

    Raises:
        ValueError: a way gave other rows back.
    """
    n, width = rows.features.shape
    rng = np.random.default_rng(1)
    hundredth = rng.choice(n, max(1, n // FRACTION), replace=False)  # (m,)
    lines: list[dict[str, Any]] = [
        {"way": each.name, "rows": n, "width": width, "payload": 2 * n * width, "by_number": each.by_number}
        for each in WAYS
    ]
    for each in WAYS:
        _warm_up(folder, each)
    _turns(lines, "write", writes, partial(_writing, folder, rows))
    for each, line in zip(WAYS, lines, strict=True):
        _compare(folder, rows, hundredth, each)
        line["bytes"] = sum(path.stat().st_size for path in _place(folder, each).rglob("*") if path.is_file())
        line |= result(_memory, each.name, folder)
    _turns(lines, "open", repeats, partial(_opening, folder))
    _turns(lines, "stream", repeats, partial(_reading, folder, _stream))
    _turns(lines, "hundredth", repeats, partial(_reading, folder, partial(_gather, rows.keys, hundredth)))
    _turns(lines, "by_key", repeats, partial(_finding, folder, rows.keys[hundredth]))
    if prompts:
        wanted = rng.choice(n, prompts, replace=False)
        _turns(lines, "prompts", repeats, partial(_reading, folder, partial(_gather, rows.keys, wanted)))
    return lines


def _turns(
    lines: list[dict[str, Any]], name: str, rounds: int, prepared: Callable[[Way], AbstractContextManager[Work | None]]
) -> None:
    """Put the fewest seconds of each way into its line, and the fewest processor seconds of all threads."""
    for _ in range(rounds):
        for each, line in zip(WAYS, lines, strict=True):
            with prepared(each) as work:
                if work is None:
                    continue
                wall, processor = time.perf_counter(), time.process_time()
                work()
                taken = {"s": time.perf_counter() - wall, "cpu_s": time.process_time() - processor}
            for unit, value in taken.items():
                line[f"{name}_{unit}"] = min(value, line.get(f"{name}_{unit}", value))


@contextmanager
def _writing(folder: Path, rows: Rows, each: Way) -> Iterator[Work]:
    place = _place(folder, each)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    os.sync()  # nobody pays for what the one before left to the system
    yield lambda: each.write(place, rows, 0, lambda _: None)


@contextmanager
def _opening(folder: Path, each: Way) -> Iterator[Work]:
    def work() -> None:
        with each.open(_place(folder, each)):
            pass

    yield work


@contextmanager
def _reading(folder: Path, read: Callable[[Reader], object], each: Way) -> Iterator[Work]:
    """Reading from a reader that was opened for it, so that a memory map is new; opening is timed by itself."""
    with each.open(_place(folder, each)) as reader:
        reader.keys()  # the store streams by keys, which a command has from its tables
        yield lambda: read(reader)


@contextmanager
def _finding(folder: Path, keys: NDArray[np.uint8], each: Way) -> Iterator[Work | None]:
    with each.open(_place(folder, each)) as reader:
        find = each.finder(reader)
        yield None if find is None else lambda: find(keys)


def _stream(reader: Reader) -> int:
    return sum(len(block) for block in reader.stream())


def _gather(keys: NDArray[np.uint8], numbers: NDArray[np.int64], reader: Reader) -> object:
    return reader.gather(keys[numbers], numbers)


def _compare(folder: Path, rows: Rows, numbers: NDArray[np.int64], each: Way) -> None:
    """Hold a stream, a gather and a search against the rows that were written."""
    with each.open(_place(folder, each)) as reader:
        low = 0
        for block in reader.stream():
            _same(each, block, rows.features[low : low + len(block)])
            low += len(block)
        if low != len(rows) or not np.array_equal(reader.keys(), rows.keys):
            raise ValueError(f"{each.name} gave {low} rows back, or other keys")
        _same(each, reader.gather(rows.keys[numbers], numbers), rows.features[numbers])
        if (find := each.finder(reader)) is not None:
            _same(each, find(rows.keys[numbers]), rows.features[numbers])


def _same(each: Way, got: NDArray[np.float32], wanted: NDArray[np.float32]) -> None:
    if not np.array_equal(got, wanted):
        raise ValueError(f"{each.name} gave other values back")


def _memory(name: str, folder: Path) -> dict[str, int]:
    """Growth of a process of its own that opens and streams everything: its peak, and mapped pages at the end."""
    each = way(name)
    _use(folder, each)
    before, mapped = resident_bytes(), _mapped_bytes()
    with each.open(_place(folder, each)) as reader:
        _stream(reader)
        still = _mapped_bytes() - mapped
    return {"stream_grew": peak_bytes() - before, "stream_mapped": max(0, still)}


def _warm_up(folder: Path, each: Way) -> None:
    """Use a library once, since the first call imports it and starts its threads."""
    place = _warm_place(folder, each)
    place.mkdir()
    each.write(place, WARM_UP, 0, lambda _: None)
    _use(folder, each)


def _use(folder: Path, each: Way) -> None:
    with each.open(_warm_place(folder, each)) as reader:
        _stream(reader)
        _gather(reader.keys(), np.arange(len(WARM_UP)), reader)


def _warm_place(folder: Path, each: Way) -> Path:
    return folder / f"{_place(folder, each).name}-warm"


def _mapped_bytes() -> int:
    """Pages of files in this process's memory, which the system can take back at any time, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssFile:")) * 1024


def _place(folder: Path, each: Way) -> Path:
    return folder / each.name.replace(", ", "-")
