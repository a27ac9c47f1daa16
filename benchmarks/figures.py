"""Figures of a benchmark, printed and appended to a file as they are measured, so a run that is cut short has some."""

import json
from pathlib import Path
from typing import Any


class Figures:
    """Writer of a benchmark's figures, one line of JSON each.

    Args:
        stage: name of the benchmark in every line.
        path: file to append to; None only prints.
    """

    def __init__(self, stage: str, path: Path | None) -> None:
        self._stage = stage
        self._path = path

    def add(self, **values: Any) -> None:
        """Print a figure and append it to the file."""
        line = json.dumps({"stage": self._stage, **values})
        print(line, flush=True)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(line + "\n")
