"""The kinds of data files, known by their suffixes."""

from pathlib import PurePath
from typing import Literal

Kind = Literal["json", "csv", "tsv", "parquet", "arrow"]

TEXT: dict[str, Kind] = {".jsonl": "json", ".json": "json", ".ndjson": "json", ".csv": "csv", ".tsv": "tsv"}
"""Suffix -> kind of the files of text, which may be compressed."""

COMPRESSIONS = (".gz", ".xz", ".zst", ".bz2")

COLUMNAR: dict[str, Kind] = {".parquet": "parquet", ".arrow": "arrow"}
"""Suffix -> kind of the files that are compressed inside, if at all."""

KINDS: dict[str, Kind] = {
    **TEXT,
    **{f"{suffix}{compression}": kind for suffix, kind in TEXT.items() for compression in COMPRESSIONS},
    **COLUMNAR,
}

KNOWN = (
    f"{', '.join(TEXT)} (each also with {', '.join(COMPRESSIONS[:-1])} or {COMPRESSIONS[-1]}), {' or '.join(COLUMNAR)}"
)
"""The suffixes in words."""


def suffix_of(path: PurePath) -> str | None:
    """The key of `KINDS` that a file's name ends with; None if it does not end like data."""
    return next((suffix for suffix in KINDS if path.name.endswith(suffix)), None)


def kind_of(path: PurePath) -> Kind | None:
    """The kind of a file by the end of its name; None if it does not end like data."""
    suffix = suffix_of(path)
    return None if suffix is None else KINDS[suffix]


def patterns(start: str) -> tuple[str, ...]:
    """Glob patterns for files of every kind whose path begins as `start` does, in any compression."""
    return (
        *(f"{start}{suffix}" for suffix in COLUMNAR),
        *(f"{start}{suffix}*" for suffix in TEXT if suffix != ".jsonl"),
    )


TRAINING_FILES = (*patterns("**/train*"), "**/train/data-*.arrow", "data-*.arrow")
"""Glob patterns for a training split: by its name, and as `datasets` saves a set of splits, or one split, to a disk."""
