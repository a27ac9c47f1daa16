"""The data sets of a recipe whose files are on the disk, and those that are missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cache import UserError
from cache.progress import Progress, silent
from extract.collect import Dataset
from extract.files.locate import locate
from extract.files.missing import MissingDatasetError
from extract.on_scale import Range
from extract.settings import DatasetSettings, PairSettings, RatingSettings, SuiteSettings
from extract.sources import SOURCES


@dataclass(frozen=True, slots=True)
class FoundDatasets:
    """The outcome of a search."""

    datasets: list[Dataset]
    revisions: dict[str, str]
    """Data set -> its commit, for those from the hub."""
    missing: dict[str, str]
    """Data set -> the reason why it was not found."""
    licences: dict[str, str | None]
    """Data set -> its licence: that of its card on the hub, else of the official card; None if neither names one."""


def find_datasets(
    wanted: Iterable[DatasetSettings],
    ranges: Mapping[str, Mapping[str, Range]],
    *,
    data_root: Path | None,
    limit: int | None,
    revisions: Mapping[str, str],
    refuse_missing: bool,
    progress: Progress = silent,
) -> FoundDatasets:
    """Find the files of data sets.

    Args:
        wanted: the data sets.
        ranges: rating set -> objective -> (lowest, highest) rating.
        data_root: folder that holds org/name/file; None reads from the hub.
        limit: most raw rows to read of each data set.
        revisions: data set -> commit that an earlier extraction read, so that a rerun reads the same rows.
        refuse_missing: whether a missing data set is an error.
        progress: called with the number of bytes fetched.

    Raises:
        UserError: no rating set was found, or no pair set where no rating set is wanted; or data sets are missing and
            that is an error, which names all of them.
    """
    found = FoundDatasets([], dict(revisions), {}, {})
    sets = list(wanted)
    for settings in sets:
        settings = pinned(settings, revisions)
        source = SOURCES[settings.source]
        try:
            located = locate(settings, source, data_root, progress)
        except MissingDatasetError as error:
            found.missing[settings.name] = str(error)
            continue
        if located.revision is not None:
            found.revisions[settings.name] = located.revision
        official = settings.path is None and settings.repo in (None, source.repo)
        found.licences[settings.name] = located.licence or (source.licence if official else None)
        if limit is not None:
            settings = settings.model_copy(update={"limit": min(limit, settings.limit or limit)})
        own = ranges.get(settings.name, {})
        columns = named_columns(settings, own)
        found.datasets.append(Dataset(settings, source, located.root, located.paths, own, columns))
    if found.missing and refuse_missing:
        raise MissingDatasetError("\n".join(found.missing.values()))
    needed, what = ("ratings", "rating") if any(isinstance(one, RatingSettings) for one in sets) else ("pairs", "pair")
    if not any(dataset.source.kind == needed for dataset in found.datasets):
        raise UserError(f"none of the recipe's {what} sets was found: check --data-root, or data_root in the recipe")
    return found


def pinned(settings: DatasetSettings, revisions: Mapping[str, str]) -> DatasetSettings:
    """The settings with the commit that an earlier extraction read, unless the recipe names a revision or a path."""
    if settings.revision is None and settings.path is None and settings.name in revisions:
        return settings.model_copy(update={"revision": revisions[settings.name]})
    return settings


def named_columns(settings: DatasetSettings, objectives: Iterable[str]) -> dict[str, str]:
    """Names of columns that the recipe gives: objective -> column of a rating set, else the source's -> the file's."""
    if isinstance(settings, RatingSettings):
        return {name: settings.columns.get(name, name) for name in objectives}
    return settings.columns if isinstance(settings, PairSettings | SuiteSettings) else {}
