"""The data sets of a recipe whose files are on the disk, and those that are missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cache import UserError
from extract.collect import Dataset, Range
from extract.files.locate import locate
from extract.files.missing import MissingDatasetError
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


def find_datasets(
    wanted: Iterable[DatasetSettings],
    ranges: Mapping[str, Mapping[str, Range]],
    *,
    data_root: Path | None,
    limit: int | None,
    revisions: Mapping[str, str],
    refuse_missing: bool,
) -> FoundDatasets:
    """Find the files of data sets.

    Args:
        wanted: the data sets.
        ranges: rating set -> objective -> (lowest, highest) rating.
        data_root: folder that holds org/name/file; None reads from the hub.
        limit: most raw rows to read of each data set.
        revisions: data set -> commit that an earlier extraction read, so that a rerun reads the same rows.
        refuse_missing: whether a missing data set is an error.

    Raises:
        UserError: no rating set was found, or a data set is missing and that is an error.
    """
    found = FoundDatasets([], dict(revisions), {})
    for settings in wanted:
        if settings.revision is None and settings.path is None and settings.name in found.revisions:
            settings = settings.model_copy(update={"revision": found.revisions[settings.name]})
        source = SOURCES[settings.source]
        try:
            located = locate(settings, source, data_root)
        except MissingDatasetError as error:
            if refuse_missing:
                raise
            found.missing[settings.name] = str(error)
            continue
        if located.revision is not None:
            found.revisions[settings.name] = located.revision
        if limit is not None:
            settings = settings.model_copy(update={"limit": min(limit, settings.limit or limit)})
        own = ranges.get(settings.name, {})
        columns = {}
        if isinstance(settings, RatingSettings):
            columns = {name: settings.columns.get(name, name) for name in own}
        elif isinstance(settings, PairSettings | SuiteSettings):
            columns = settings.columns
        found.datasets.append(Dataset(settings, source, located.root, located.paths, own, columns))
    if not any(dataset.source.kind == "ratings" for dataset in found.datasets):
        raise UserError("none of the recipe's rating sets was found: check --data-root, or data_root in the recipe")
    return found
