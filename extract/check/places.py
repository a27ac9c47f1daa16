"""Where the files of a recipe's data sets are, without fetching any of them."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cache import UserError
from cache.names import InnerPath
from extract.check.contents import Contents, DiskFile, RangesOfHubFile
from extract.files.hub import chosen, listed
from extract.files.locate import layouts_of, locate
from extract.found_datasets import pinned
from extract.hub.listing import Listing
from extract.settings import DatasetSettings
from extract.sources import SOURCES
from extract.sources.source import Source

AT_ONCE = 16
"""Requests to the hub at the same time."""


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one data set."""

    settings: DatasetSettings
    source: Source
    where: str
    """`org/name@commit` on the hub, or a folder."""
    files: tuple[Contents, ...]
    bytes_to_fetch: int
    """Bytes that are not on the disk yet."""
    licence: str | None
    official: bool
    """Whether these are the files of the official release, so that its number of rows is known."""


def find_places(
    wanted: Iterable[DatasetSettings], data_root: Path | None, revisions: Mapping[str, str]
) -> dict[str, Place | UserError]:
    """Data set -> its files, or the sentence that says why there are none; all are asked for at once.

    Args:
        wanted: the data sets.
        data_root: folder that holds org/name/file; None asks the hub.
        revisions: data set -> commit that an earlier extraction read.
    """
    asked = [pinned(settings, revisions) for settings in wanted]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda settings: _place_or_error(settings, data_root), asked)
        return {settings.name: place for settings, place in zip(asked, found, strict=True)}


def _place_or_error(settings: DatasetSettings, data_root: Path | None) -> Place | UserError:
    try:
        return _place(settings, SOURCES[settings.source], data_root)
    except UserError as error:
        return error


def _place(settings: DatasetSettings, source: Source, data_root: Path | None) -> Place:
    repo = settings.repo or source.repo
    own = settings.repo is not None and settings.repo != source.repo
    licence = None if own or settings.path is not None else source.licence
    if settings.path is not None or data_root is not None or repo is None:
        located = locate(settings, source, data_root)
        files = tuple(DiskFile(InnerPath(path.relative_to(located.root).as_posix()), path) for path in located.paths)
        return Place(settings, source, str(located.root), files, 0, licence, official=False)
    listing = listed(settings.name, repo, settings.revision)
    found = chosen(settings.name, listing, layouts_of(settings, source))
    return Place(
        settings,
        source,
        f"{repo}@{listing.commit}",
        tuple(contents(listing, file.path) for file in found),
        sum(file.size for file in listing.missing(found)),
        listing.licence or licence,
        official=not own and settings.files is None,
    )


def contents(listing: Listing, path: InnerPath) -> Contents:
    """A file of a repository: the cached one if there is one, else ranges of the hub's."""
    cached = listing.snapshot / path
    if cached.is_file():
        return DiskFile(path, cached)
    (file,) = (file for file in listing.files if file.path == path)
    return RangesOfHubFile(listing, file)
