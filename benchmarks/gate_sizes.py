"""`armorm train-gating` at three sizes, up to ten times the published one: seconds of its parts, memory, accuracy.

    python -m benchmarks.gate_sizes --json FILE
    python -m benchmarks.gate_sizes --pairs 80000 800000 --width 4096

Every pair has a prompt and two responses of its own, which is the most that there can be: three features a pair. The
whole command runs in a process of its own on a store that is made before and removed afterwards: rewards of all
responses, debiasing, the plain Bradley-Terry head, the gate, the other rules and their held-out accuracies. From a size
on it holds neither prompts nor differences in memory (`gating/prompts.py`, `heads/pairs/streamed.py`).

Rewards are planted: a prompt's direction says which objectives count, and preferences follow by Bradley-Terry.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.conditions import Conditions
from benchmarks.made_run import RECIPE, SHARD_ROWS, fingerprint, made_extract, made_heads
from benchmarks.markdown import markdown_table
from cache import FeatureStore
from extract.tables import EXAMPLES, PAIRS, SUITE_TEXTS, SUITES, Tables, frame
from gating.settings import GateSettings
from heads.objectives import PUBLISHED_OBJECTIVES
from pipelines.artefacts import HEADS
from pipelines.recipe import read_recipe
from pipelines.run import Run

PAIR_NUMBERS = (8_000, 80_000, 800_000)
WIDTH = 4096
KINDS = 12
"""Number of kinds of prompts, each with other weights of the objectives."""
OUTLIERS = 4
"""Number of columns that are a hundred times larger, as in a language model's final states."""
VALIDATION = 0.1
NAMES = tuple(objective.name for objective in PUBLISHED_OBJECTIVES)

IN_ITS_OWN_PROCESS = """
import json, logging, sys, time
from pathlib import Path
from benchmarks.process_memory import peak_bytes
from pipelines.commands.train_gating import train_gating
from pipelines.recipe import read_recipe
from pipelines.run import Run
passes, clock, used = 0, time.monotonic(), time.process_time()
def progress(what, done, total, unit):
    global passes
    if what.startswith("reading pairs"):
        passes = max(passes, int(what.rpartition(" ")[2]))
run = Run(read_recipe(Path(sys.argv[1])))
with run.writing():
    result = train_gating(run, progress)
print(json.dumps({
    "seconds": time.monotonic() - clock,
    "gate_seconds": result.gate_seconds,
    "steps": result.metrics[-1].step,
    "best_step": result.best_step,
    "passes": passes,
    "gate": result.rules["gate"].accuracy,
    "bradley_terry": result.rules["bradley_terry"].accuracy,
    "uniform": result.rules["uniform"].accuracy,
    "precision": result.precision,
    "threads": result.threads,
    "peak_bytes": peak_bytes(),
    "processor": time.process_time() - used,
}))
"""


def main() -> None:
    """Measure every size, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=list(PAIR_NUMBERS))
    parser.add_argument("--width", type=int, default=WIDTH, help="values of a feature")
    parser.add_argument("--quick", action="store_true", help="small sizes, as a trial")
    parser.add_argument("--folder", type=Path, help="folder of the store; by default a temporary one")
    parser.add_argument("--json", type=Path, help="file to write the figures to, after each size")
    arguments = parser.parse_args()
    conditions = Conditions()
    sizes, width, hidden = arguments.pairs, arguments.width, GateSettings().hidden_size
    if arguments.quick:
        sizes, width, hidden = [1_000, 10_000], 256, 64
    results = []
    for pairs in sizes:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            results.append(measure(Path(folder), pairs, width, hidden))
        report = {"width": width, "hidden_size": hidden, "results": results}
        conditions.write(arguments.json, report)
        print(table(report), flush=True)


def measure(folder: Path, pairs: int, width: int, hidden: int) -> dict[str, Any]:
    """One size: make a run, then the command in a process of its own."""
    recipe = folder / "benchmark.toml"
    recipe.write_text(RECIPE.format(shard_rows=SHARD_ROWS) + f"gate = {{ hidden_size = {hidden} }}\n")
    started = time.perf_counter()
    make_run(recipe, pairs, width)
    made = time.perf_counter() - started
    done = subprocess.run(
        [sys.executable, "-c", IN_ITS_OWN_PROCESS, str(recipe)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"pairs": pairs, "features_bytes": 6 * pairs * width, "seconds_making": made, **measured}


def make_run(path: Path, pairs: int, width: int) -> None:
    """Store, heads and tables that `train-gating` reads."""
    run = Run(read_recipe(path))
    rng = np.random.default_rng(0)
    k = len(NAMES)
    heads = (rng.standard_normal((k, width)) * 0.12 / np.sqrt(width)).astype(np.float32)
    centres = rng.standard_normal((KINDS, width), dtype=np.float32)  # (kinds, d)
    logits = 2.0 * rng.standard_normal((KINDS, k))
    weights = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)  # (kinds, k)
    scales = np.exp(0.5 * rng.standard_normal(width)).astype(np.float32)
    scales[rng.choice(width, OUTLIERS, replace=False)] = 100.0
    store = FeatureStore.create(run.recipe.store.root, fingerprint(), width)
    keys = rng.integers(0, 256, (pairs, 3, 16), dtype=np.uint8)  # prompt, chosen, rejected of each pair
    a_shard = SHARD_ROWS // 3
    with store.writing():
        for number, start in enumerate(range(0, pairs, a_shard)):
            n = len(keys[start : start + a_shard])
            features = rng.standard_normal((n, 3, width), dtype=np.float32)
            kind = rng.integers(KINDS, size=n)
            features[:, 0] = (centres[kind] / 2 + features[:, 0]) * scales
            rewards = features[:, 1:] @ heads.T  # (n, 2, k)
            margin = 40.0 * np.einsum("nk,nk->n", weights[kind], rewards[:, 0] - rewards[:, 1])  # (n,)
            swap = rng.random(n) >= 1 / (1 + np.exp(-margin))
            features[swap, 1:] = features[swap, :0:-1]
            store.seal(
                f"shard-{number:05d}",
                keys[start : start + n].reshape(-1, 16),
                np.full(3 * n, 100, np.int32),
                features.reshape(3 * n, 1, width),
            )
    empty = dict.fromkeys(NAMES, pl.Int32)
    tables = Tables(frame([], EXAMPLES | empty), pairs_table(rng, keys), frame([], SUITES), frame([], SUITE_TEXTS))
    run.write_extract(made_extract(0), tables)
    run.write(HEADS, made_heads(NAMES, width), arrays={"weight": heads})


def pairs_table(rng: np.random.Generator, keys: NDArray[np.uint8]) -> pl.DataFrame:
    """The table of pairs with some keys (n, 3, 16), a tenth of them for validation."""
    n = len(keys)
    columns: dict[str, Any] = {"dataset": np.full(n, "hh_rlhf"), "row": np.arange(n).astype(str)}
    for at, side in enumerate(("prompt", "chosen", "rejected")):
        columns[f"{side}_key"] = [key.tobytes() for key in keys[:, at]]
    for name in PAIRS:
        if name.endswith("_tokens"):
            columns[name] = rng.integers(20, 800, n)
        elif name not in columns and name not in ("margin", "split"):
            columns[name] = np.zeros(n, dtype=np.int64)
    columns["margin"] = [None] * n
    columns["split"] = np.where(rng.random(n) < VALIDATION, "validation", "train")
    return pl.DataFrame(columns, schema_overrides=PAIRS).select(list(PAIRS))


def table(report: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    heads = ("pairs", "features", "the command", "processor µs a pair", "of it the gate", "steps")
    heads += ("pairs of the plain head", "peak memory", "gate right", "plain head", "equal weights")
    lines = []
    for one in report["results"]:
        cells = [
            f"{one['pairs']:,}",
            f"{one['features_bytes'] / 1e9:.1f} GB",
            f"{one['seconds']:.0f} s",
            f"{1e6 * one['processor'] / one['pairs']:,.0f}",
            f"{one['gate_seconds']:.0f} s",
            f"{one['steps']:,} (selected: {one['best_step']:,})",
            "held" if one["passes"] == 0 else "read in passes" if one["passes"] is None else f"{one['passes']} passes",
            f"{one['peak_bytes'] / 1e9:.2f} GB",
            *(f"{one[rule]:.1%}" for rule in ("gate", "bradley_terry", "uniform")),
        ]
        lines.append(cells)
    return markdown_table(heads, lines)


if __name__ == "__main__":
    main()
