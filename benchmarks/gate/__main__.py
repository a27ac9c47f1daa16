"""Command line of the gate's benchmark: see the package."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

import benchmarks.gate as package
from benchmarks.conditions import Conditions
from benchmarks.gate import authors, ours
from benchmarks.gate.data import TEST_PAIRS, generate
from benchmarks.gate.markdown import NAMES
from benchmarks.process_memory import peak_bytes
from gating.settings import GateSettings
from gating.training.precision import multiplies_bfloat16

FULL: dict[str, Any] = {"pairs": (80_000, 40_000, 20_000), "features": 4096, "hidden": 1024, "steps": 2000}
QUICK: dict[str, Any] = {"pairs": (4_000, 2_000), "features": 1024, "hidden": 256, "steps": 30}
"""Sizes with --quick, just large enough for ours to train in bfloat16."""


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gate",
        description=package.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pairs", type=int, nargs="+", help="the other ways run at the largest number alone")
    parser.add_argument("--features", type=int)
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--steps", type=int, help="steps of the authors' loop; largest number of steps of ours")
    parser.add_argument("--ways", nargs="+", choices=NAMES, default=[*NAMES])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--json", type=Path, help="file to write the figures to, after each way")
    parser.add_argument("--way", help=argparse.SUPPRESS)  # in the process that it starts
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for name, value in (QUICK if arguments.quick else FULL).items():
        setattr(arguments, name, getattr(arguments, name) or value)
    if arguments.way:
        sys.stdout.write(json.dumps(run_way(arguments)))
        return
    conditions = Conditions()
    report: dict[str, Any] = {
        "features": arguments.features,
        "hidden": arguments.hidden,
        "threads": torch.get_num_threads(),
        "test_pairs": TEST_PAIRS,
        "left_out": left_out(arguments.ways),
        "results": [],
    }
    for pairs in arguments.pairs:
        with tempfile.TemporaryDirectory() as name:
            generate(Path(name), pairs, arguments.features)
            for way in arguments.ways:
                if way in report["left_out"] or (way != "ours" and pairs != max(arguments.pairs)):
                    continue
                report["results"].append(in_own_process(way, Path(name), pairs, arguments))
                conditions.write(arguments.json, report)
    sys.stdout.write(package.table(report))


def left_out(ways: list[str]) -> dict[str, str]:
    """Ways that this processor has no instructions for -> why."""
    if multiplies_bfloat16():
        return {}
    reason = "this processor has no instructions for bfloat16"
    return {way: reason for way in ways if way.endswith("-bfloat16")}


def in_own_process(way: str, folder: Path, pairs: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one way in a separate process; its result."""
    command = [sys.executable, "-m", "benchmarks.gate", "--way", way, "--folder", str(folder), "--pairs", str(pairs)]
    command += ["--hidden", str(arguments.hidden), "--steps", str(arguments.steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
    result = {"way": way, "pairs": pairs} | json.loads(done.stdout)
    sys.stderr.write(f"{result}\n")
    return result


def run_way(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one way in this process."""
    way, (pairs,) = arguments.way, arguments.pairs
    if way.startswith("authors"):
        changes = authors.Changes.of_way(way)
        result = authors.train(arguments.folder, pairs, arguments.hidden, arguments.steps, changes)
    else:
        settings = GateSettings(
            hidden_size=arguments.hidden, steps=arguments.steps, precision="auto" if way == "ours" else "float32"
        )
        result = ours.train(arguments.folder, pairs, settings)
    return result | {"peak_bytes": peak_bytes()}


if __name__ == "__main__":
    main()
