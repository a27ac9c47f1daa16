"""Time and memory of the other heads, at the real width and three sizes.

    python -m benchmarks.other_heads --json benchmarks/other_heads.json
    python -m benchmarks.other_heads --quick

Each head is fitted in a separate process on the same generated float16 features: pairs for the pairwise heads
(two responses each, a tenth held out), as many ratings on five levels for the others. Ratios are to the plain
Bradley-Terry head of the same size. With `--objectives 19`, the kinds of ratings are fitted to 19 objectives that the
same rows rate, each with noise of its own.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.conditions import Conditions
from benchmarks.process_memory import peak_bytes, resident_bytes
from cache.progress import silent
from heads.kinds.bradley_terry import select_c
from heads.kinds.kind import Division
from heads.kinds.registry import PAIRWISE, RATINGS
from heads.objectives import Objective
from heads.settings import HeadSettings, OtherHeadSettings

SIZES = (5_000, 10_000, 20_000)
"""Numbers of pairs; there are twice as many responses."""
WIDTH = 4096
QUICK_SIZES, QUICK_WIDTH = (200, 400), 128

HEADS = ("bradley_terry", "slic", "mlp", "ordinal", "quantile", "gaussian")
BLOCK_ROWS = 2048


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of pairs")
    parser.add_argument("--width", type=int, help="number of values of a feature")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--objectives", type=int, default=1, help="number of rated objectives of the same rows")
    parser.add_argument("--heads", nargs="+", default=HEADS, choices=HEADS)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--one", nargs=2, metavar=("HEAD", "PAIRS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes, width = (QUICK_SIZES, QUICK_WIDTH) if arguments.quick else (SIZES, WIDTH)
    sizes, width = arguments.sizes or sizes, arguments.width or width
    conditions = Conditions()
    if arguments.one:
        head, pairs = arguments.one
        sys.stdout.write(json.dumps(measure(head, int(pairs), width, arguments.objectives)))
        return
    report: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "width": width,
        "objectives": arguments.objectives,
        "results": [],
    }
    for pairs in sizes:
        for head in arguments.heads:
            one = ["--one", head, str(pairs), "--width", str(width)]
            one += ["--objectives", str(arguments.objectives)]
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.other_heads", *one], capture_output=True, text=True, check=True
            )
            report["results"].append(json.loads(done.stdout))
            conditions.write(arguments.json, report)
    sys.stdout.write(table(report))


def measure(head: str, pairs: int, width: int, objectives: int) -> dict[str, Any]:
    """Seconds of a kind's fit, and memory that it needed in addition to the features."""
    features, train, validation, levels = generate(pairs, width)
    settings = OtherHeadSettings()
    before = resident_bytes()
    started = time.perf_counter()
    line: dict[str, Any] = {"head": head, "pairs": pairs, "features_bytes": features.nbytes}
    if head == "bradley_terry":
        learn, judge = (
            (features[rows[:, 0]].astype(np.float32) - features[rows[:, 1]]) for rows in (train, validation)
        )
        _, line["validation_accuracy"] = select_c(learn, judge, HeadSettings().bradley_terry_C)
    elif head in PAIRWISE:
        weights = PAIRWISE[head].fit(features, train, validation, settings.of(head), silent, None).arrays
        line["seconds"] = time.perf_counter() - started
        scores = PAIRWISE[head].scores(features, weights)
        line["validation_accuracy"] = float((scores[validation[:, 0]] > scores[validation[:, 1]]).mean())
    else:
        cut = int(0.9 * len(features))
        scale = Objective(name="five levels", low=1, high=5)
        kind, division = RATINGS[head], Division(cut, (cut + len(features)) // 2)
        prepared = kind.prepare(features, cut, settings.of(head))
        line["seconds_to_prepare"] = time.perf_counter() - started
        for targets in objectives_of(levels, objectives):
            fitted = kind.fit(prepared, targets, division, scale, settings.of(head))
        line["objectives"] = objectives
        line["pearson"] = float(np.corrcoef(fitted.validation, targets[cut:])[0, 1])
    line.setdefault("seconds", time.perf_counter() - started)
    return line | {"grew_bytes": peak_bytes() - before}


def generate(
    pairs: int, width: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Features with a falling spectrum off the origin, pairs by a noisy planted score, ratings on five levels of it."""
    rng = np.random.default_rng(0)
    scale = np.geomspace(3.0, 0.03, width).astype(np.float32)  # (d,)
    direction = rng.standard_normal(width, dtype=np.float32) / np.linalg.norm(scale)  # (d,)
    features = np.empty((2 * pairs, width), dtype=np.float16)
    score = np.empty(2 * pairs)
    for start in range(0, len(features), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        features[rows] = rng.standard_normal(features[rows].shape, dtype=np.float32) * scale + 0.3
        score[rows] = features[rows].astype(np.float32) @ direction
    score -= score.mean()
    ordered = np.arange(2 * pairs).reshape(-1, 2)
    margin = 3.0 * (score[ordered[:, 0]] - score[ordered[:, 1]])
    right = rng.random(pairs) < 1.0 / (1.0 + np.exp(-margin))
    ordered = np.where(right[:, None], ordered, ordered[:, ::-1])
    noisy = score + 0.3 * rng.standard_normal(2 * pairs)
    levels = (np.digitize(noisy, np.quantile(noisy, (0.1, 0.3, 0.6, 0.85))) + 0.5) / 5.0
    cut = int(0.9 * pairs)
    return features, ordered[:cut], ordered[cut:], levels


def objectives_of(levels: np.ndarray[Any, Any], count: int) -> Iterator[np.ndarray[Any, Any]]:
    """Ratings on five levels (n,): those given, then others with a quarter of them moved by a level."""
    rng = np.random.default_rng(1)
    yield levels
    for _ in range(count - 1):
        step = np.where(rng.random(len(levels)) < 0.25, rng.choice([-0.2, 0.2], len(levels)), 0.0)
        yield np.clip(levels + step, 0.1, 0.9)


def table(report: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| pairs | head | seconds | ratio | features | memory grew by | held out |",
        "|---|---|---|---|---|---|---|",
    ]
    plain = {line["pairs"]: line["seconds"] for line in report["results"] if line["head"] == "bradley_terry"}
    for line in report["results"]:
        reached = (
            f"{line['validation_accuracy']:.1%}" if "validation_accuracy" in line else f"Pearson {line['pearson']:.3f}"
        )
        ratio = f"{line['seconds'] / plain[line['pairs']]:.2f}" if line["pairs"] in plain else ""
        cells = (f"{line['pairs']:,}", line["head"], f"{line['seconds']:.1f}", ratio)
        sizes = (f"{line['features_bytes'] / 1e6:,.0f} MB", f"{line['grew_bytes'] / 1e6:,.0f} MB", reached)
        lines.append("| " + " | ".join((*cells, *sizes)) + " |")
    lines.append(f"\nwidth {report['width']:,}; {report['machine']}, Python {report['python']}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
