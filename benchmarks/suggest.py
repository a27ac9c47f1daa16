"""Ratings that `armorm suggest` saves, by a retrospective: rows that are rated already are chosen as if they were not.

    python -m benchmarks.suggest --json benchmarks/suggest.json            # the demo's rows, time and memory
    python -m benchmarks.suggest --data-root mirror --json …               # BeaverTails and UltraFeedback too
    python -m benchmarks.suggest --cost --json …                           # time and memory alone, at three sizes
    python -m benchmarks.suggest --quick

Some prompts are a test set and some a validation set. Of the other rows 100 are rated at random; then the rated rows
are doubled by a batch, with the penalty that has the lowest error on the validation set, as `armorm fit-heads` chooses
it, and so on. Each arm is fitted on its own rows and judged on the same test set: mean squared error on the scale of
the targets. Ratings that an arm needs for an error are read off its curve, linear in the logarithm of the ratings.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.conditions import Conditions
from benchmarks.process_memory import peak_bytes
from cache.keys import key_column
from heads.ridge.batch_design import Criterion, choose_batch
from heads.ridge.plain import solutions
from pipelines.artefacts import EXAMPLES
from pipelines.recipe import read_recipe
from pipelines.run import Run

ROOT = Path(__file__).parents[1]
FIRST = 100
ALPHAS: NDArray[np.float64] = np.logspace(-2, 4, 7)
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
ARMS = ("random", *CRITERIA)
SEEDS, QUICK_SEEDS = 10, 2
COST_ROWS, QUICK_COST_ROWS = (10_000, 30_000, 100_000), (1_000, 3_000)
COST_WIDTH, QUICK_COST_WIDTH = 1024, 256
QUICK_LIMIT = 600
"""Rows of the demo's one set with --quick."""

RECIPE = """
name = "retrospective"
data_root = {data}
runs = {runs}
[store]
root = {store}
[backbone]
{backbone}
[extract]
pack_tokens = 4096
{ratings}
[[pairs]]
source = "ultrafeedback_binarized"
[debiasing]
verbosity = "response_tokens"
"""

BACKBONES = {
    "tiny": f'model = {json.dumps(str(ROOT / "backbones" / "tiny"))}\ndtype = "float32"\nmax_tokens = 2048',
    "smollm2": f"model = {json.dumps(str(ROOT / 'data' / 'smollm2'))}\n"
    'gguf_file = "SmolLM2-135M-Instruct.Q4_1.gguf"\nmax_tokens = 1024',
}

DEMO = ("helpsteer-helpfulness", "ultrafeedback-overall_score", "beavertails-is_safe")
REAL = ("beavertails-is_safe", "ultrafeedback-overall_score")


@dataclass(frozen=True)
class Rated:
    """Rated responses of one objective."""

    features: NDArray[np.float32]
    """(n, d)"""
    targets: NDArray[np.float64]
    """(n,)"""
    prompts: NDArray[np.int64]
    """(n,) number of each row's prompt"""


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--data-root", type=Path, help="folder shaped like the hub with real rows, besides the demo's")
    parser.add_argument("--backbone", choices=sorted(BACKBONES), default="tiny")
    parser.add_argument("--work", type=Path, help="folder for features and runs, kept; by default one for the time")
    parser.add_argument("--seeds", type=int, help="divisions of the rows, over which curves are averaged")
    parser.add_argument("--limit", type=int, help="rows of each real set, at most")
    parser.add_argument("--no-demo", action="store_true", help="leave the demo's rows out")
    parser.add_argument("--cost", action="store_true", help="time and memory alone")
    parser.add_argument("--quick", action="store_true", help="one objective of few of the demo's rows, small sizes")
    parser.add_argument("--json", type=Path, help="file to write the figures to, after each finished part")
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        sys.stdout.write(json.dumps(cost(*arguments.one)))
        return
    conditions = Conditions()
    report: dict[str, Any] = {"backbone": arguments.backbone, "retrospective": [], "cost": []}
    if not arguments.cost:
        with tempfile.TemporaryDirectory() as temporary:
            work = arguments.work or Path(temporary)
            seeds = arguments.seeds or (QUICK_SEEDS if arguments.quick else SEEDS)
            for name, objectives, run in runs(arguments, work):
                for objective in objectives:
                    for line in retrospective(rated(run, objective), seeds):
                        report["retrospective"].append(
                            {"rows_of": name, "objective": objective, "seeds": seeds, **line}
                        )
                        conditions.write(arguments.json, report)
    sizes, width = (QUICK_COST_ROWS, QUICK_COST_WIDTH) if arguments.quick else (COST_ROWS, COST_WIDTH)
    for rows in sizes:
        command = [sys.executable, "-m", "benchmarks.suggest", "--one", str(rows), str(width)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        report["cost"].append(json.loads(done.stdout))
        conditions.write(arguments.json, report)
    sys.stdout.write(table(report))


def table(report: dict[str, Any]) -> str:
    """The figures as Markdown tables."""
    lines = []
    if found := report["retrospective"]:
        sizes = sorted({size for line in found for size in line["ratings"]})
        asked = ", ".join(f"{size:,}" for size in sizes[1:])
        head = ("rows", "objective", "arm", *(f"{size:,}" for size in sizes), f"ratings for random's error at {asked}")
        lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for line in found:
        errors = [f"{error:.4f} ± {spread:.4f}" for error, spread in zip(line["error"], line["spread"], strict=True)]
        errors += [""] * (len(sizes) - len(errors))
        needed_ = line["ratings_for_the_error_of_random_choice"][1:]
        said = "" if line["arm"] == "random" else ", ".join("–" if each is None else f"{each:.0f}" for each in needed_)
        cells = (f"{line['rows_of']}, {line['rows']:,}", line["objective"], line["arm"], *errors, said)
        lines.append("| " + " | ".join(cells) + " |")
    if lines:
        lines += [f"\nMean squared error on the test set, mean of {found[0]['seeds']} seeds ± its spread.\n"]
    if cost_of := report["cost"]:
        head = ("candidates", "width", "pool", "peak of the process")
        arms = [f"{criterion}{part}" for criterion in CRITERIA for part in ("", ", for each choice")]
        lines += ["| " + " | ".join((*head, *arms)) + " |", "|" + "---|" * (len(head) + len(arms))]
    for line in cost_of:
        times = [
            cell
            for criterion in CRITERIA
            for cell in (f"{line[criterion]['seconds']:.1f} s", f"{1000 * line[criterion]['seconds_a_choice']:.0f} ms")
        ]
        sizes_of = (f"{line['candidates']:,}", f"{line['width']:,}")
        memory = (f"{line['pool_bytes'] / 1e6:.0f} MB", f"{line['peak_bytes'] / 1e6:.0f} MB")
        lines.append("| " + " | ".join((*sizes_of, *memory, *times)) + " |")
    if cost_of:
        lines.append(f"\n{cost_of[0]['factors']} factors, {cost_of[0]['chosen']} rows chosen.")
    return "\n".join(lines) + "\n"


def runs(arguments: argparse.Namespace, work: Path) -> Iterator[tuple[str, tuple[str, ...], Run]]:
    """Extract each source's rows, and yield its name, its objectives and its run."""
    if not arguments.no_demo:
        data = work.resolve() / "demo"
        armorm(work, "demo-corpus", "--out", str(data / "data"))
        sources = ("helpsteer",) if arguments.quick else ("helpsteer", "ultrafeedback", "beavertails")
        limit = f"limit = {QUICK_LIMIT}\n" if arguments.quick else ""
        ratings = "".join(f'[[ratings]]\nsource = "{source}"\n{limit}' for source in sources)
        yield "demo", DEMO[: len(sources)], extracted(data, data / "data", arguments.backbone, ratings)
    if arguments.data_root is None:
        print("real rows are left out: --data-root names a folder shaped like the hub that holds them", file=sys.stderr)
        return
    root = arguments.data_root.resolve()
    for needed in ("PKU-Alignment/BeaverTails", "openbmb/UltraFeedback", "HuggingFaceH4/ultrafeedback_binarized"):
        if not (root / needed).is_dir():
            print(f"real rows are left out: there is no {root / needed}", file=sys.stderr)
            return
    limit = "" if arguments.limit is None else f"limit = {arguments.limit}\n"
    ratings = f'[[ratings]]\nsource = "beavertails"\nfiles = ["round0/**/*.jsonl*"]\n{limit}'
    ratings += f'[[ratings]]\nsource = "ultrafeedback"\n{limit}'
    run = extracted(work.resolve() / "real", root, arguments.backbone, ratings)
    yield "real", REAL, run


def extracted(folder: Path, data: Path, backbone: str, ratings: str) -> Run:
    """The run of a recipe for these rows, after its one pass."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "retrospective.toml"
    places = {"data": data, "runs": folder / "runs", "store": folder / "features"}
    quoted = {name: json.dumps(str(path)) for name, path in places.items()}
    recipe.write_text(RECIPE.format(backbone=BACKBONES[backbone], ratings=ratings, **quoted))
    armorm(folder, "extract", "--recipe", str(recipe))
    return Run(read_recipe(recipe))


def armorm(folder: Path, *arguments: str) -> None:
    """Run a command of this project in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def rated(run: Run, name: str) -> Rated:
    """The rows that rate an objective, each response once."""
    table = run.table(EXAMPLES).filter(pl.col(name).is_not_null()).unique("response_key", maintain_order=True)
    features = run.store.gather(key_column(table["response_key"]))
    (objective,) = (each for each in run.recipe.objectives if each.name == name)
    prompts = table["prompt_key"].rank("dense").to_numpy().astype(np.int64)
    return Rated(features.reshape(len(table), -1), objective.target(table[name].to_numpy()), prompts)


def retrospective(rows: Rated, seeds: int) -> Iterator[dict[str, Any]]:
    """Curves of every arm: test error by the number of ratings, and the ratings for the errors of random choice."""
    curves: dict[str, list[dict[int, float]]] = {arm: [] for arm in ARMS}
    for seed in range(seeds):
        for arm in ARMS:
            curves[arm].append(curve(rows, seed, arm))
    sizes = sorted(curves["random"][0])
    errors = {arm: np.array([[one[size] for size in sizes] for one in curves[arm]]) for arm in ARMS}  # (seeds, sizes)
    for arm in ARMS:
        difference = errors[arm] - errors["random"]
        yield {
            "arm": arm,
            "rows": len(rows.targets),
            "variance": float(rows.targets.var()),
            "ratings": sizes,
            "error": errors[arm].mean(axis=0).tolist(),
            "spread": errors[arm].std(axis=0, ddof=1).tolist(),
            "lower_than_random": (difference < 0).mean(axis=0).tolist(),
            "ratings_for_the_error_of_random_choice": [
                needed(sizes, errors[arm].mean(axis=0), target) for target in errors["random"].mean(axis=0)
            ],
        }


def curve(rows: Rated, seed: int, arm: str) -> dict[int, float]:
    """Number of ratings -> test error of one arm."""
    rng = np.random.default_rng(seed)
    share = rng.permutation(rows.prompts.max() + 1)[rows.prompts] / (rows.prompts.max() + 1)  # (n,) by prompt
    test, validation = share < 0.2, (share >= 0.2) & (share < 0.3)
    left = rng.permutation(np.flatnonzero(share >= 0.3))
    taken, left = left[:FIRST], left[FIRST:]
    found: dict[int, float] = {}
    while True:
        x, y = rows.features[taken].astype(np.float64), rows.targets[taken]
        heads = solutions(x.T @ x, (x.T @ y)[:, None], ALPHAS)[:, 0]  # (alphas, d)
        by_alpha = np.square(rows.features[validation] @ heads.T - rows.targets[validation, None]).mean(axis=0)
        best = int(np.nanargmin(by_alpha))
        found[len(taken)] = float(np.square(rows.features[test] @ heads[best] - rows.targets[test]).mean())
        if not len(left) or len(left) < len(taken):
            return found
        if arm == "random":
            chosen = np.arange(len(taken))
        else:
            penalised = x.T @ x + ALPHAS[best] * np.eye(x.shape[-1])
            root = np.linalg.inv(np.linalg.cholesky(penalised)).T.astype(np.float32)
            chosen = choose_batch([rows.features[left]], [root], np.ones(1), len(taken), arm).rows  # type: ignore[arg-type]
        taken, left = np.concatenate([taken, left[chosen]]), np.delete(left, chosen)


def needed(sizes: list[int], errors: NDArray[np.float64], target: float) -> float | None:
    """Ratings for an error, linear in the logarithm of the ratings; None where the curve does not come down to it."""
    if errors[0] <= target:
        return float(sizes[0])
    for low in range(len(sizes) - 1):
        if errors[low + 1] <= target < errors[low]:
            part = (errors[low] - target) / (errors[low] - errors[low + 1])
            return float(np.exp(np.log(sizes[low]) + part * np.log(sizes[low + 1] / sizes[low])))
    return None


def cost(rows: int, width: int, factors: int = 2, count: int = 200) -> dict[str, Any]:
    """Seconds and memory of a choice among generated rows."""
    rng = np.random.default_rng(0)
    pool = [rng.standard_normal((min(1024, rows - at), width), dtype=np.float32) for at in range(0, rows, 1024)]
    root = np.eye(width, dtype=np.float32) / np.float32(np.sqrt(width))
    line: dict[str, Any] = {"candidates": rows, "width": width, "factors": factors, "chosen": count}
    for criterion in CRITERIA:
        seconds = []
        for number in (1, count):
            started = time.perf_counter()
            choose_batch(pool, [root] * factors, np.ones(factors), number, criterion)
            seconds.append(time.perf_counter() - started)
        line[criterion] = {"seconds": seconds[1], "seconds_a_choice": (seconds[1] - seconds[0]) / (count - 1)}
    return line | {"pool_bytes": 4 * rows * width, "peak_bytes": peak_bytes()}


if __name__ == "__main__":
    main()
