"""The sizes and repeats of a run, and the run."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.conditions import Conditions
from benchmarks.store import compression, damage, killed, processes, speed
from benchmarks.store.way import Rows
from benchmarks.store.ways import WAYS, versions


@dataclass(frozen=True, slots=True)
class Plan:
    """The amounts that are measured."""

    sizes: tuple[tuple[int, int], ...]
    """Numbers of rows and of values per row."""
    shard_rows: int
    width: int
    """Values per row of the large gather, of the damage and of the kills."""
    prompts: int
    """Rows of the gather that `train-gating` and `eval` make, of as many prompts, in their tables' order."""
    reads: int
    """Rounds of reading."""
    writes: int
    """Rounds of writing."""
    damage_rows: int
    """Rows of each of the four shards in which a byte is changed; all are read anew each time."""
    flips: int
    killed_rows: int
    """Rows of each of the four shards, in the third of which a writer is killed: it must be met in the middle."""
    kills: int


FULL = Plan(
    sizes=((16_384, 1_024), (131_072, 1_024), (16_384, 4_096), (131_072, 4_096)),  # 34, 268, 134 and 1,074 MB
    shard_rows=8_192,  # the default of a recipe
    width=1_024,
    prompts=80_000,
    reads=7,
    writes=3,
    damage_rows=1_024,
    flips=20,
    killed_rows=8_192,
    kills=10,
)

QUICK = Plan(
    sizes=((4_096, 1_024), (1_024, 4_096)),
    shard_rows=512,
    width=1_024,
    prompts=80_000,
    reads=3,
    writes=1,
    damage_rows=512,
    flips=5,
    killed_rows=2_048,
    kills=2,
)


def measure(plan: Plan, path: Path | None, parent: Path | None) -> dict[str, Any]:
    """The report of a run, which is written to `path` after every part, with its conditions.

    Args:
        plan: what to measure.
        path: JSON file; None: none is written.
        parent: folder for the stored rows; None: the system's temporary one.

    Raises:
        UserError: a library is not installed.
    """
    report: dict[str, Any] = {
        "ways": {way.name: way.settings for way in WAYS},
        "packages": versions(),
        "prompts": plan.prompts,
        "results": [],
    }
    torch.set_num_threads(1)  # as the store, which leaves other cores to the program that reads
    conditions = Conditions()
    conditions.count(processes.server())
    for rows, width in plan.sizes:
        prompts = plan.prompts if width == plan.width and rows > plan.prompts else 0
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            given = Rows.random(rows, width, plan.shard_rows)
            report["results"] += speed.measure(Path(folder), given, plan.reads, plan.writes, prompts)
        conditions.write(path, report)
    report["compression"] = compression.measure(Rows.random(plan.shard_rows, plan.width, plan.shard_rows))
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        given = Rows.random(4 * plan.damage_rows, plan.width, plan.damage_rows)
        report["damage"] = damage.measure(Path(folder), given, plan.flips)
    conditions.write(path, report)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        given = Rows.random(4 * plan.killed_rows, plan.width, plan.killed_rows)
        report["killed"] = killed.measure(Path(folder), given, plan.kills)
    conditions.write(path, report)
    return report
