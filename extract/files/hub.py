"""Files of a data set from the hub."""

from collections.abc import Sequence
from pathlib import Path, PurePath

from cache.errors import UserError
from cache.progress import Progress, silent
from extract.files.matching import holds_rows
from extract.files.missing import MissingDatasetError
from extract.hub.download import fetch
from extract.hub.listing import HubFile, Listing, list_files
from extract.hub.refusals import HubError, Repository
from extract.listing import listed as in_words


def listed(name: str, repo: str, revision: str | None) -> Listing:
    """The files of a data set's repository.

    Raises:
        MissingDatasetError: there is no such data set or revision, it is gated, or the hub cannot be reached.
        UserError: the hub fails for another reason.
    """
    repository = Repository(repo, "dataset", revision, "repo", "revision", "give a local copy with --data-root")
    try:
        return list_files(repository)
    except HubError as error:
        raise of_dataset(name, error) from None


def chosen(name: str, listing: Listing, layouts: Sequence[Sequence[str]]) -> tuple[HubFile, ...]:
    """The files of a repository that match the patterns of the first layout of a data set that any file matches.

    Raises:
        MissingDatasetError: none does; the sentence names files that are there.
    """
    for patterns in layouts:
        found = tuple(file for file in listing.matching(patterns) if holds_rows(PurePath(file.path)))
        if found:
            return found
    shown = in_words(file.path for file in listing.files if not file.path.startswith("."))
    kept = "" if listing.whole else " in the cache"
    wanted = " or ".join(layouts[0])
    raise MissingDatasetError(
        f"{name}: no file of {listing.repository.name} at {listing.commit[:12]}{kept} matches {wanted};"
        f" it holds {shown or 'nothing'}: name the right ones with `files` in the recipe"
    )


def download(
    name: str, repo: str, layouts: Sequence[Sequence[str]], revision: str | None, progress: Progress = silent
) -> tuple[Path, str | None]:
    """The folder of a commit with the files of a layout, fetched where the hub's cache lacks them, and its licence.

    Raises:
        MissingDatasetError: there is no such data set, revision or file, it is gated, or the hub cannot be reached.
        UserError: the download fails for another reason.
    """
    listing = listed(name, repo, revision)
    try:
        return fetch(listing, chosen(name, listing, layouts), progress), listing.licence
    except HubError as error:
        raise of_dataset(name, error) from error


def of_dataset(name: str, error: HubError) -> UserError:
    """An error of the hub as one about a data set of the recipe."""
    sentence = f"{name}: {error}"
    return MissingDatasetError(sentence) if error.absent else UserError(sentence)
