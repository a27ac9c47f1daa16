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
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.runs_kept import RUNS, Run, runs_of
from cache import UserError
from cache.durable import write_text

ROOT = Path(__file__).parents[1]
BEGIN = re.compile(r"<!-- table: (?P<name>[\w-]+) -->")
END = "<!-- end of table -->"

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
    "templates": Source("benchmarks.templates", "templates", ("transformers", "tokenizers")),
    "heads": Source("benchmarks.heads", "heads", _ARRAYS),
    "heads-full-size": Source("benchmarks.heads", "heads-full-size", _ARRAYS),
    "heads-workers": Source("benchmarks.heads", "heads-workers", _ARRAYS),
    "uncertainty": Source("benchmarks.uncertainty", "uncertainty", _ARRAYS),
    "ablate": Source("benchmarks.ablate", "ablate", _ARRAYS),
    "ablate-160000": Source("benchmarks.ablate", "ablate-160000", _ARRAYS),
    "other_heads": Source("benchmarks.other_heads", "other_heads", _ARRAYS),
    "gate": Source("benchmarks.gate", "gate", ("torch",)),
    "serve": Source("benchmarks.serve", "serve", _TORCH),
    "serve_beside_large": Source("benchmarks.serve_beside_large", "serve_beside_large", _TORCH),
    "uncertainty_serving": Source("benchmarks.uncertainty_serving", "uncertainty_serving", _TORCH),
    "evaluate": Source("benchmarks.evaluate", "evaluate", ("numpy", "pyarrow")),
    "personalise": Source("benchmarks.personalise", "personalise", ("numpy", "scipy")),
    "suggest": Source("benchmarks.suggest", "suggest", ("numpy", "scipy")),
    "suggest-cost": Source("benchmarks.suggest", "suggest-cost", ("numpy", "scipy")),
    "demo": Source("benchmarks.demo", "demo", ("torch", "numpy", "polars")),
}
"""Name of a table in the documents -> where it comes from."""


def documents(root: Path = ROOT) -> list[Path]:
    """The documents that may have tables: README.md and docs/."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def function(module: str) -> Table | None:
    """The function `table(report)` of a benchmark's module; None if it has none yet."""
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
    for number, newest in enumerate(kept):
        try:
            figures = table(newest.report)
        except UNREADABLE as error:
            if newest.conditions:
                raise UserError(
                    f"{_shown(newest.path)}: {source.module} cannot read it ({type(error).__name__}: {error}):"
                    " measure again, or remove the file"
                ) from error
            earlier.append(f"{newest.date}, {newest.machine}")  # from before conditions were written
        else:
            return (
                "\n\n".join([_told(newest, source), figures.strip("\n"), *side_by_side(source.module, kept[number:])])
                + "\n"
            )
    parts = ["Not measured yet:", _command(source)]
    if earlier:
        parts.append(f"Runs that were kept in an earlier form, of which no table is made: {'; '.join(earlier)}.")
    return "\n\n".join(parts) + "\n"


def _told(run: Run, source: Source) -> str:
    """The lines above a table: conditions and command."""
    typed = run.conditions.get("command")
    small = "**Small sizes (`--quick`).** " if "--quick" in (typed or "").split() else ""
    command = f"    {typed}" if typed else f"{_command(source)}    # the options of this run were not recorded"
    return f"{small}{run.line(source.packages)}\n\n{command}"


def _command(source: Source) -> str:
    return f"    python -m {source.module} --json {source.json}.json"


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
    if "busy" not in run.conditions:
        return f"{run.date}, {run.machine}, other work not recorded"
    return f"{run.date}, {run.machine}" + (", **beside other work**" if run.conditions["busy"] else "")


class Part(NamedTuple):
    """A table in a document."""

    name: str
    begin: int
    """Offset of what stands between its two lines."""
    end: int


def parts_of(text: str, path: Path) -> list[Part]:
    """The tables of a document, in order.

    Raises:
        UserError: a table has an unknown name, no end, or an end without a beginning.
    """
    found, open_name, begin, offset = [], None, 0, 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        where = f"{_shown(path)}, line {number}"
        if named := BEGIN.fullmatch(line.strip()):
            if open_name is not None:
                raise UserError(f"{where}: table {open_name} has not ended yet: write {END} before this line")
            open_name, begin = named["name"], offset + len(line)
            if open_name not in TABLES:
                raise UserError(f"{where}: no table is named {open_name}: take one of {', '.join(sorted(TABLES))}")
        elif line.strip() == END:
            if open_name is None:
                raise UserError(f"{where}: no table begins before this end: write <!-- table: name --> above it")
            found.append(Part(open_name, begin, offset))
            open_name = None
        offset += len(line)
    if open_name is not None:
        raise UserError(f"{_shown(path)}: table {open_name} has no end: write {END} after it")
    return found


def rewritten(text: str, path: Path, runs: Path = RUNS) -> tuple[str, list[str], list[str]]:
    """A document with its tables made anew.

    Returns:
        The text; names of the tables that changed; sentences about tables that could not be made and are left alone.
    """
    changed, unmade, pieces, last = [], [], [], 0
    for part in parts_of(text, path):
        try:
            content = made(part.name, runs)
        except UserError as error:
            unmade.append(f"{_shown(path)}: {error}")
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
                print(f"{_shown(path)}: table {name} is not what its JSON gives: run `python -m benchmarks.tables`")
                status = 1
            else:
                print(f"{_shown(path)}: table {name} written")
        if changed and not check:
            write_text(path, new)
    return status


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


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
