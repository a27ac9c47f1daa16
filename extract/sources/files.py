"""The files of a data set, on the hub or on the disk, and their raw rows, one at a time."""

import gzip
import json
import lzma
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import huggingface_hub
import ijson
import pyarrow
import pyarrow.parquet
from huggingface_hub import errors

from cache.errors import UserError, first_line
from extract.settings import DatasetSettings
from extract.sources.source import Source

BATCH = 256
"""Number of rows of a Parquet file in memory at once; a row can contain a long conversation."""

SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".jsonl.xz", ".json.xz", ".parquet")
"""Suffixes of readable files. BeaverTails is compressed with xz, most others with gzip."""

POINTER = b"version https://git-lfs"
"""First bytes of a file that was cloned without its content."""


class MissingDatasetError(UserError):
    """A data set, or the files of it that the recipe names, cannot be found."""


@dataclass(frozen=True, slots=True)
class Located:
    """The files of a data set on the disk, sorted, each once."""

    root: Path
    """Rows are named by their file relative to this folder."""
    paths: tuple[Path, ...]
    revision: str | None = None
    """The commit of a data set from the hub; None for a local one."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Takes the place of a row that cannot be read, so that the rows after it keep their numbers."""

    reason: str


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
    repo, files = settings.repo or source.repo, settings.files or source.files
    if path is not None:
        if path.is_file():
            return Located(path.parent, (path,))
        if not path.exists():
            raise MissingDatasetError(f"{name}: there is no file or folder {path}: check `path` in the recipe")
        return Located(path, _matching(name, path, files, "check `path` and `files` in the recipe"))
    if repo is None:
        raise UserError(f"{name}: the recipe says neither `repo` nor `path`: give one of the two")
    if data_root is not None:
        folder = data_root.joinpath(*repo.split("/"))
        return Located(folder, _matching(name, folder, files, "put the files there, or leave out --data-root"))
    folder = _download(name, repo, files, settings.revision)
    # The hub's cache keeps each commit in a folder of that name.
    return Located(folder, _matching(name, folder, files, f"check `files` against {repo} on the hub"), folder.name)


def _matching(name: str, folder: Path, files: Sequence[str], remedy: str) -> tuple[Path, ...]:
    wanted = " or ".join(files)
    if not folder.is_dir():
        raise MissingDatasetError(f"{name}: there is no folder {folder} to look for {wanted} in: {remedy}")
    try:
        paths = {path for pattern in files for path in folder.glob(pattern) if path.is_file()}
    except (NotImplementedError, ValueError) as error:
        raise UserError(f"{name}: `files` holds a pattern that cannot be used ({error}): check it") from None
    if not paths:
        raise MissingDatasetError(f"{name}: no file in {folder} matches {wanted}: {remedy}")
    return tuple(sorted(paths))


def _download(name: str, repo: str, files: Sequence[str], revision: str | None) -> Path:
    # On the hub '**/' requires a folder, on the disk it also matches none: both spellings are requested.
    patterns = list(dict.fromkeys([*files, *(pattern.removeprefix("**/") for pattern in files)]))
    where = f"{repo} at {revision}" if revision else repo
    try:
        folder = huggingface_hub.snapshot_download(
            repo, repo_type="dataset", revision=revision, allow_patterns=patterns
        )
    except errors.GatedRepoError:
        remedy = f"accept its terms on https://huggingface.co/datasets/{repo} and run `hf auth login`"
        raise MissingDatasetError(f"{name}: {repo} is gated on the hub: {remedy}") from None
    except errors.RevisionNotFoundError:
        remedy = "check `revision` in the recipe"
        raise MissingDatasetError(f"{name}: {repo} has no revision {revision} on the hub: {remedy}") from None
    except errors.RepositoryNotFoundError:
        remedy = "check `repo` in the recipe, or run `hf auth login` if it is private"
        raise MissingDatasetError(f"{name}: there is no data set {repo} on the hub: {remedy}") from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        remedy = "connect to the network, or give a local copy with --data-root"
        raise MissingDatasetError(f"{name}: the hub cannot be reached and {where} is not cached: {remedy}") from None
    except errors.HFValidationError:
        raise UserError(f"{name}: {repo!r} is not a repository's name: `repo` takes the form org/name") from None
    except Exception as error:
        # Broken connections, full disks, and whatever the HTTP client raises: it differs between releases.
        raise UserError(f"{name}: {where} could not be downloaded ({first_line(error)}): try again") from error
    return Path(folder)


def read_rows(path: Path) -> Iterator[dict[str, Any] | Malformed]:
    """Yield the rows of a file in order, without the whole file in memory.

    JSON that starts with '[' is read as an array, other JSON as one object per line, whatever the
    file's name: SHP names its JSON lines `train.json`.

    Raises:
        UserError: the file cannot be read, is damaged or of an unknown kind.
    """
    if not path.name.endswith(SUFFIXES):
        raise UserError(f"{path} is of an unknown kind: files may end in {', '.join(SUFFIXES)}")
    try:
        pointer = _begins_as_pointer(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({first_line(error)}): check its name and permissions") from None
    if pointer:
        raise UserError(f"{path} is a Git LFS pointer without its content: run `git lfs pull` in its repository")
    try:
        yield from _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, ijson.JSONError) as error:
        raise UserError(f"{path} is damaged or cannot be read ({first_line(error)}): fetch it again") from error


def _begins_as_pointer(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def _parquet_rows(path: Path) -> Iterator[dict[str, Any] | Malformed]:
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH):
            yield from batch.to_pylist()


def _json_rows(path: Path) -> Iterator[dict[str, Any] | Malformed]:
    with _open(path) as file:
        start = file.read(4096)
        marked = start.startswith(b"\xef\xbb\xbf")  # a byte order mark, which no JSON reader takes
        file.seek(3 if marked else 0)
        array = start[3 if marked else 0 :].lstrip().startswith(b"[")
        yield from _array_rows(file) if array else _line_rows(file)


def _open(path: Path) -> BufferedIOBase:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".xz":
        return lzma.open(path, "rb")
    return path.open("rb")


def _array_rows(file: BufferedIOBase) -> Iterator[dict[str, Any] | Malformed]:
    for row in ijson.items(file, "item", use_float=True):
        yield row if isinstance(row, dict) else Malformed(f"the row is {type(row).__name__}, expected an object")


def _line_rows(file: BufferedIOBase) -> Iterator[dict[str, Any] | Malformed]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Malformed(f"line {number} is not JSON: {first_line(error)}")
            continue
        yield row if isinstance(row, dict) else Malformed(f"line {number} is {type(row).__name__}, expected an object")
