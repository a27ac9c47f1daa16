"""Why records cannot be encoded, in files beside the token ids, so that they are not tokenised again in every run."""

import hashlib
import json
import logging
from pathlib import Path

from cache.durable import replacing
from cache.errors import first_line
from extract.tokens.segment import temporary_suffix

log = logging.getLogger(__name__)

PREFIX = "reasons-"
"""Beginning of a file's name; a digest of its text follows."""


class KeptReasons:
    """Reasons by the names of records. Several processes may write at once, each its own file."""

    def __init__(self, folder: Path) -> None:
        """Read the files of a folder, which need not exist; a damaged one is named in a warning and left out."""
        self._folder = folder
        self._known: dict[str, str] = {}
        self._new: dict[str, str] = {}
        for path in sorted(folder.glob(f"{PREFIX}*.json")):
            try:
                text = path.read_text(encoding="utf-8")
                if path != self._path(text):
                    raise ValueError("its text is not the one that was written")
                self._known |= json.loads(text)
            except (OSError, ValueError) as error:
                log.warning("%s cannot be used (%s): its rows are tokenised again; remove it", path, first_line(error))

    def find(self, name: bytes) -> str | None:
        """The reason of a record, by its name."""
        return self._known.get(name.hex())

    def add(self, name: bytes, reason: str) -> None:
        """Add the reason of a record that `find` does not find."""
        self._known[name.hex()] = self._new[name.hex()] = reason

    def write(self) -> None:
        """Write what was added to a file, durably.

        Raises:
            OSError: the disk is full.
        """
        if self._new:
            text = json.dumps(self._new, indent=0, sort_keys=True)
            with replacing(self._path(text), temporary_suffix()) as file:
                file.write(text.encode())
            self._new = {}

    def _path(self, text: str) -> Path:
        return self._folder / f"{PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
