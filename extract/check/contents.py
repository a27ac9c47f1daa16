"""Bytes of a file at any place of it, whether the file lies on the disk or on the hub."""

import io
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from huggingface_hub import constants, hf_hub_url
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from cache.names import InnerPath
from extract.hub.listing import HubFile, Listing
from extract.hub.patience import IncompleteFileError, ask
from extract.hub.refusals import refusal

BLOCK = 1 << 18
"""Bytes asked for at once."""
BLOCKS = 64
"""Blocks of a file kept in memory."""


class Contents(Protocol):
    """A file of a data set."""

    @property
    def name(self) -> InnerPath:
        """Path relative to the set's root."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def local(self) -> Path | None:
        """The file, where it lies on the disk."""

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`, less those beyond the end.

        Raises:
            UserError: they cannot be had.
        """


@dataclass(frozen=True, slots=True)
class DiskFile:
    """A file on the disk."""

    name: InnerPath
    path: Path

    @property
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size

    @property
    def local(self) -> Path | None:
        """The file itself."""
        return self.path

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`."""
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(max(0, stop - start))


@dataclass(frozen=True, slots=True)
class RangesOfHubFile:
    """A file on the hub, of which ranges are asked for."""

    listing: Listing
    file: HubFile

    @property
    def name(self) -> InnerPath:
        """Path in the repository."""
        return self.file.path

    @property
    def size(self) -> int:
        """Bytes."""
        return self.file.size

    @property
    def local(self) -> Path | None:
        """Nothing: it is not on the disk."""
        return None

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`, by one request."""
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        repository = self.listing.repository
        try:
            return ask(f"{repository.name}/{self.name}", lambda: self._range(start, stop))
        except Exception as error:
            raise refusal(error, repository) from error

    def _range(self, start: int, stop: int) -> bytes:
        repository = self.listing.repository
        url = hf_hub_url(repository.name, self.name, repo_type=repository.kind, revision=self.listing.commit)
        headers = build_hf_headers() | {"accept-encoding": "identity", "range": f"bytes={start}-{stop - 1}"}
        with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as answer:
            hf_raise_for_status(answer)
            skipped = 0 if answer.status_code == 206 else start  # the whole file comes, whatever was asked for
            found = bytearray()
            for chunk in answer.iter_bytes():
                found += chunk
                if len(found) >= skipped + stop - start:
                    break
        if len(found) < skipped + stop - start:
            raise IncompleteFileError(f"{len(found):,} of {skipped + stop - start:,} bytes came")
        return bytes(found[skipped : skipped + stop - start])


class Seekable(io.RawIOBase):
    """A file as Python's readers take it, read in blocks that are kept for a while."""

    def __init__(self, contents: Contents) -> None:
        super().__init__()
        self._contents = contents
        self._place = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The place at which the next bytes are read."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._contents.size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes; all that are left if no size is given."""
        stop = self._contents.size if size is None or size < 0 else min(self._contents.size, self._place + size)
        found = bytearray()
        while self._place < stop:
            number, offset = divmod(self._place, BLOCK)
            part = self._block(number)[offset : offset + stop - self._place]
            if not part:
                break
            found += part
            self._place += len(part)
        return bytes(found)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            self._blocks[number] = self._contents.read(number * BLOCK, (number + 1) * BLOCK)
            while len(self._blocks) > BLOCKS:
                self._blocks.popitem(last=False)
        return self._blocks[number]
