"""All data sets of a recipe: their places, some rows of each, and what is wrong with them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cache import UserError
from extract.check.findings import Finding
from extract.check.licences import forbids_commercial_use
from extract.check.places import Place, find_places
from extract.check.results import CountedBy
from extract.check.rows import RowsRead, read_some
from extract.check.scales import Histogram, doubt, histograms
from extract.files.missing import MissingDatasetError
from extract.found_datasets import named_columns
from extract.hub.refusals import HubError
from extract.on_scale import Range, usable
from extract.pair_limits import within_limits
from extract.records import Record, Skipped
from extract.settings import DatasetSettings
from extract.sources import SOURCES

ROWS = 96
"""Raw rows of a set that are read from the beginnings of its files, and as many from random places."""
FEW_ROWS = 16
"""Raw rows read from the beginnings, and as many from random places, in the short check that `extract` begins with."""
DIFFERENT = 0.02
"""Fraction by which a published number of rows may be wrong, for it may be rounded."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The data sets to look at."""

    datasets: tuple[DatasetSettings, ...]
    scales: Mapping[str, Mapping[str, Range]]
    """Rating set -> objective -> (lowest, highest) rating."""
    data_root: Path | None
    """Folder that holds org/name/file; None asks the hub."""
    limit: int | None
    """Most raw rows of each set."""
    revisions: Mapping[str, str]
    """Data set -> commit that an earlier extraction read."""
    refuse_missing: bool
    """Whether a data set that is not found stops a run."""


@dataclass(frozen=True, slots=True)
class DatasetFound:
    """A data set whose files were found, and some of its rows."""

    place: Place
    read: RowsRead
    records: tuple[Record, ...]
    """The records that a run would use."""
    histograms: dict[str, Histogram]
    rows: int | None
    """Raw rows that a run reads."""
    rows_by: CountedBy


def look_at_datasets(wanted: Wanted, rows: int = ROWS) -> tuple[dict[str, DatasetFound], list[Finding]]:
    """Find every data set and read some rows of each; nothing raises, for everything found is listed."""
    places = find_places(wanted.datasets, wanted.data_root, wanted.revisions)
    findings = [_missing(name, error, wanted) for name, error in places.items() if isinstance(error, UserError)]
    there = {name: place for name, place in places.items() if isinstance(place, Place)}
    columns = {name: named_columns(place.settings, wanted.scales.get(name, {})) for name, place in there.items()}
    read = read_some(there.values(), columns, rows)
    found = {name: _found(place, read[name], wanted) for name, place in there.items()}
    for name, one in found.items():
        findings += [Finding(name, str(error), _stops(error, wanted)) for error in one.read.refused]
        findings += [Finding(name, sentence, stops) for sentence, stops in _sentences(one)]
    findings += _judged_on_training_rows(there)
    rated = [settings.name for settings in wanted.datasets if SOURCES[settings.source].kind == "ratings"]
    unread = [name for name in rated if name not in found or found[name].read.refused]
    if rated and rated == unread and not any(finding.stops for finding in findings):
        sentence = "none of the recipe's rating sets was found: check --data-root, or data_root in the recipe"
        findings.append(Finding("ratings", sentence, stops=True))
    return found, findings


def _judged_on_training_rows(places: Mapping[str, Place]) -> Iterator[Finding]:
    """Suites that read a file which a rating or pair set reads too."""
    learned = {
        (place.where, file.name): name
        for name, place in places.items()
        if place.source.kind != "suite"
        for file in place.files
    }
    for name, place in places.items():
        shared = [file.name for file in place.files if (place.where, file.name) in learned]
        if place.source.kind == "suite" and shared:
            also = learned[place.where, shared[0]]
            sentence = (
                f"its rows in {shared[0]} are learned from too, as {also}: judge by other rows, or set"
                " split.drop_overlap"
            )
            yield Finding(name, sentence, stops=False)


def _missing(name: str, error: UserError, wanted: Wanted) -> Finding:
    return Finding(name, str(error).removeprefix(f"{name}: "), _stops(error, wanted))


def _stops(error: UserError, wanted: Wanted) -> bool:
    """Whether an error about a data set ends a run: a set that is not there may be skipped."""
    absent = error.absent if isinstance(error, HubError) else isinstance(error, MissingDatasetError)
    return wanted.refuse_missing or not absent


def _found(place: Place, read: RowsRead, wanted: Wanted) -> DatasetFound:
    scales = wanted.scales.get(place.settings.name, {})
    made = list(within_limits(usable(read.records, scales), place.settings))
    records = tuple(one for one in made if not isinstance(one, Skipped))
    skipped = [*read.skipped, *(one for one in made if isinstance(one, Skipped))]
    in_scales = histograms(read.records, scales)
    whole = replace(read, records=list(records), skipped=skipped)
    rows, counted_by = _rows(place, read)
    limits = [limit for limit in (wanted.limit, place.settings.limit) if limit is not None]
    if limits and (rows is None or rows > min(limits)):
        rows = min(limits)
    return DatasetFound(place, whole, records, in_scales, rows, counted_by)


def _rows(place: Place, read: RowsRead) -> tuple[int | None, CountedBy]:
    if read.rows_of_set is not None and not read.guessed:
        return read.rows_of_set, "counted"
    if place.official and place.source.rows is not None:
        return place.source.rows, "published"
    return (None, "unknown") if read.rows_of_set is None else (read.rows_of_set, "estimated")


def _sentences(found: DatasetFound) -> Iterator[tuple[str, bool]]:
    """(sentence, whether it stops a run) for everything that is wrong with a data set."""
    read, place = found.read, found.place
    yield from ((sentence, True) for sentence in read.unreadable)
    yield from ((sentence, False) for sentence in read.doubts)
    for objective, histogram in found.histograms.items():
        if (about := doubt(objective, histogram)) is not None:
            yield about
    silent = not (found.histograms or read.records or read.unreadable or read.refused)
    if place.source.kind == "ratings" and silent:
        yield "no row that was read has a rating of an objective of the recipe: check `columns` and `objectives`", True
    if (published := _contradicted(found)) is not None:
        yield (
            f"its files have {read.rows_of_set:,} rows and its card said {published:,}: look at its history on the hub,"
            " and name the `revision` that you want",
            False,
        )
    if forbids_commercial_use(place.licence):
        yield (
            f"its licence, {place.licence}, forbids commercial use, which may bind a model learned from it: leave the"
            " set out of a model that is to be sold",
            False,
        )


def _contradicted(found: DatasetFound) -> int | None:
    """The published number of rows, where the files have clearly more or fewer."""
    published, counted = found.place.source.rows, found.read.rows_of_set
    if not found.place.official or published is None or counted is None or found.rows_by != "counted":
        return None
    return published if abs(counted - published) > DIFFERENT * published else None
