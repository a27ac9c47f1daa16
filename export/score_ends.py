"""Where `armorm score` reads and writes, checked before a model is loaded for it, and before torch is imported."""

from pathlib import Path

from cache import UserError
from export.earlier_scores import check_own, output_lease
from export.ends import Destination, Source, check_apart
from extract.files.kinds import suffix_of

LINES = (".jsonl", ".json", ".ndjson")
"""Suffixes under which rows are written as JSON lines; so are they under a name that does not end like data."""

TABLES = (".parquet", ".csv")
"""Suffixes of the tables that finished rows are written as."""


def ends(source: Path, out: Path) -> tuple[Source, Destination]:
    """The source and the destination.

    Raises:
        UserError: rows cannot be read or written there, `out` is a file that somebody else wrote or ends like one of
            another kind, or another process writes to it.
    """
    origin, destination = Source.of(source), Destination.of(out)
    check_apart(origin, destination)
    if destination.flows:
        return origin, destination
    suffix = suffix_of(out)
    if suffix is not None and suffix not in (*LINES, *TABLES):
        raise UserError(
            f"--output {out} ends in {suffix}, which is not written: name a file that ends in"
            f" {', '.join((LINES[0], *TABLES[:-1]))} or {TABLES[-1]}"
        )
    if destination.state is not None and destination.state.st_size > 0:
        check_own(out)
    with output_lease(out):
        return origin, destination


def rows_of(out: Path) -> Path | None:
    """The file that holds the rows of an unfinished table, as JSON lines; None where `out` is JSON lines itself."""
    return out.with_name(out.name + ".rows.jsonl") if out.suffix in TABLES else None
