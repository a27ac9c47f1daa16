"""Some rows of every file of a data set, through the set's real reader."""

import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from cache import UserError
from extract.check.contents import Contents
from extract.check.excerpt import NotLookedAtError, excerpt
from extract.check.places import AT_ONCE, Place
from extract.hub.refusals import HubError
from extract.records import Record, Skipped
from extract.sources.reader import read

ENOUGH = 4
"""Rows from which on one reason for all of them is no chance."""
MOST_RECORDS = 400
"""Records taken of one file where its rows cannot be counted beforehand."""


@dataclass(frozen=True, slots=True)
class RowsRead:
    """The outcome of reading some rows of a data set."""

    records: list[Record] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    rows: int = 0
    """Raw rows read."""
    rows_of_set: int | None = None
    """Raw rows of all files; None if that is unknown for one of them."""
    guessed: bool = False
    """Whether `rows_of_set` is a guess for one of them."""
    unreadable: list[str] = field(default_factory=list)
    """A sentence for each file that is not what its name says, or of which no row can be used."""
    doubts: list[str] = field(default_factory=list)
    """Sentences about files that look wrong."""
    refused: list[HubError] = field(default_factory=list)
    """Refusals of the hub, each once."""

    @property
    def skipped_fraction(self) -> float:
        """Fraction of the rows, or of the parts that the reader makes of them, that is skipped."""
        skipped = sum(not one.rating_only for one in self.skipped)
        return skipped / max(1, skipped + len(self.records))


def read_some(places: Iterable[Place], columns: Mapping[str, Mapping[str, str]], rows: int) -> dict[str, RowsRead]:
    """Data set -> some rows of it; the files of all sets are read at once.

    Args:
        places: the data sets.
        columns: rating set -> objective -> column, for sources whose rating columns the recipe names.
        rows: raw rows of a set, divided among its files.
    """
    tasks = [(place, file, max(4, rows // len(place.files))) for place in places for file in place.files]

    def read_file(task: tuple[Place, Contents, int]) -> RowsRead:
        place, file, number = task
        return _of_file(place, file, columns.get(place.settings.name, {}), number)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(read_file, tasks))
    parts: dict[str, list[RowsRead]] = {}
    for (place, _, _), part in zip(tasks, found, strict=True):
        parts.setdefault(place.settings.name, []).append(part)
    return {name: _together(of_set) for name, of_set in parts.items()}


def _of_file(place: Place, file: Contents, columns: Mapping[str, str], rows: int) -> RowsRead:
    rng = random.Random(f"{place.settings.name} {file.name}")
    wanted = frozenset((*place.source.columns, *columns.values()))
    with tempfile.TemporaryDirectory(prefix="armorm-check-") as folder:
        try:
            part = excerpt(file, Path(folder), wanted, rows, rng)
            made = read(place.source, [part.path], Path(folder), columns)
            found = list(made) if part.rows is not None else list(islice(made, MOST_RECORDS))
        except HubError as error:
            return RowsRead(refused=[error])
        except NotLookedAtError as error:
            return RowsRead(doubts=[str(error)])
        except UserError as error:
            # The reader names the small file; the user knows the set's.
            return RowsRead(unreadable=[str(error).replace(f"{folder}/", "")])
    records = [one for one in found if not isinstance(one, Skipped)]
    skipped = [one for one in found if isinstance(one, Skipped)]
    number = part.rows if part.rows is not None else len({one.row for one in found})
    unreadable = _unusable(place, file.name, number, len(records), skipped)
    doubts = [part.doubt] if part.doubt is not None else []
    return RowsRead(records, skipped, number, part.rows_of_file, part.guessed, unreadable, doubts)


def _unusable(place: Place, file: str, rows: int, records: int, skipped: Sequence[Skipped]) -> list[str]:
    """A sentence about a file whose rows cannot be used, wholly or in the same part of each."""
    if not records and not skipped:
        return [f"{file} has no rows: check `files` in the recipe"]
    if place.source.sparse or not skipped:
        return []
    rows_of_reason = Counter(reason for _, reason in {(_raw_row(one), one.reason) for one in skipped})
    reason, times = rows_of_reason.most_common(1)[0]
    remedy = "check `source`, `files` and `columns` in the recipe against the set's card"
    if not records:
        return [f"none of the {rows} rows of {file} that were read can be used ({times} × {reason}): {remedy}"]
    if times >= max(rows, ENOUGH):
        return [f"a part of each of the {rows} rows of {file} that were read cannot be used ({reason}): {remedy}"]
    return []


def _raw_row(skipped: Skipped) -> str:
    """The name of the raw row: file, '#', number."""
    file, mark, rest = skipped.row.rpartition("#")
    return f"{file}{mark}{rest.partition('/')[0]}"


def _together(parts: list[RowsRead]) -> RowsRead:
    totals = [part.rows_of_set for part in parts]
    return RowsRead(
        [record for part in parts for record in part.records],
        [skipped for part in parts for skipped in part.skipped],
        sum(part.rows for part in parts),
        None if None in totals else sum(total for total in totals if total is not None),
        any(part.guessed for part in parts),
        list(dict.fromkeys(sentence for part in parts for sentence in part.unreadable)),
        list(dict.fromkeys(sentence for part in parts for sentence in part.doubts)),
        list({str(error): error for part in parts for error in part.refused}.values()),
    )
