"""A few rows of a file, as a small file of the same kind, which the set's real reader reads.

The first rows come from the file's first bytes. For JSON lines and Parquet a few more come from a random place; JSON
arrays and compressed files can be read from their beginning alone. A file of another kind is read from its beginning by
the real reader where it lies on the disk, and fetched whole from the hub if it is small.
"""

import gzip
import json
import lzma
import random
import zlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cache import UserError
from cache.errors import first_line
from extract.check.contents import Contents, Seekable
from extract.check.json_text import first_elements, is_array, whole_lines
from extract.files.faults import PAGES, POINTER

TEXT = 1 << 18
"""Bytes of text that are looked at."""
LONGEST_TEXT = 1 << 23
"""Bytes of text that are looked at if the first rows are longer than that."""
SMALL = 1 << 24
"""Bytes of a file that is fetched whole to be looked at, where its kind cannot be read in part."""
LATER = 6
"""Batches of a Parquet file's only group of rows among which one is drawn."""
JSON = (".json", ".jsonl")
COMPRESSED = {".gz": zlib.MAX_WBITS | 16, ".xz": lzma.FORMAT_XZ}


class UnreadableError(UserError):
    """A file is not what its name says; the message says what it is, and what helps."""


class NotLookedAtError(UserError):
    """A file is too large to be fetched for a check, and cannot be read in part."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some rows of a file."""

    path: Path
    """The small file."""
    rows: int | None
    """Raw rows in it; None if the reader has to count."""
    rows_of_file: int | None
    """Raw rows of the whole file; None if that is not known from what was read."""
    guessed: bool = False
    """Whether `rows_of_file` is a guess by the size of the rows that were read."""
    doubt: str | None = None
    """A sentence about something that looks wrong, though rows can be read."""


def excerpt(contents: Contents, folder: Path, columns: frozenset[str], rows: int, rng: random.Random) -> Excerpt:
    """Write some rows of a file into a small file of the same name.

    Args:
        contents: the file.
        folder: where to write.
        columns: the columns of a Parquet file that are read.
        rows: number of rows from the beginning, and from a random place, at most.
        rng: draws the random place.

    Raises:
        UnreadableError: the file is empty, or is not what its name says.
        NotLookedAtError: it could only be read whole, and is large.
        UserError: its bytes cannot be had.
    """
    _refuse_other_contents(contents)
    target = folder / contents.name
    target.parent.mkdir(parents=True, exist_ok=True)
    kind = target.suffix
    if kind == ".parquet":
        return _of_parquet(contents, target, columns, rows, rng)
    if kind in COMPRESSED and Path(target.stem).suffix in JSON:
        return _of_compressed_json(contents, target, rows)
    if kind in JSON:
        return _of_json(contents, target, rows, rng)
    if contents.local is not None:
        target.symlink_to(contents.local.resolve())
        return Excerpt(target, None, None)
    if contents.size > SMALL:
        raise NotLookedAtError(
            f"{contents.name} can be read from the disk alone, and {contents.size / 1e6:,.0f} MB are not fetched for a"
            " check: its rows are not known"
        )
    target.write_bytes(contents.read(0, contents.size))
    return Excerpt(target, None, None)


def _refuse_other_contents(contents: Contents) -> None:
    """Refuse what is saved in place of data often enough to be told apart by its first bytes."""
    again = "remove it and fetch it again" if contents.local is not None else "name another revision"
    start = contents.read(0, 512).lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise UnreadableError(f"{contents.name} is empty: {again}")
    if start.startswith(POINTER):
        raise UnreadableError(
            f"{contents.name} is a Git LFS pointer without its content: run `git lfs pull` in its repository"
        )
    if start[:20].lower().startswith(PAGES):
        raise UnreadableError(
            f"{contents.name} is a page of HTML, or of XML, such as a proxy or a login sends in place of a file:"
            f" {again}"
        )


def _of_parquet(contents: Contents, target: Path, columns: frozenset[str], rows: int, rng: random.Random) -> Excerpt:
    try:
        with pq.ParquetFile(Seekable(contents), buffer_size=1 << 16, pre_buffer=False) as file:
            names = [name for name in file.schema_arrow.names if name in columns] or file.schema_arrow.names
            groups = [0, rng.randrange(file.num_row_groups)] if file.num_row_groups else []
            parts = [_first_batch(file, group, names, rows) for group in dict.fromkeys(groups)]
            if len(parts) == 1:
                parts.append(_later_batch(file, names, rows, rng))
            if not file.metadata.num_rows:
                raise UnreadableError(f"{contents.name} has no rows: check `files` in the recipe")
            table = pa.Table.from_batches([part for part in parts if part is not None])
            total = int(file.metadata.num_rows)
    except (pa.ArrowException, OSError, ValueError) as error:
        what = "cut or damaged" if contents.read(0, 4) == b"PAR1" else "no Parquet file"
        again = "remove it and fetch it again" if contents.local is not None else "name another revision"
        raise UnreadableError(f"{contents.name} is {what} ({first_line(error)}): {again}") from None
    pq.write_table(table, target)
    return Excerpt(target, table.num_rows, total)


def _first_batch(file: Any, group: int, names: list[str], rows: int) -> Any:
    batches = file.iter_batches(batch_size=rows, row_groups=[group], columns=names, use_threads=False)
    return next(batches, None)


def _later_batch(file: Any, names: list[str], rows: int, rng: random.Random) -> Any:
    """One of the next few batches of the only group of rows."""
    batches = file.iter_batches(batch_size=rows, columns=names, use_threads=False)
    later = list(islice(batches, 1, LATER))
    return rng.choice(later) if later else None


def _of_json(contents: Contents, target: Path, rows: int, rng: random.Random) -> Excerpt:
    text, lines = _beginning(contents, rows)
    if lines is None:
        elements = first_elements(text, rows)
        if not contents.read(max(0, contents.size - 64), contents.size).rstrip().endswith(b"]"):
            raise UnreadableError(f"{contents.name} ends in the middle of its array: remove it and fetch it again")
        target.write_bytes(elements.text)
        guess = round(elements.rows * contents.size / elements.end) if elements.rows else None
        return Excerpt(target, elements.rows, elements.rows if elements.ended else guess, guessed=not elements.ended)
    whole = len(text) == contents.size
    known = len(lines) if whole else round(len(lines) * contents.size / max(1, sum(map(len, lines))))
    kept = lines[:rows]
    if whole:
        kept += rng.sample(lines[rows:], min(rows, len(lines) - len(kept)))
    else:
        kept += _lines_at_random(contents, rows, rng)
    target.write_bytes(b"".join(kept))
    return Excerpt(target, len(kept), known, guessed=not whole, doubt=_cut(contents))


def _of_compressed_json(contents: Contents, target: Path, rows: int) -> Excerpt:
    try:
        text, ended = _uncompressed(contents, target.suffix)
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise UnreadableError(
            f"{contents.name} is not compressed as its name says, or damaged ({first_line(error)}): remove it and fetch"
            " it again"
        ) from None
    if is_array(text):
        elements = first_elements(text, rows)
        kept, count, known = elements.text, elements.rows, elements.rows if elements.ended else None
    else:
        lines = whole_lines(text, ended)
        kept, count, known = b"".join(lines[: 2 * rows]), len(lines[: 2 * rows]), len(lines) if ended else None
    target.write_bytes(gzip.compress(kept, 1) if target.suffix == ".gz" else lzma.compress(kept, preset=0))
    return Excerpt(target, count, known)


def _beginning(contents: Contents, rows: int) -> tuple[bytes, list[bytes] | None]:
    """The first bytes, and the whole lines in them; no lines if the file is an array."""
    size = TEXT
    while True:
        text = contents.read(0, size)
        if is_array(text):
            done = first_elements(text, rows).rows > 0
            lines = None
        else:
            lines = whole_lines(text, ended=len(text) >= contents.size)
            done = len(lines) > 0
        if done or size >= min(contents.size, LONGEST_TEXT):
            return text, lines
        size *= 4


def _lines_at_random(contents: Contents, rows: int, rng: random.Random) -> list[bytes]:
    start = rng.randrange(max(1, contents.size - TEXT))
    _, newline, text = contents.read(start, start + TEXT).partition(b"\n")
    return whole_lines(text, ended=False)[:rows] if newline else []


def _cut(contents: Contents) -> str | None:
    """A sentence if the file's last line is no JSON, as in a file that was cut."""
    start = max(0, contents.size - TEXT)
    _, newline, line = contents.read(start, contents.size).rstrip().rpartition(b"\n")
    if start and not newline:  # the line is longer than what was looked at
        return None
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return f"{contents.name} ends in the middle of a row: if it was cut, remove it and fetch it again"
    return None


def _uncompressed(contents: Contents, suffix: str) -> tuple[bytes, bool]:
    """Text of a compressed file's beginning, and whether it is all of it."""
    decoder: Any = (
        zlib.decompressobj(COMPRESSED[suffix]) if suffix == ".gz" else lzma.LZMADecompressor(COMPRESSED[suffix])
    )
    text = bytearray()
    at = 0
    while at < contents.size and len(text) < LONGEST_TEXT:
        block = contents.read(at, at + TEXT)
        at += len(block)
        text += decoder.decompress(block)
        if decoder.eof or (len(text) >= TEXT and b"\n" in text):
            break
    if at >= contents.size and not decoder.eof:
        raise EOFError("it ends in the middle of its data")
    return bytes(text), bool(decoder.eof and at >= contents.size and not decoder.unused_data)
