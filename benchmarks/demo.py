"""The time of the demo's steps, each a command in a process of its own, as `make demo` runs them.

    python -m benchmarks.demo --json demo.json
    python -m benchmarks.demo --quick           # a fifth of the rows

The steps run in a temporary folder with the demo's recipe, so that no step finds what an earlier run has made.
Installing is not part of it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.conditions import Conditions

ROOT = Path(__file__).parents[1]
STEPS = (
    ("extract",),
    ("fit-heads",),
    ("train-gating",),
    ("eval", "--suite", "rewardbench"),
    ("analyse",),
    ("leaderboard",),
    ("report",),
)
"""Commands of `make demo` after the rows are made; each takes the recipe."""


def measure(scale: float, conditions: Conditions, path: Path | None) -> dict[str, Any]:
    """Run all steps, and write the figures after each.

    Args:
        scale: size of the self-made rows; 1 is the demo.
        conditions: of the measurement.
        path: file for the figures.

    Raises:
        subprocess.CalledProcessError: a step failed, and has printed why.
    """
    report: dict[str, Any] = {"scale": scale, "steps": {}, "seconds": 0.0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = (ROOT / "recipes" / "demo.toml").read_text(encoding="utf-8")
        recipe = recipe.replace('"../data/demo"', '"data/demo"')
        recipe = recipe.replace('"../backbones/tiny"', json.dumps(str(ROOT / "backbones" / "tiny")))
        (folder / "demo.toml").write_text(recipe, encoding="utf-8")
        rows = ("demo-corpus", "--out", "data/demo", "--scale", str(scale))
        for step in (rows, *((*command, "--recipe", "demo.toml") for command in STEPS)):
            started = time.perf_counter()
            command = [sys.executable, "-m", "pipelines.cli", *step, "--json"]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            report["steps"][step[0]] = time.perf_counter() - started
            report["seconds"] = sum(report["steps"].values())
            conditions.write(path, report)
    return report


def table(report: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    lines = ["| step | seconds |", "|---|---|"]
    lines += [f"| {step} | {seconds:.1f} |" for step, seconds in report["steps"].items()]
    lines.append(f"| all | {report['seconds']:.1f} |")
    if report["scale"] != 1:
        lines += ["", f"With {report['scale']:g} times the demo's rows."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of the rows")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    arguments = parser.parse_args()
    try:
        report = measure(0.2 if arguments.quick else 1.0, Conditions(), arguments.json)
    except subprocess.CalledProcessError as error:
        sys.exit(f"armorm {error.cmd[3]} failed, as it says above: nothing after it was measured")
    sys.stdout.write(table(report))


if __name__ == "__main__":
    main()
