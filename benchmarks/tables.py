"""The tables of the documents, made from the JSON of the runs that are kept.

A document has a pair of lines for each table, and this writes what stands between them: the newest run's conditions,
its command, and `table(report)` of the benchmark's module. Where a module has `headline(report) -> dict[str, float]`
(name of a ratio -> its value) and runs of several machines are kept, their ratios follow side by side.

    <!-- table: store -->
    <!-- end of table -->

    python -m benchmarks.tables            # rewrites the documents in place
    python -m benchmarks.tables --check    # changes nothing; exit status 1 if a table is not what its JSON gives
"""

import argparse
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.documents import ROOT, documents, parts_of, shown
from benchmarks.runs_kept import RUNS, Run, runs_of
from cache import UserError
from cache.durable import write_text

UNREADABLE = (KeyError, IndexError, TypeError, AttributeError, ValueError)
"""Errors of a function that reads a report of another form."""

Table = Callable[[dict[str, Any]], str]


class Source(NamedTuple):
    """Where a table comes from."""

    module: str
    """Module that measures and has `table(report)`."""
    json: str
    """Name of its JSON files, without `.json`."""
    packages: tuple[str, ...] = ()
    """Packages whose versions matter to the figures; Python's is always given."""


_TORCH = ("torch", "transformers")
_ARRAYS = ("numpy", "scipy", "scikit-learn")

TABLES = {
    "store": Source("benchmarks.store", "store", ("numpy", "pyarrow", "h5py")),
    "extract": Source("benchmarks.extract", "extract", _TORCH),
    "extract-smollm2-bfloat16": Source("benchmarks.extract", "extract-smollm2-bfloat16", _TORCH),
    "extract-smollm2-float32": Source("benchmarks.extract", "extract-smollm2-float32", _TORCH),
    "kept_memory": Source("benchmarks.kept_memory", "kept_memory", _TORCH),
    "gpu": Source("benchmarks.gpu", "gpu", (*_TORCH, "CUDA", "driver")),
    "first_pass": Source("benchmarks.first_pass", "first_pass", ("tokenizers", "polars", "pyarrow")),
    "plan_sizes": Source("benchmarks.plan_sizes", "plan_sizes", ("numpy", "pyarrow")),
    "templates": Source("benchmarks.templates", "templates", ("transformers", "tokenizers")),
    "heads": Source("benchmarks.heads", "heads", _ARRAYS),
    "heads-full-size": Source("benchmarks.heads", "heads-full-size", _ARRAYS),
    "heads-workers": Source("benchmarks.heads", "heads-workers", _ARRAYS),
    "heads_sizes": Source("benchmarks.heads_sizes", "heads_sizes", _ARRAYS),
    "heads_sizes-layers": Source("benchmarks.heads_sizes", "heads_sizes-layers", _ARRAYS),
    "uncertainty": Source("benchmarks.uncertainty", "uncertainty", _ARRAYS),
    "ablate": Source("benchmarks.ablate", "ablate", _ARRAYS),
    "ablate-160000": Source("benchmarks.ablate", "ablate-160000", _ARRAYS),
    "other_heads": Source("benchmarks.other_heads", "other_heads", _ARRAYS),
    "gate": Source("benchmarks.gate", "gate", ("torch",)),
    "gate_sizes": Source("benchmarks.gate_sizes", "gate_sizes", ("torch", "scipy")),
    "serve": Source("benchmarks.serve", "serve", _TORCH),
    "serve_beside_large": Source("benchmarks.serve_beside_large", "serve_beside_large", _TORCH),
    "uncertainty_serving": Source("benchmarks.uncertainty_serving", "uncertainty_serving", _TORCH),
    "score": Source("benchmarks.score", "score", _TORCH),
    "evaluate": Source("benchmarks.evaluate", "evaluate", ("numpy", "pyarrow")),
    "personalise": Source("benchmarks.personalise", "personalise", ("numpy", "scipy")),
    "suggest": Source("benchmarks.suggest", "suggest", ("numpy", "scipy")),
    "suggest-cost": Source("benchmarks.suggest", "suggest-cost", ("numpy", "scipy")),
    "demo": Source("benchmarks.demo", "demo", ("torch", "numpy", "polars")),
}
"""Name of a table in the documents -> where it comes from."""


def function(module: str) -> Table | None:
    """The function `table(report)` of a benchmark's module; None if it has none yet."""
    if importlib.util.find_spec(module) is None:
        return None
    found = getattr(importlib.import_module(module), "table", None)
    return found if found is not None and list(inspect.signature(found).parameters) == ["report"] else None


def made(name: str, runs: Path = RUNS) -> str:
    """Text that stands between the lines of a table.

    Raises:
        UserError: a run's file has another form than its module reads, or the module has no `table(report)`.
    """
    source = TABLES[name]
    if (table := function(source.module)) is None:
        raise UserError(f"table {name}: {source.module} has no table(report) to make it with")
    kept, earlier = runs_of(source.json, runs), []
    for number, each in enumerate(kept):
        try:
            figures = table(each.report)
        except UNREADABLE as error:
            if each.conditions:
                raise UserError(
                    f"{shown(each.path)}: {source.module} cannot read it ({type(error).__name__}: {error}):"
                    " measure again, or remove the file"
                ) from error
            earlier.append(f"{each.date}, {each.machine}")  # from before conditions were written
        else:
            parts = [_told(each, source), figures.strip("\n"), *side_by_side(source.module, kept[number:])]
            return "\n\n".join(parts) + "\n"
    parts = ["Not measured yet:", f"    make bench BENCH={source.json}"]
    if earlier:
        parts.append(f"Runs that were kept in an earlier form, of which no table is made: {'; '.join(earlier)}.")
    return "\n\n".join(parts) + "\n"


def _told(run: Run, source: Source) -> str:
    """The lines above a table: conditions and command."""
    typed = run.conditions.get("command")
    small = "**Small sizes (`--quick`).** " if "--quick" in (typed or "").split() else ""
    unknown = f"python -m {source.module} --json {source.json}.json    # the options of this run were not recorded"
    command = f"    {typed or unknown}"
    return f"{small}{run.line(source.packages)}\n\n{command}"


def side_by_side(module: str, kept: list[Run]) -> list[str]:
    """The headline ratios of the newest run of each machine; empty for one machine, or a module without them."""
    headline = getattr(importlib.import_module(module), "headline", None)
    newest = {run.machine: run for run in reversed(kept)}
    runs = sorted(newest.values(), key=lambda run: run.date, reverse=True)
    if headline is None or len(runs) < 2:
        return []
    ratios, unread = {}, []
    for run in runs:
        try:
            ratios[run.machine] = headline(run.report)
        except UNREADABLE:
            unread.append(f"{run.date}, {run.machine}")
    if len(ratios) < 2:
        return []
    names = dict.fromkeys(name for of_one in ratios.values() for name in of_one)
    heads = ["ratio", *(_head(newest[machine]) for machine in ratios)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name in names:
        cells = [f"{of_one[name]:.3g}" if name in of_one else "" for of_one in ratios.values()]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    parts = ["By machine, newest first:", "\n".join(lines)]
    if unread:
        parts.append(f"Measured before these ratios were written: {'; '.join(unread)}.")
    return parts


def _head(run: Run) -> str:
    told = {None: ", other work not recorded", True: ", **beside other work**", False: ""}
    return f"{run.date}, {run.machine}{told[run.conditions.get('busy')]}"


def rewritten(text: str, path: Path, runs: Path = RUNS) -> tuple[str, list[str], list[str]]:
    """A document with its tables made anew.

    Returns:
        The text; names of the tables that changed; sentences about tables that could not be made and are left alone.
    """
    changed, unmade, pieces, last = [], [], [], 0
    for part in parts_of(text, path, TABLES):
        try:
            content = made(part.name, runs)
        except UserError as error:
            unmade.append(f"{shown(path)}: {error}")
            continue
        pieces += [text[last : part.begin], content]
        last = part.end
        if content != text[part.begin : part.end]:
            changed.append(part.name)
    return "".join(pieces) + text[last:], changed, unmade


def run(check: bool, root: Path = ROOT, runs: Path = RUNS) -> int:
    """Check or rewrite all documents; the exit status."""
    status = 0
    for path in documents(root):
        text = path.read_text(encoding="utf-8")
        new, changed, unmade = rewritten(text, path, runs)
        for sentence in unmade:
            print(sentence, file=sys.stderr)
            status = 1
        for name in changed:
            if check:
                print(f"{shown(path)}: table {name} is not what its JSON gives: run `python -m benchmarks.tables`")
                status = 1
            else:
                print(f"{shown(path)}: table {name} written")
        if changed and not check:
            write_text(path, new)
    return status


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if a table is out of date")
    try:
        sys.exit(run(parser.parse_args().check))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
