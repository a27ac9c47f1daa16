"""The first pass of `extract`: rows a second, memory, and reading token ids back, by number of rows and of processes.

    python -m benchmarks.first_pass --json benchmarks/first_pass.json
    python -m benchmarks.first_pass --before ../before --suite 3000

Each figure is of a process of its own. `--before` measures another checkout of this repository in the same run: one in
which nothing is kept on the disk, and one process does all.
"""

import argparse
import inspect
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
BACKBONE = "backbones/tiny"
ATTRIBUTES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
SETS = {"rating set": (4, 130, 400), "many responses": (19, 400, 75), "short rows": (4, 13, 40)}
"""Kind of set -> responses to a prompt, mean words of a prompt, mean words of a response."""

SUITE = "suite.jsonl"
"""File of a suite beside the rows."""


def common_words() -> NDArray[np.str_]:
    """Words that are one token each. Shape (words,)."""
    vocabulary = json.loads(Path(BACKBONE, "tokenizer.json").read_text())["model"]["vocab"]
    return np.array([word[1:] for word in vocabulary if word[0] == "Ġ" and word[1:].isalpha()])


def write_rows(path: Path, rows: int, kind: str) -> None:
    """Rated rows of words that are one token each; lengths are drawn evenly, from none to twice the mean."""
    words = common_words()
    rng = np.random.default_rng(0)
    responses, of_prompt, of_response = SETS[kind]

    def text(mean: int) -> str:
        return " ".join(rng.choice(words, rng.integers(1, 2 * mean)))

    with path.open("w") as file:
        prompt = ""
        for number in range(rows):
            prompt = text(of_prompt) if number % responses == 0 else prompt
            ratings = dict.fromkeys(ATTRIBUTES, int(rng.integers(0, 5)))
            file.write(json.dumps({"prompt": prompt, "response": text(of_response), **ratings}) + "\n")


def write_suite(path: Path, prompts: int) -> None:
    """Rows of a suite, with which training rows are compared: prompts like the rating set's, of which it has none."""
    words, rng = common_words(), np.random.default_rng(1)
    with path.open("w") as file:
        for _ in range(prompts):
            prompt = " ".join(rng.choice(words, rng.integers(1, 2 * SETS["rating set"][1])))
            file.write(json.dumps({"prompt": prompt, "chosen": "Yes.", "rejected": "No."}) + "\n")


def cpu_seconds() -> tuple[float, float]:
    """CPU seconds of this process, and of its ended children."""
    here, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return here.ru_utime + here.ru_stime, children.ru_utime + children.ru_stime


def measure(rows: Path, root: Path | None, processes: int, here_first: int | None) -> dict[str, Any]:
    """One first pass in this process, of the checkout that it runs in; a suite beside the rows is compared with."""
    from benchmarks.process_memory import peak_bytes, resident_bytes
    from extract import collect as module
    from extract.backbone import find_backbone
    from extract.settings import BackboneSettings, DatasetSettings, SplitSettings
    from extract.sources import SOURCES
    from extract.template.renderer import renderer
    from extract.templating import ConversationEncoder

    settings = BackboneSettings(model=BACKBONE, dtype="float32", max_tokens=2048)
    backbone = find_backbone(settings)
    encoder = ConversationEncoder(backbone.tokenizer, settings, backbone.vocabulary)
    more: dict[str, Any] = {}
    if "tokens" in inspect.signature(module.collect).parameters:
        from extract.tokens import encoder_pool, token_files
        from extract.tokens.kept_encoder import digest_of_encoder

        encoder_pool.cores = lambda: processes
        encoder_pool.HERE_FIRST = encoder_pool.HERE_FIRST if here_first is None else here_first
        if root is not None:
            more["tokens"] = token_files.TokenFiles(root, digest_of_encoder(encoder, settings))
    ranges = {f"helpsteer-{name}": (0.0, 4.0) for name in ATTRIBUTES}
    rated = module.Dataset(
        DatasetSettings(source="helpsteer", path=rows),
        SOURCES["helpsteer"],
        rows.parent,
        (rows,),
        ranges,
        {name: name for name in ranges},
    )
    datasets = [rated]
    if (suite := rows.with_name(SUITE)).exists():
        source = "preference_suite"
        settings_of_suite = DatasetSettings(source=source, path=suite)
        datasets.append(module.Dataset(settings_of_suite, SOURCES[source], rows.parent, (suite,)))
    renderer().close()
    cpu, wall, before = cpu_seconds(), time.monotonic(), resident_bytes()
    collected = module.collect(datasets, [], list(ranges), encoder, SplitSettings(), **more)
    renderer().close()  # so that its seconds are counted
    number = len(collected.tables.examples)
    here, children = np.subtract(cpu_seconds(), cpu) / number * 1e6
    return {
        "rows": number,
        "cpu_us": round(here + children, 1),
        "cpu_us_of_this_process": round(here, 1),
        "wall_us": round((time.monotonic() - wall) / number * 1e6, 1),
        "grown_mb": round((peak_bytes() - before) / 1e6),
        "peak_mb": round(peak_bytes() / 1e6),
        "tokens": collected.request.tokens(),
    }


def measured_apart(checkout: Path, *arguments: str) -> dict[str, Any]:
    """`measure` in a process of its own, by this file, with the packages of a checkout."""
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "--measure", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def ways(given: argparse.Namespace, rows: int, kind: str) -> Iterator[dict[str, Any]]:
    """Figures of all ways over one file of rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "rows.jsonl", rows, kind)
        if given.suite:
            write_suite(folder / SUITE, given.suite)
        path = str(folder / "rows.jsonl")
        found: list[tuple[str, Path, tuple[str, str, str]]] = []
        if given.before is not None and rows <= given.before_most:
            found.append(("before", given.before.resolve(), (path, "", "1")))
        root = ""
        for processes in given.processes:
            root = str(folder / str(processes))
            called = f"first, {processes} process{'es' * (processes > 1)}"
            found.append((called, ROOT, (path, root, str(processes))))
        found.append(("second", ROOT, (path, root, "1")))
        more = () if given.here_first is None else ("--here-first", str(given.here_first))
        for way, checkout, arguments in found:
            yield {"set": kind, "way": way} | measured_apart(checkout, *arguments, *more)


def table(report: dict[str, Any]) -> str:
    """The figures as a Markdown table; "ratio" is the CPU time of the first way of its rows over a way's."""
    lines = [
        "| set | rows | way | CPU µs a row | ratio | of this process | wall µs a row | memory grown | peak |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    base: dict[tuple[str, int], float] = {}
    for each in report["results"]:
        first = base.setdefault((each["set"], each["rows"]), each["cpu_us"])
        lines.append(
            f"| {each['set']} | {each['rows']:,} | {each['way']} | {each['cpu_us']:,.0f}"
            f" | {first / each['cpu_us']:.1f} | {each['cpu_us_of_this_process']:,.0f} | {each['wall_us']:,.0f}"
            f" | {each['grown_mb']} MB | {each['peak_mb']} MB |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,000 rows of the first set, all ways")
    parser.add_argument("--rows", type=int, nargs="+", default=None, help="20000 60000 200000, quick 1000")
    parser.add_argument("--sets", nargs="+", default=None, choices=SETS)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--before-most", type=int, default=20_000, help="largest number of rows for --before")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--here-first", type=int, help="rows before other processes start, in place of the code's")
    parser.add_argument("--suite", type=int, help="compare the rows with a suite of so many prompts")
    parser.add_argument("--measure", nargs=3, metavar=("ROWS", "ROOT", "PROCESSES"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.measure:
        rows, root, processes = given.measure
        print(json.dumps(measure(Path(rows), Path(root) if root else None, int(processes), given.here_first)))
        return
    # Here, since --measure runs with the packages of another checkout, which may have no such module.
    from benchmarks.conditions import Conditions

    conditions = Conditions()
    report: dict[str, Any] = {"suite": given.suite, "here_first": given.here_first, "results": []}
    for kind in given.sets or list(SETS)[: 1 if given.quick else None]:
        for rows in given.rows or ([1_000] if given.quick else [20_000, 60_000, 200_000]):
            for found in ways(given, rows, kind):
                report["results"].append(found)
                conditions.write(given.json, report)
    print(table(report))


if __name__ == "__main__":
    main()
