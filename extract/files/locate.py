"""Where the files of a data set lie on the disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cache.errors import UserError
from extract.files.hub import download
from extract.files.matching import matching
from extract.files.missing import MissingDatasetError
from extract.settings import DatasetSettings
from extract.sources.source import Source


@dataclass(frozen=True, slots=True)
class Located:
    """The files of a data set on the disk, sorted, each once."""

    root: Path
    """Rows are named by their file relative to this folder."""
    paths: tuple[Path, ...]
    revision: str | None = None
    """The commit of a data set from the hub; None for a local one."""


def locate(settings: DatasetSettings, source: Source, data_root: Path | None = None) -> Located:
    """Find the files of a data set, downloading them where they come from the hub.

    Args:
        settings: the data set in the recipe: `path`, a local file (patterns are then ignored) or folder; or
            `repo`, `revision` and `files`, each by default the source's.
        source: the schema, with its repository and patterns.
        data_root: read `data_root/org/name` instead of the hub.

    Raises:
        MissingDatasetError: the data set or its files are missing.
        UserError: neither a repository nor a path is given, or the download fails for another reason.
    """
    name, path = settings.name, settings.path
    repo = settings.repo or source.repo
    layouts = (settings.files,) if settings.files else (source.files, *source.other_files)
    if path is not None:
        if path.is_file():
            return Located(path.parent, (path,))
        if not path.exists():
            raise MissingDatasetError(f"{name}: there is no file or folder {path}: check `path` in the recipe")
        return Located(path, _matching(name, path, layouts, "check `path` and `files` in the recipe"))
    if repo is None:
        raise UserError(f"{name}: the recipe says neither `repo` nor `path`: give one of the two")
    if data_root is not None:
        folder = data_root.joinpath(*repo.split("/"))
        return Located(folder, _matching(name, folder, layouts, "put the files there, or leave out --data-root"))
    folder = download(name, repo, [pattern for patterns in layouts for pattern in patterns], settings.revision)
    # The hub's cache keeps each commit in a folder of that name.
    return Located(folder, _matching(name, folder, layouts, f"check `files` against {repo} on the hub"), folder.name)


def _matching(name: str, folder: Path, layouts: Sequence[Sequence[str]], remedy: str) -> tuple[Path, ...]:
    """The files of the first layout that has any; the error is that of the first layout."""
    problems = []
    for patterns in layouts:
        try:
            return matching(name, folder, patterns, remedy)
        except MissingDatasetError as error:
            problems.append(error)
    raise problems[0]
