"""Helpers of the tests of files: files to read, and the values of their rows."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from cache.errors import UserError
from extract.files.locate import locate
from extract.files.malformed import Malformed
from extract.files.missing import MissingDatasetError
from extract.files.rows import read_rows
from extract.settings import DatasetSettings
from extract.sources import SOURCES


def values(path: Path, columns: Collection[str] | None = None) -> list[dict[str, Any] | Malformed]:
    """The values of each row of a file."""
    return [row if isinstance(row, Malformed) else dict(row.values) for row in read_rows(path, columns)]


def touch(folder: Path, *names: str) -> list[Path]:
    """Empty files below a folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


def settings(source: str, **values: Any) -> DatasetSettings:
    return DatasetSettings(source=source, **values)


def missing(named: DatasetSettings, data_root: Path | None = None) -> str:
    with pytest.raises(MissingDatasetError) as caught:
        locate(named, SOURCES[named.source], data_root)
    assert isinstance(caught.value, UserError)
    assert "\n" not in str(caught.value)
    return str(caught.value)
