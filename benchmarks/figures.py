"""Figures as they come: a line on standard output and a line of JSON in a file, so that a run cut short still tells."""

import json
from pathlib import Path
from typing import Any


class Figures:
    """What a benchmark found so far.

    Args:
        stage: of which benchmark they are.
        path: the file they are appended to; None: there is none.
    """

    def __init__(self, stage: str, path: Path | None) -> None:
        self._stage = stage
        self._path = path

    def add(self, **values: Any) -> None:
        """Tell and keep a figure."""
        line = json.dumps({"stage": self._stage, **values})
        print(line, flush=True)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(line + "\n")
