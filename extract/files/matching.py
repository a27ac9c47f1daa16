"""The files of a folder that hold rows."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path, PurePath

from cache.errors import UserError
from extract.files.kinds import kind_of, suffix_of
from extract.files.missing import MissingDatasetError
from extract.listing import listed

NO_ROWS = (
    *("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"),  # `datasets` describes a set
    "cache-*.arrow",  # and keeps its intermediate results beside it
    "*.run.json",  # `armorm score` describes its output
)
"""Names of files that end like data and hold no rows."""

SEEN = 1000
"""Most files that are looked at for the sake of an error."""


def matching(name: str, folder: Path, files: Sequence[str], remedy: str) -> tuple[Path, ...]:
    """The files below a folder that match one of the patterns and hold rows, sorted.

    Files that are hidden, do not end like data or are known to describe data are passed over, whatever the patterns.

    Args:
        name: the data set, for errors.
        folder: where the patterns start.
        files: glob patterns.
        remedy: the end of the error.

    Raises:
        MissingDatasetError: there is no such folder, or no such file in it; the message names what is there.
        UserError: a pattern cannot be used, or two files have one name in two formats.
    """
    wanted = " or ".join(files)
    if not folder.is_dir():
        raise MissingDatasetError(f"{name}: there is no folder {folder} to look for {wanted} in: {remedy}")
    try:
        matched = {path for pattern in files for path in folder.glob(pattern) if path.is_file()}
    except (NotImplementedError, ValueError) as error:
        raise UserError(f"{name}: `files` holds a pattern that cannot be used ({error}): check it") from None
    paths = tuple(sorted(path for path in matched if holds_rows(path.relative_to(folder))))
    if paths:
        _refuse_twins(name, folder, paths)
        return paths
    if matched:
        passed = listed(path.relative_to(folder).as_posix() for path in sorted(matched))
        problem = f"no file in {folder} that matches {wanted} holds rows; passed over: {passed}"
    else:
        seen = [path.relative_to(folder).as_posix() for path in islice(folder.rglob("*"), SEEN) if path.is_file()]
        holds = f"it holds {listed(sorted(seen))}" if seen else "it is empty"
        problem = f"no file in {folder} matches {wanted}; {holds}"
    raise MissingDatasetError(f"{name}: {problem}: {remedy}")


def holds_rows(path: PurePath) -> bool:
    """Whether a file of a data set, by its path inside the set, is one with rows.

    A part of the path that begins with '.' or '__' hides it: `.cache`, where the hub's client keeps notes on
    downloads, `.git`, `__MACOSX`.
    """
    if any(part.startswith((".", "__")) for part in path.parts):
        return False
    return kind_of(path) is not None and not any(fnmatchcase(path.name, pattern) for pattern in NO_ROWS)


def _refuse_twins(name: str, folder: Path, paths: Sequence[Path]) -> None:
    """Refuse `train.csv` beside `train.parquet`: the same rows in two formats would count twice."""
    seen: dict[Path, Path] = {}
    for path in paths:
        suffix = suffix_of(path)
        stem = path.with_name(path.name.removesuffix(suffix or ""))
        twin = seen.setdefault(stem, path)
        if twin != path:
            both = listed(each.relative_to(folder).as_posix() for each in (twin, path))
            raise UserError(f"{name}: {both} in {folder} are one name in two formats: name one of the two in `files`")
