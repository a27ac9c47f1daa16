"""A writer killed in the middle: what a reader then finds, and how much must be written again."""

import contextlib
import os
import resource
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.store.processes import Died, result, started
from benchmarks.store.way import Rows, Way
from benchmarks.store.ways import WAYS, way

SHARDS_BEFORE = 2
"""Shards whose writing has returned before the writer is killed in the next one."""


def measure(folder: Path, rows: Rows, kills: int) -> list[dict[str, Any]]:
    """One line a way, with one entry a kill.

    The writer is killed while it writes the third shard, when it has written a part of the shard's bytes; the parts are
    spread over the kills. Where a shard is a file, the system ends the writer by its limit on a file's size (SIGXFSZ,
    whose default runs no more of the program than SIGKILL does), so that it happens at that byte however busy the
    machine is. Where files have their full size from the start, SIGKILL is sent when so much of them is on the disk.
    Then one process reads everything, and another goes on writing from where the way says that it can, and reads again.
    """
    return [_of_way(folder / each.name.replace(", ", "-"), each, rows, kills) for each in WAYS]


def _of_way(folder: Path, each: Way, rows: Rows, kills: int) -> dict[str, Any]:
    folder.mkdir()
    found = []
    for kill in range(kills):
        place = folder / str(kill)
        written = _kill(place, each, rows, (kill + 0.5) / kills)
        seen = _read(each, place, rows)
        found.append({"written": written, **seen, **_go_on(each, place, rows)})
    return {"way": each.name, "rows": len(rows), "shard_rows": rows.shard_rows, "kills": found}


def _kill(folder: Path, each: Way, rows: Rows, part: float) -> int:
    """Kill a writer when it has written this part of its third shard; the rows that it said were durable."""
    folder.mkdir()
    shard_bytes = 2 * rows.shard_rows * rows.features.shape[1]
    process, connection = started(_write, each.name, folder, rows, int(part * shard_bytes))
    for _ in range(SHARDS_BEFORE):
        written = connection.recv()
    enough = _disk_bytes(folder) + part * shard_bytes
    while _disk_bytes(folder) < enough and not connection.poll():
        pass
    process.kill()
    process.join()
    if process.exitcode not in (-signal.SIGXFSZ, -signal.SIGKILL):
        raise Died(f"{each.name}: a writer that was to be killed ended by itself, with exit code {process.exitcode}")
    with contextlib.suppress(EOFError):
        while True:
            written = connection.recv()  # the shard was done before it was noticed
    return int(written)


def _disk_bytes(folder: Path) -> int:
    """Bytes that all files have on the disk, or will have; a file may be longer than what was written to it."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # renamed meanwhile
                total += 512 * os.stat(os.path.join(place, name)).st_blocks  # noqa: PTH116, PTH118  # in a busy loop
    return total


def _read(each: Way, folder: Path, rows: Rows) -> dict[str, Any]:
    try:
        return result(read_all, each.name, folder, rows)
    except Died as died:
        return {"found": 0, "wrong": 0, "error": f"the process {died}"}


def _go_on(each: Way, folder: Path, rows: Rows) -> dict[str, Any]:
    try:
        return result(go_on, each.name, folder, rows)
    except Died as died:
        return {"kept": 0, "whole": False, "resume_error": f"the process {died}"}


def read_all(name: str, folder: Path, rows: Rows) -> dict[str, Any]:
    """Rows that a reader finds, how many of them are not the ones that were to be written, and its error."""
    each = way(name)
    found, wrong = 0, 0
    try:
        with each.open(folder) as reader:
            keys = reader.keys()
            for block in reader.stream():
                low, high = found, found + len(block)
                right = (block == rows.features[low:high]).all(axis=1) & (keys[low:high] == rows.keys[low:high]).all(
                    axis=1
                )
                wrong += int((~right).sum())
                found = high
    except Exception as error:  # which errors these libraries raise is what is measured
        return {"found": found, "wrong": wrong, "error": (str(error) or repr(error)).replace(str(folder), "…")[:300]}
    return {"found": found, "wrong": wrong, "error": ""}


def go_on(name: str, folder: Path, rows: Rows) -> dict[str, Any]:
    """Rows that need not be written again, and whether everything is right after the others were."""
    each = way(name)
    try:
        kept = each.take_up(folder, rows)
        each.write(folder, rows, kept, lambda _: None)
    except Exception as error:  # as above
        return {"kept": 0, "whole": False, "resume_error": (str(error) or repr(error)).replace(str(folder), "…")[:300]}
    seen = read_all(name, folder, rows)
    whole = seen == {"found": len(rows), "wrong": 0, "error": ""}
    return {"kept": kept, "whole": whole, "resume_error": seen["error"]}


def _write(connection: Connection, name: str, folder: Path, rows: Rows, part_bytes: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # which Python ignores otherwise
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def written(count: int) -> None:
        connection.send(count)
        if count == SHARDS_BEFORE * rows.shard_rows:
            resource.setrlimit(resource.RLIMIT_FSIZE, (part_bytes, resource.RLIM_INFINITY))

    way(name).write(folder, rows, 0, written)
