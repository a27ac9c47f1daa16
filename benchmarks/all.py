"""All benchmarks, one after the other, each in a process of its own.

    python -m benchmarks.all --quick            # small sizes, in eleven minutes; figures go to a temporary folder
    python -m benchmarks.all --keep             # full sizes, for hours; figures go to benchmarks/runs/<machine>/
    python -m benchmarks.all store heads        # some of them

A benchmark that fails, or that lacks a package, is named, and the next one runs; the exit status is then 1. What a
benchmark prints is in its .log file beside the figures.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runs_kept import RUNS, folder_name
from benchmarks.tables import UNREADABLE, function
from cache import UserError
from cache.durable import write_text

ROOT = Path(__file__).parents[1]
LACKING = re.compile(r"No module named '([\w.]+)'")


@dataclass(frozen=True)
class Benchmark:
    """One benchmark and how long it takes on two idle cores.

    Args:
        module: what `python -m` runs.
        seconds: at full size.
        quick: with `--quick`; None: the quick run of another one of the same module stands for it.
        arguments: at full size.
    """

    module: str
    seconds: int
    quick: int | None
    arguments: tuple[str, ...] = ()


BENCHMARKS = {
    "store": Benchmark("benchmarks.store", 300, 26),
    "extract": Benchmark("benchmarks.extract", 240, 41),
    "extract-smollm2-bfloat16": Benchmark(
        "benchmarks.extract", 200, None, ("--shape", "smollm2-135m", "--times", "0.05", "--dtype", "bfloat16")
    ),
    "extract-smollm2-float32": Benchmark(
        "benchmarks.extract", 400, None, ("--shape", "smollm2-135m", "--times", "0.04", "--dtype", "float32")
    ),
    "kept_memory": Benchmark("benchmarks.kept_memory", 120, 49),
    "first_pass": Benchmark("benchmarks.first_pass", 300, 30),
    "plan_sizes": Benchmark("benchmarks.plan_sizes", 160, 8),
    "templates": Benchmark("benchmarks.templates", 60, 13),
    "heads": Benchmark("benchmarks.heads", 780, 33),
    "heads-workers": Benchmark("benchmarks.heads", 260, None, ("--rows", "160000", "--workers", "2")),
    "heads-full-size": Benchmark("benchmarks.heads", 600, None, ("--full-size",)),
    "heads_sizes": Benchmark("benchmarks.heads_sizes", 1800, 13),
    "heads_sizes-layers": Benchmark(
        "benchmarks.heads_sizes", 600, None, ("--layers", "3", "--rows", "142500", "285000", "570000")
    ),
    "uncertainty": Benchmark("benchmarks.uncertainty", 120, 9),
    "ablate": Benchmark("benchmarks.ablate", 90, 5, ("--rows", "40000")),
    "ablate-160000": Benchmark("benchmarks.ablate", 180, None, ("--rows", "160000")),
    "other_heads": Benchmark("benchmarks.other_heads", 900, 45),
    "gate": Benchmark("benchmarks.gate", 2900, 57),
    "gate_sizes": Benchmark("benchmarks.gate_sizes", 1800, 30),
    "score": Benchmark("benchmarks.score", 600, 58),
    "serve": Benchmark("benchmarks.serve", 600, 75),
    "serve_beside_large": Benchmark("benchmarks.serve_beside_large", 120, 34),
    "uncertainty_serving": Benchmark("benchmarks.uncertainty_serving", 300, 25, ("--shapes", "tiny", "smollm2-135m")),
    "evaluate": Benchmark("benchmarks.evaluate", 180, 20),
    "personalise": Benchmark("benchmarks.personalise", 300, 5),
    "suggest": Benchmark("benchmarks.suggest", 300, 30),
    "suggest-cost": Benchmark("benchmarks.suggest", 200, None, ("--cost",)),
    "demo": Benchmark("benchmarks.demo", 100, 15),
}
"""Name of the JSON file -> the benchmark."""


def selected(names: list[str], quick: bool, known: dict[str, Benchmark]) -> dict[str, Benchmark]:
    """The benchmarks that run: those named, by the name of their file or of their module, and else all.

    Raises:
        UserError: a name is unknown.
    """
    modules = {benchmark.module.rpartition(".")[2] for benchmark in known.values()}
    if unknown := [name for name in names if name not in known and name not in modules]:
        raise UserError(f"no benchmark is named {unknown[0]}: take some of {', '.join(known)}")
    asked = {
        name: benchmark
        for name, benchmark in known.items()
        if not names or name in names or benchmark.module.rpartition(".")[2] in names
    }
    return {name: benchmark for name, benchmark in asked.items() if not quick or benchmark.quick is not None}


def run_all(chosen: dict[str, Benchmark], quick: bool, folder: Path, keep: Path | None) -> int:
    """Run the benchmarks and print their tables and a summary; the exit status.

    Args:
        chosen: name -> benchmark.
        quick: at small sizes.
        folder: receives each one's .json and .log.
        keep: the folder of all runs, to which the figures of those that succeeded are copied too.
    """
    expected = {name: (one.quick or 0) if quick else one.seconds for name, one in chosen.items()}
    outcomes = {}
    for number, (name, benchmark) in enumerate(chosen.items(), 1):
        left = sum(list(expected.values())[number - 1 :])
        _say(f"[{number} of {len(chosen)}] {name}: expected {expected[name]} s, all that is left {_minutes(left)}")
        started = time.monotonic()
        error = run_one(name, benchmark, quick, folder)
        error = error or finish(name, benchmark, folder, keep)
        seconds = time.monotonic() - started
        outcomes[name] = (seconds, error)
        _say(f"[{number} of {len(chosen)}] {name}: {error or 'done'} after {seconds:.0f} s")
    failed = [name for name, (_, error) in outcomes.items() if error]
    print("\n| benchmark | seconds | expected | outcome |\n|---|---|---|---|")
    for name, (seconds, error) in outcomes.items():
        print(f"| {name} | {seconds:.0f} | {expected[name]} | {error or 'done'} |")
    print(f"\n{len(chosen) - len(failed)} of {len(chosen)} done; figures and logs are in {folder}", flush=True)
    return 1 if failed else 0


def run_one(name: str, benchmark: Benchmark, quick: bool, folder: Path) -> str | None:
    """Run one benchmark in a process of its own; a sentence if it fails."""
    command = [sys.executable, "-m", benchmark.module, "--json", str(folder / f"{name}.json")]
    command += ["--quick"] if quick else benchmark.arguments
    last = ""
    with (
        (folder / f"{name}.log").open("wb", buffering=0) as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.PIPE, cwd=ROOT) as process,
    ):
        assert process.stderr is not None
        try:
            for raw in process.stderr:  # passed on as it comes, since a long benchmark says there how far it is
                sys.stderr.write(raw.decode(errors="replace"))
                sys.stderr.flush()
                log.write(raw)
                last = raw.decode(errors="replace").rpartition("\r")[2].strip() or last
            status = process.wait()
        finally:
            process.terminate()  # it has ended by itself, unless this process is interrupted
    if status == 0:
        return None
    if lacking := LACKING.search(last):
        return f"not measured, since {lacking[1]} is not installed (pip install 'armorm[benchmarks]')"
    return f"failed with exit status {status} ({last or 'without a word'})".replace("|", "/")


def finish(name: str, benchmark: Benchmark, folder: Path, keep: Path | None) -> str | None:
    """Print the table of a benchmark that succeeded, and keep its figures; a sentence if that cannot be done."""
    path = folder / f"{name}.json"
    if not path.is_file():
        return "failed: it wrote no figures"
    text = path.read_text(encoding="utf-8")
    report = json.loads(text)
    try:
        if (table := function(benchmark.module)) is None:
            return f"failed: {benchmark.module} has no table(report)"
        print(f"\n{name}\n\n{table(report)}", flush=True)
    except UNREADABLE as error:
        return f"failed: its table cannot be made ({type(error).__name__}: {error})"
    if keep is not None:
        if "conditions" not in report:
            return "not kept, since its figures tell no conditions"
        write_text(keep / folder_name(report["conditions"]) / path.name, text)
    return None


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _minutes(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"by default all: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--out", type=Path, help="folder for figures and logs; by default a temporary one")
    parser.add_argument("--keep", action="store_true", help="copy the figures to benchmarks/runs/<machine>/")
    arguments = parser.parse_args()
    try:
        chosen = selected(arguments.names, arguments.quick, BENCHMARKS)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    folder = arguments.out or Path(tempfile.mkdtemp(prefix="benchmarks-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        sys.exit(run_all(chosen, arguments.quick, folder.resolve(), RUNS if arguments.keep else None))
    except KeyboardInterrupt:
        print(f"interrupted: what was finished is in {folder}", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
