"""The part of extract.json that the next extraction takes over: the store, the commits of data sets, failed packing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from cache import UserError
from cache.errors import first_line
from cache.names import StoreName
from pipelines.artefacts import EXTRACT
from pipelines.json_file import read_object


@dataclass(frozen=True, slots=True)
class EarlierExtract:
    """The values that are taken over."""

    fingerprint: StoreName
    packing_failed: str | None = None
    """Why packing failed, if it was tried and did."""
    revisions: Mapping[str, str] = field(default_factory=dict)
    """Data set of the hub -> commit."""
    backbone: Mapping[str, str | None] = field(default_factory=dict)
    """Where the recipe said that the backbone was; empty in files of earlier versions."""


def read_earlier_extract(path: Path) -> EarlierExtract | None:
    """Read extract.json, whatever settings it was made with; None if there is none.

    Raises:
        UserError: it is damaged; its remedy may be the command that is running.
    """
    if not path.exists():
        return None
    try:
        return TypeAdapter(EarlierExtract).validate_python(read_object(path))
    except (ValueError, OSError) as error:
        raise UserError(
            f"{path} is damaged ({first_line(error)}): remove it, and run `armorm {EXTRACT.command}` again"
        ) from None
