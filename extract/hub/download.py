"""Fetching files of a commit into the hub's cache, each resumed where an earlier attempt or run stopped.

huggingface_hub resumes a download while its process lives, and drops the partial file when an attempt fails. Here it
stays: a download that is cut after four of five gigabytes needs the fifth alone, in this run or in a later one. The
layout (blobs, snapshots, locks) is the cache's own, so that other programs find the files, and two runs wait for each
other rather than fetch a file twice.
"""

import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_url, snapshot_download
from huggingface_hub.utils import (
    WeakFileLock,
    build_hf_headers,
    disable_progress_bars,
    get_session,
    hf_raise_for_status,
)

from cache.progress import Progress, silent
from extract.hub.listing import HubFile, Listing
from extract.hub.patience import IncompleteFileError, Patience, ask
from extract.hub.refusals import HubError, refusal

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Files fetched at the same time."""
CHUNK = 1 << 20
PARTIAL = ".incomplete"
"""Suffix of a file that is not whole yet."""


def fetch(listing: Listing, files: Sequence[HubFile], progress: Progress = silent) -> Path:
    """Fetch those files that the cache lacks.

    Args:
        listing: the repository at its commit.
        files: the files of it that are needed.
        progress: called with the number of bytes fetched.

    Returns:
        The commit's folder in the cache, which holds all of `files`.

    Raises:
        HubError: the hub refuses or cannot be reached, or the disk is full; what was fetched stays.
    """
    wanted = listing.missing(files)
    if wanted and listing.refused is not None:
        raise _incomplete(listing, wanted)
    if not listing.whole:
        log.warning(
            "the cache has no list of %s at %s: the files that lie in %s are used, whether or not they are all",
            listing.repository.name,
            listing.commit[:12],
            listing.snapshot,
        )
    if wanted:
        done = _Bytes(f"fetching {listing.repository.name}", _check_space(listing, wanted), progress)
        _fetch_all(listing, wanted, done)
        _keep_list(listing, files)
    return listing.snapshot


def _fetch_all(listing: Listing, wanted: Sequence[HubFile], done: "_Bytes") -> None:
    """Fetch several files at once; the first failure, or Ctrl-C, stops the others, whose bytes stay."""
    stop = threading.Event()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            fetched = [pool.submit(_fetch, listing, file, done, stop) for file in wanted]
            ended, _ = wait(fetched, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    for one in ended:
        one.result()


class _Bytes:
    """Bytes fetched by all threads together."""

    def __init__(self, what: str, total: int, progress: Progress) -> None:
        self._what, self._total, self._progress = what, total, progress
        self._done = 0
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        with self._lock:
            self._done = min(self._done + number, self._total)
            self._progress(self._what, self._done, self._total, "bytes")


def _fetch(listing: Listing, file: HubFile, done: _Bytes, stop: threading.Event) -> None:
    """Fetch one file and link it into the commit's folder; its failures are waited for."""
    assert file.blob is not None, "the hub lists a name for every content"
    blob = listing.store / "blobs" / file.blob
    lock = Path(constants.HF_HUB_CACHE) / ".locks" / listing.store.name / f"{file.blob}.lock"
    if stop.is_set():
        return
    try:
        for folder in (blob.parent, lock.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):
            if not blob.exists():
                _complete(listing, file, blob, done, stop)
            if blob.exists():
                _link(blob, listing.snapshot / file.path)
    except Exception as error:
        raise refusal(error, listing.repository) from error


def _complete(listing: Listing, file: HubFile, blob: Path, done: _Bytes, stop: threading.Event) -> None:
    partial = blob.with_name(f"{blob.name}{PARTIAL}")
    patience = Patience(f"{listing.repository.name}/{file.path}")
    while not stop.is_set():
        before = _size(partial)
        try:
            _append(listing, file, partial, done, stop)
            if stop.is_set():
                return
            _check(file, partial)
        except Exception as error:
            if _size(partial) > before:
                patience.renew()
            patience.wait_after(error)
            continue
        partial.replace(blob)
        return


def _append(listing: Listing, file: HubFile, partial: Path, done: _Bytes, stop: threading.Event) -> None:
    """Ask for the bytes that the partial file lacks, and write them as they come."""
    start = _size(partial)
    if start > file.size:  # of a file that was listed otherwise
        partial.unlink()
        start = 0
    if start == file.size and file.size > 0:
        return
    repository = listing.repository
    url = hf_hub_url(repository.name, file.path, repo_type=repository.kind, revision=listing.commit)
    headers = build_hf_headers() | {"accept-encoding": "identity"} | ({"range": f"bytes={start}-"} if start else {})
    answer: Any
    with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as answer:
        if answer.status_code == 416:  # what lies here is longer than what is there
            partial.unlink()
            raise IncompleteFileError(f"the hub has no bytes from {start:,} on")
        hf_raise_for_status(answer)
        if answer.status_code != 206:  # the whole file comes, whatever was asked for
            start = 0
        with partial.open("ab" if start else "wb") as out:
            for chunk in answer.iter_bytes():
                if stop.is_set():
                    return
                out.write(chunk)
                done.add(len(chunk))


def _check(file: HubFile, partial: Path) -> None:
    """Compare a file with the hub's list.

    Raises:
        IncompleteFileError: it is shorter; or its bytes are others, and it was removed, so that the next attempt begins
            anew.
    """
    size = _size(partial)
    if size < file.size:
        raise IncompleteFileError(f"{size:,} of {file.size:,} bytes came")
    assert file.blob is not None
    if _digest(partial, file) != file.blob:
        partial.unlink()
        raise IncompleteFileError("the bytes that came are not those that the hub lists")


def _digest(path: Path, file: HubFile) -> str:
    """The name of a file's content: its SHA-256 (Git LFS), or Git's SHA-1 of a header and the content."""
    assert file.blob is not None
    with path.open("rb") as content:
        if len(file.blob) == 64:
            return hashlib.file_digest(content, "sha256").hexdigest()
        digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
        while chunk := content.read(CHUNK):
            digest.update(chunk)
        return digest.hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _link(blob: Path, pointer: Path) -> None:
    """Link a commit's file to its content, or copy it where the disk has no links."""
    if pointer.exists():
        return
    pointer.parent.mkdir(parents=True, exist_ok=True)
    pointer.unlink(missing_ok=True)  # a link to content that somebody removed
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except OSError:
        shutil.copyfile(blob, pointer)


def _keep_list(listing: Listing, files: Sequence[HubFile]) -> None:
    """Keep the list of the commit's files in the cache, which a later run without the hub compares the cache with.

    huggingface_hub writes it, when it finds that these files are there already.
    """
    disable_progress_bars()  # ours are drawn
    repository = listing.repository
    paths = [_literal(file.path) for file in files]
    settings: dict[str, Any] = {"repo_type": repository.kind, "revision": listing.commit, "allow_patterns": paths}
    try:
        ask(str(repository), lambda: snapshot_download(repository.name, **settings))
    except Exception as error:
        raise refusal(error, repository) from error


def _literal(path: str) -> str:
    """A pattern of fnmatch that matches this path alone."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)


def _check_space(listing: Listing, files: Sequence[HubFile]) -> int:
    """Bytes still to be fetched; refused if the disk has not as many."""
    cache = Path(constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    blobs = listing.store / "blobs"
    needed = sum(file.size - _size(blobs / f"{file.blob}{PARTIAL}") for file in files)
    free = shutil.disk_usage(cache).free
    if needed > free:
        raise HubError(
            f"{listing.repository} needs {needed / 1e9:,.1f} GB and the disk of {cache} has {free / 1e9:,.1f} GB free",
            "free some, or set HF_HOME to another disk",
        )
    return needed


def _incomplete(listing: Listing, missing: Sequence[HubFile]) -> HubError:
    """The sentence about a partly filled cache that cannot be filled."""
    assert listing.refused is not None
    names = ", ".join(file.path for file in missing[:5])
    names += f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    problem = f"the cached commit {listing.commit[:12]} of {listing.repository.name} lacks {names}"
    return HubError(f"{problem}, and {listing.refused.problem}", listing.refused.remedy, absent=True)
