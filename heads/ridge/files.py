"""Statistics on disk: `statistics.json` names the groups, `statistics/` holds one safetensors file for each.

The index is written last and names every file with a checksum, so that a crash leaves the old statistics or
the new ones. Groups are read when they are needed.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from cache.durable import write_text
from cache.fingerprint import digest_of
from cache.names import FileName
from cache.parsing import parse
from heads.ridge.group import Group
from heads.ridge.layout import Layout
from heads.ridge.statistics import GramStatistics, file_name
from heads.ridge.stored_arrays import StatisticsDamageError, StoredArrays
from heads.ridge.subset import GroupKey

VERSION = 2
FOLDER, INDEX = "statistics", "statistics.json"


@dataclass(frozen=True, slots=True)
class Origin:
    """The rows and features that statistics were made of; says which groups an update can reuse."""

    fingerprint: str = ""
    """Digest of the features' fingerprint."""
    rows: dict[str, str] = field(default_factory=dict)
    """data set/split -> digest of its keys, targets and buckets."""


@dataclass(frozen=True, slots=True)
class _Version:
    """The one thing that is read of an index of any version."""

    version: int


@dataclass(frozen=True, slots=True)
class _StoredGroup:
    """A group in the index."""

    key: tuple[str, str, int, tuple[bool, ...]]
    """As `GroupKey`."""
    n: int
    arrays: dict[str, dict[str, int]]
    """As `StoredArrays.about`."""


class GroupFile(FileName):
    """The file name of a group."""

    __slots__ = ()
    PATTERN: ClassVar = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,250}\.safetensors")
    MEANING: ClassVar = "the file name of statistics"


@dataclass(frozen=True, slots=True)
class _Index:
    """The content of `statistics.json`."""

    version: int
    stamp: dict[str, str]
    objectives: tuple[str, ...]
    layers: Annotated[int, Field(ge=1)]
    layout: Layout
    origin: Origin
    groups: dict[GroupFile, _StoredGroup]
    checksum: str | None = None
    """Digest of all else."""


@dataclass(frozen=True, slots=True)
class SavedStatistics:
    """Statistics read back from a folder."""

    statistics: GramStatistics
    origin: Origin
    stamp: Mapping[str, str]
    """Input of the statistics -> digest; the caller compares it to see whether they are current."""


def save_statistics(
    folder: Path, statistics: GramStatistics, origin: Origin, stamp: Mapping[str, str], *, finished: bool = True
) -> None:
    """Write statistics into a folder, in place of those that are there.

    Args:
        folder: receives `statistics.json` and `statistics/`.
        statistics: to be saved.
        origin: what the statistics were made of.
        stamp: input of the statistics -> digest, which `load_statistics` returns.
        finished: whether all rows are added, so that the groups multiply what they buffer and release their memory;
            else they are saved as they are, and go on as if they had not been.
    """
    if finished:
        statistics.flush()
    files: dict[GroupFile, dict[str, object]] = {}
    for key, group in statistics.groups.items():
        digest = origin.rows.get(f"{key.dataset}/{key.split}") or digest_of(origin.rows)
        name = GroupFile(f"{file_name(key)}-{digest[:12]}.safetensors")
        if group.file is not None and not group.waiting and group.file.path.name != f"{file_name(key)}.safetensors":
            name = GroupFile(group.file.path.name)  # saved here before: the index that is there names it
        stored = group.save(folder / FOLDER / name) if finished else group.copy(folder / FOLDER / name)
        files[name] = {"key": [*key[:3], list(key.pattern)], "n": group.n, "arrays": stored.about}
    index = {
        "version": VERSION,
        "stamp": dict(stamp),
        "objectives": statistics.objectives,
        "layers": statistics.layers,
        "layout": asdict(statistics.layout),
        "origin": asdict(origin),
        "groups": files,
    }
    write_text(folder / INDEX, json.dumps(index | {"checksum": digest_of(index)}) + "\n")
    for path in (folder / FOLDER).glob("*"):
        if path.name not in files:
            path.unlink()


def load_statistics(folder: Path) -> SavedStatistics:
    """Read statistics that `save_statistics` wrote; the groups themselves are read when they are needed.

    Raises:
        FileNotFoundError: nothing was saved there.
        StatisticsDamageError: the index, or a file it names, is missing, truncated or not what was written.
    """
    path = folder / INDEX
    text = path.read_bytes()
    try:
        if parse(_Version, text).version != VERSION:
            raise StatisticsDamageError(f"{path} is of another version of this program")
        index = parse(_Index, text)
        body = json.loads(text)
        if body.pop("checksum", None) not in (None, digest_of(body)):  # an earlier version wrote none
            raise ValueError("it was changed since it was written")
        statistics = GramStatistics.of_layout(index.objectives, index.layout, index.layers)
        for name, group in index.groups.items():
            stored = StoredArrays(folder / FOLDER / name, group.arrays)
            statistics.groups[GroupKey(*group.key)] = Group.in_file(statistics.layout, group.n, stored)
        return SavedStatistics(statistics, index.origin, index.stamp)
    except (ValueError, KeyError) as error:
        raise StatisticsDamageError(f"{path} is damaged ({type(error).__name__}: {error})") from None
