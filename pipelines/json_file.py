"""JSON files of a run, each with a checksum by which a change made by hand is noticed."""

import json
from pathlib import Path
from typing import Any

from cache.durable import write_text
from cache.fingerprint import digest_of
from pipelines.results import to_json

CHECKSUM = "checksum"
"""Key of the digest of all else that a file holds."""


def write_object(path: Path, values: dict[str, Any]) -> None:
    """Write an object durably, with its checksum."""
    write_text(path, to_json({**values, CHECKSUM: digest_of(values)}))


def read_object(path: Path) -> dict[str, Any]:
    """An object as a command wrote it, without its checksum.

    Raises:
        ValueError: the file does not hold one, or was changed by something else. Version 0.2 wrote no checksum.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it does not hold a JSON object")
    checksum = value.pop(CHECKSUM, None)
    if checksum is not None and checksum != digest_of(value):
        raise ValueError("it was changed since it was written")
    return value
