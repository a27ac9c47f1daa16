"""Statistics on disk: `statistics.json` names the groups, `statistics/` holds one safetensors file for each.

The index is written last and names every file with a checksum, so that a crash leaves the old statistics or
the new ones. Groups are read when they are needed.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cache.durable import write_text
from heads.ridge.group import Group
from heads.ridge.statistics import GramStatistics, file_name
from heads.ridge.stored_arrays import StatisticsDamageError, StoredArrays
from heads.ridge.subset import GroupKey

VERSION = 1
FOLDER, INDEX = "statistics", "statistics.json"


def save_statistics(folder: Path, statistics: GramStatistics, about: dict[str, Any]) -> None:
    """Write statistics into a run's folder, in place of those that are there.

    Args:
        folder: of the run.
        statistics: to be saved; its groups let go of their memory.
        about: what the statistics are of, as plain values, kept beside them.
    """
    statistics.flush()
    files = {}
    for key, group in statistics.groups.items():
        digest = about["rows"][f"{key.dataset}/{key.split}"] if "rows" in about else ""
        name = "-".join(filter(None, (file_name(key), str(digest)[:12]))) + ".safetensors"
        shelf = group.save(folder / FOLDER / name)
        files[name] = {"key": [*key[:3], list(key.pattern)], "n": group.n, "arrays": shelf.about}
    index = {
        "version": VERSION,
        "objectives": statistics.objectives,
        "layers": statistics.layers,
        "layout": asdict(statistics.layout),
        "about": about,
        "groups": files,
    }
    write_text(folder / INDEX, json.dumps(index) + "\n")
    for path in (folder / FOLDER).glob("*"):
        if path.name not in files:
            path.unlink()


def load_statistics(folder: Path) -> tuple[GramStatistics, dict[str, Any]]:
    """Statistics that `save_statistics` wrote, and what they are of.

    Raises:
        FileNotFoundError: nothing was saved there.
        StatisticsDamageError: the index or a file it names is gone, cut, or not what was written.
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
            shelf = StoredArrays(folder / FOLDER / name, group["arrays"])
            statistics.groups[key] = Group.in_file(statistics.layout, group["n"], shelf)
        return statistics, index["about"]
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StatisticsDamageError(f"{path} is damaged ({type(error).__name__}: {error})") from None
