"""The files of a repository at one commit, as the hub lists them, or as an earlier run kept the list."""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, RepoFile, constants, errors, get_cached_repo_tree
from huggingface_hub.file_download import repo_folder_name

from cache.errors import first_line
from cache.names import FileName, InnerPath
from extract.hub.patience import ask
from extract.hub.refusals import HubError, Repository, refusal

log = logging.getLogger(__name__)

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository."""

    path: InnerPath
    size: int
    """Bytes."""
    blob: FileName | None
    """Name of its content in the hub's cache: its SHA-256 if it is in Git LFS, else its Git id; None if unknown."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A repository at a commit."""

    repository: Repository
    commit: FileName
    files: tuple[HubFile, ...]
    licence: str | None
    """The licence of its card; None where the card has none, or was not asked."""
    refused: HubError | None = None
    """Why the hub could not be asked, so that only files of the cache can be had; None if it was."""
    whole: bool = True
    """Whether `files` are all files of the commit; False if only the cached ones are known."""

    def matching(self, patterns: Iterable[str]) -> tuple[HubFile, ...]:
        """The files that match one of the patterns, by path."""
        wanted = tuple(patterns)
        return tuple(file for file in self.files if any(matches(file.path, pattern) for pattern in wanted))

    @property
    def store(self) -> Path:
        """The repository's folder in the hub's cache."""
        return store_of(self.repository)

    @property
    def snapshot(self) -> Path:
        """The commit's folder in the hub's cache."""
        return self.store / "snapshots" / self.commit

    def missing(self, files: Iterable[HubFile]) -> tuple[HubFile, ...]:
        """Those of the files that are not in the cache."""
        return tuple(file for file in files if not (self.snapshot / file.path).is_file())


def store_of(repository: Repository) -> Path:
    """A repository's folder in the hub's cache."""
    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository.name, repo_type=repository.kind)


def matches(path: str, pattern: str) -> bool:
    """Whether a path matches a pattern as `Path.glob` takes it: `*` within a folder, `**` for any number of folders."""
    return _match(path.split("/"), pattern.split("/"))


def _match(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_match(parts[skipped:], pattern[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _match(parts[1:], pattern[1:])


def list_files(repository: Repository) -> Listing:
    """The files of a repository; from the cache where the hub cannot be asked.

    Raises:
        HubError: there is no such repository or revision, the hub refuses, or it cannot be reached; and
            nothing is cached.
    """
    try:
        return _from_hub(repository)
    except Exception as error:
        refused = refusal(error, repository)
        hopeless = isinstance(error, errors.RevisionNotFoundError | errors.HFValidationError)
        cached = None if hopeless else _from_cache(repository, refused)
        if cached is None:
            raise refused from None
        if not isinstance(error, errors.OfflineModeIsEnabled):
            log.warning("%s; its cached commit %s is used", first_line(error), cached.commit[:12])
        return cached


def _from_hub(repository: Repository) -> Listing:
    api = HfApi()
    details: dict[str, Any] = {"repo_id": repository.name, "repo_type": repository.kind}
    info = ask(str(repository), lambda: api.repo_info(**details, revision=repository.revision, timeout=_timeout()))
    try:
        commit = FileName(info.sha or "")
    except ValueError:
        raise HubError(f"the hub ({constants.ENDPOINT}) names no commit of {repository}", "check HF_ENDPOINT") from None
    tree = ask(str(repository), lambda: list(api.list_repo_tree(**details, recursive=True, revision=commit)))
    files = tuple(_file(entry) for entry in tree if isinstance(entry, RepoFile))
    if repository.revision != commit:
        _keep_reference(repository, commit)
    return Listing(repository, commit, files, _licence(getattr(info, "card_data", None)))


def _timeout() -> float:
    return float(constants.HF_HUB_DOWNLOAD_TIMEOUT)


def _file(entry: RepoFile) -> HubFile:
    blob = entry.blob_id if entry.lfs is None else entry.lfs.sha256
    return HubFile(InnerPath(entry.path), entry.size, FileName(blob))


def _licence(card: Any) -> str | None:
    """The licence that a card names: `license`, or `license_name` where that is 'other'."""
    values = card.to_dict() if card is not None else {}
    named = values.get("license")
    if named == "other":
        named = values.get("license_name") or named
    if isinstance(named, list | tuple):
        named = ", ".join(map(str, named))
    return named if isinstance(named, str) and named.strip() else None


def _keep_reference(repository: Repository, commit: str) -> None:
    """Note in the cache which commit a branch or tag is, so that a run without the hub finds it."""
    path = store_of(repository) / "refs" / (repository.revision or constants.DEFAULT_REVISION)
    try:
        if not path.is_file() or path.read_text(encoding="utf-8") != commit:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(commit, encoding="utf-8")
    except OSError as error:  # a cache that may only be read is still a cache
        log.debug("%s was not written: %s", path, error)


def _from_cache(repository: Repository, refused: HubError) -> Listing | None:
    store, revision = store_of(repository), repository.revision or constants.DEFAULT_REVISION
    if COMMIT.fullmatch(revision):
        commit = FileName(revision)
    else:
        try:
            commit = FileName((store / "refs" / revision).read_text(encoding="utf-8").strip())
        except (OSError, ValueError):
            return None
    snapshot = store / "snapshots" / commit
    try:
        listed = get_cached_repo_tree(repository.name, repo_type=repository.kind, revision=commit)
    except errors.CachedRepoTreeNotFoundError:
        found = sorted(path for path in snapshot.rglob("*") if path.is_file()) if snapshot.is_dir() else []
        if not found:
            return None
        there = [(InnerPath(path.relative_to(snapshot).as_posix()), path.stat().st_size) for path in found]
        files = tuple(HubFile(path, size, None) for path, size in there)
        return Listing(repository, commit, files, None, refused, whole=False)
    files = tuple(HubFile(InnerPath(entry.path), entry.size, None) for entry in listed)
    return Listing(repository, commit, files, None, refused)
