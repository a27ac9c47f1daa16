"""One byte of a stored file changed: what a reader of everything then notices."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.store.processes import Died, result
from benchmarks.store.way import Rows, Way
from benchmarks.store.ways import WAYS, way

OUTCOMES = ("named", "noticed", "silent", "none")
"""An error that names the file or the row; one that names neither; other values without a word; no effect."""


def measure(folder: Path, rows: Rows, flips: int) -> list[dict[str, Any]]:
    """One line a way: the number of each outcome over `flips` bytes, and the error that was raised most.

    Positions are drawn, by a seed, from all bytes of the files that hold features. A byte is changed by a mask that is
    drawn too, everything is read in a process of its own, and the byte is put back.
    """
    return [_of_way(folder / each.name.replace(", ", "-"), each, rows, flips) for each in WAYS]


def _of_way(folder: Path, each: Way, rows: Rows, flips: int) -> dict[str, Any]:
    folder.mkdir()
    each.write(folder, rows, 0, lambda _: None)
    files = each.data_files(folder)
    ends = np.cumsum([path.stat().st_size for path in files])
    rng = np.random.default_rng(2)
    outcomes: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for position in rng.integers(0, ends[-1], flips).tolist():
        number = int(np.searchsorted(ends, position, side="right"))
        offset = position - (int(ends[number - 1]) if number else 0)
        mask = int(rng.integers(1, 256))
        _change(files[number], offset, mask)
        try:
            outcome, error = result(read_everything, each.name, folder, files[number], rows)
        except Died as died:
            outcome, error = "noticed", f"the process {died}"
        _change(files[number], offset, mask)
        outcomes[outcome] += 1
        errors[error.replace(str(folder), "…")] += bool(error)
    shown = errors.most_common(1)
    return {
        "way": each.name,
        "flips": flips,
        "bytes": int(ends[-1]),
        **{outcome: outcomes[outcome] for outcome in OUTCOMES},
        "error": shown[0][0][:300] if shown else "",
    }


def read_everything(name: str, folder: Path, damaged: Path, rows: Rows) -> tuple[str, str]:
    """The outcome of reading all keys and features, and the error if there was one."""
    each = way(name)
    try:
        with each.open(folder) as reader:
            keys = reader.keys()
            features = np.concatenate(list(reader.stream()))
    except Exception as error:  # which errors these libraries raise is what is measured
        text = " ".join(str(error).split())
        return ("named" if str(damaged.relative_to(folder)) in text else "noticed"), text or repr(error)
    # as bits, since a changed byte may make no number, which equals nothing
    same = np.array_equal(features.view(np.uint32), rows.features.view(np.uint32))
    return ("none" if same and np.array_equal(keys, rows.keys) else "silent"), ""


def _change(path: Path, offset: int, mask: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ mask]))
