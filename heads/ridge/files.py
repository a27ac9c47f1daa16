"""Statistics on disk: `statistics.json` names the groups, `statistics/` holds one safetensors file for each.

The index is written last and names every file with a checksum, so that a crash leaves the old statistics or
the new ones. Groups are read when they are needed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cache.durable import write_text
from heads.ridge.group import Group
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
class SavedStatistics:
    """Statistics read back from a folder."""

    statistics: GramStatistics
    origin: Origin
    stamp: Mapping[str, str]
    """Input of the statistics -> digest; the caller compares it to see whether they are current."""


def save_statistics(folder: Path, statistics: GramStatistics, origin: Origin, stamp: Mapping[str, str]) -> None:
    """Write statistics into a folder, in place of those that are there.

    Args:
        folder: receives `statistics.json` and `statistics/`.
        statistics: to be saved; their groups release their memory.
        origin: what the statistics were made of.
        stamp: input of the statistics -> digest, which `load_statistics` returns.
    """
    statistics.flush()
    files = {}
    for key, group in statistics.groups.items():
        digest = origin.rows.get(f"{key.dataset}/{key.split}", "")
        name = "-".join(filter(None, (file_name(key), digest[:12]))) + ".safetensors"
        stored = group.save(folder / FOLDER / name)
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
    write_text(folder / INDEX, json.dumps(index) + "\n")
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
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if index["version"] != VERSION:
            raise StatisticsDamageError(f"{path} is of another version of this program")
        layout = index["layout"]
        statistics = GramStatistics(
            tuple(index["objectives"]),
            layout["width"],
            layers=index["layers"],
            joint=len(layout["blocks"]) == 1,
            storage=layout["storage"],
            product=layout["product"],
        )
        for name, group in index["groups"].items():
            dataset, split, bucket, pattern = group["key"]
            key = GroupKey(dataset, split, bucket, tuple(pattern))
            stored = StoredArrays(folder / FOLDER / name, group["arrays"])
            statistics.groups[key] = Group.in_file(statistics.layout, group["n"], stored)
        return SavedStatistics(statistics, Origin(**index["origin"]), index["stamp"])
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StatisticsDamageError(f"{path} is damaged ({type(error).__name__}: {error})") from None
