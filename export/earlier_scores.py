"""The file that `armorm score` writes: one process at a time, and a later run goes on where an earlier one stopped."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from cache import UserError
from cache.durable import write_text
from cache.lease import lease
from export.json_values import json_values
from export.not_scorable import NotScorableError
from extract.files.file_row import FileRow
from extract.files.malformed import Malformed

ROW = "row"
"""Key of a row's number, from 1, where the row itself cannot be repeated beside its `error`."""

PREFERS = "prefers"
"""Key of the response that is preferred in a pair."""

REMEDY = "name another --output, or remove it"

NumberedRow = tuple[int, FileRow | Malformed]
"""A row and its number in its file, from 1."""


def output_lease(out: Path) -> AbstractContextManager[None]:
    """Hold the exclusive right to write to an output.

    Raises:
        UserError: another process holds it; the sentence names that process.
    """
    real = out.resolve()
    return lease(real.with_name(f".{real.name}.lock"), out, "--output")


def check_own(out: Path) -> None:
    """Refuse a file that somebody else wrote.

    Raises:
        UserError: as said.
    """
    if not _run_file(out).exists():
        raise UserError(f"{out} is there and was not written by `armorm score`: {REMEDY}")


def remove_rows(rows: Path) -> None:
    """Remove the rows of a table that is written, and their record."""
    rows.unlink()
    _run_file(rows).unlink()


def write_run_file(out: Path, value: dict[str, Any]) -> None:
    """Record what an output is made with, beside it."""
    write_text(_run_file(out), json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def earlier_lines(out: Path, about: dict[str, Any]) -> list[bytes]:
    """The lines that an output has already, without a torn last one, which is cut off.

    Args:
        out: the output.
        about: what it is to be made with.

    Raises:
        UserError: it was made with something else, or by somebody else.
    """
    if not out.exists() or out.stat().st_size == 0:
        return []
    check_own(out)
    earlier = _read_run_file(out)
    changed = [key for key, value in about.items() if earlier.get(key) != value]
    if changed:
        raise UserError(f"{out} was made with another {changed[0].replace('_', ' ')}: {REMEDY}")
    data = out.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(out, len(whole))
    return whole.split(b"\n")[:-1]


def pass_over(
    rows: Iterator[NumberedRow], lines: list[bytes], source: Path, out: Path, prefix: str
) -> tuple[list[int], Counter[str]]:
    """Pass over the rows that an output has, after checking that they are the same.

    Args:
        rows: all rows of the input.
        lines: of `earlier_lines`.
        source: the input, for errors.
        out: the output, for errors.
        prefix: of the keys that were added.

    Returns:
        The numbers of those without a score; and of the pairs, how often each response is preferred.

    Raises:
        UserError: the input has changed, or a line of the output.
    """
    without: list[int] = []
    preferred: Counter[str] = Counter()
    for place, line in enumerate(lines, start=1):
        written = _written(line, out, place)
        number, row = next(rows, (place, Malformed("there are fewer rows")))
        if written.keys() == {prefix + ROW, prefix + "error"}:  # the row could not be repeated
            same, bad = written[prefix + ROW] == number, True
        else:
            values = _values(row)
            same = values is not None and all(name in written and written[name] == values[name] for name in values)
            added = written.keys() - (values or {}).keys()
            bad = prefix + "error" in added
            preferred.update(str(written[name]) for name in added & {prefix + PREFERS})
        if not same:
            raise UserError(f"{source} has changed since {out} was begun (row {place}): {REMEDY}")
        if bad:
            without.append(number)
    return without, preferred


def _values(row: FileRow | Malformed) -> dict[str, Any] | None:
    if isinstance(row, Malformed):
        return None
    try:
        return json_values(row.values)
    except NotScorableError:
        return None


def _written(line: bytes, out: Path, place: int) -> dict[str, Any]:
    try:
        written = json.loads(line)
    except (ValueError, RecursionError):
        written = None
    if not isinstance(written, dict):
        raise UserError(f"{out} is damaged (line {place} is no JSON object): {REMEDY}")
    return written


def _run_file(out: Path) -> Path:
    return out.with_name(out.name + ".run.json")


def _read_run_file(out: Path) -> dict[str, Any]:
    path = _run_file(out)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): name another --output, or remove {out}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} does not hold an object: name another --output, or remove {out}")
    return value
