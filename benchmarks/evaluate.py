"""Time of `armorm eval` from stored features, at the size of RewardBench with its prior sets and at the real width.

    python -m benchmarks.evaluate --json benchmarks/evaluate.json
    python -m benchmarks.evaluate --quick

The store, the heads and the gate contain random numbers. There are as many rows as in the benchmark, each with its
own prompt, which is the largest possible number of prompts. The files are in the system's memory when they are read,
so that the time is that of the command's work and not of the disk. The command runs in a separate process, whose
start is measured separately.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.conditions import Conditions
from benchmarks.made_run import RECIPE, SHARD_ROWS, fingerprint, made_extract, made_heads
from cache import FeatureStore
from evaluation.suites.reward_bench import PRIOR_SECTION, SECTIONS
from extract.tables import EXAMPLES, PAIRS, SUITE_TEXTS, SUITES, Tables, frame
from gating.collapse import GateSummary
from gating.gate import Gate
from gating.results import Gating, Interval, RuleMetrics, Seeds, Ties
from gating.rules import RULES
from gating.settings import GateSettings
from heads.objectives import PUBLISHED_OBJECTIVES
from pipelines.artefacts import GATING, HEADS, SUITE_ROWS
from pipelines.artefacts import suite as artefact
from pipelines.recipe import read_recipe
from pipelines.run import Run

PRIOR_ROWS = {"anthropic_helpful": 6192, "anthropic_hhh": 221, "shp": 1741, "summarize": 9000}
"""Rows of the splits of allenai/preference-test-sets that count."""

MATH_ROWS = 447
TASKS = 10
FULL: dict[str, Any] = {"width": 4096, "times": 1.0, "rounds": 3}
QUICK: dict[str, Any] = {"width": 1024, "times": 0.1, "rounds": 2}

IN_ITS_OWN_PROCESS = """
import json, sys, time
started = time.perf_counter()
from pathlib import Path
from pipelines.commands.evaluate import evaluate
from pipelines.recipe import read_recipe
from pipelines.run import Run
imported = time.perf_counter()
result = evaluate(Run(read_recipe(Path(sys.argv[1]))), ["rewardbench"])["rewardbench"]
done = time.perf_counter()
print(json.dumps({"start-up": imported - started, "eval": done - imported, "rows": result.rows}))
"""


def main() -> None:
    """Make a run, time the command, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--width", type=int, help="number of values of a feature")
    parser.add_argument("--times", type=float, help="fraction of the benchmark's rows")
    parser.add_argument("--rounds", type=int, help="processes of the command, whose median counts")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--folder", type=Path, help="folder of the store; by default a temporary one")
    arguments = parser.parse_args()
    for name, value in (QUICK if arguments.quick else FULL).items():
        setattr(arguments, name, getattr(arguments, name) or value)
    conditions = Conditions()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        report = measure(Path(folder), arguments.width, arguments.times, arguments.rounds)
    conditions.write(arguments.json, report)
    sys.stdout.write(table(report))


def measure(folder: Path, width: int, times: float, rounds: int) -> dict[str, Any]:
    """Seconds of the command, whole and in parts."""
    os.chdir(folder)
    recipe = folder / "benchmark.toml"
    recipe.write_text(RECIPE.format(shard_rows=SHARD_ROWS))
    features = make_run(recipe, width, times)
    whole = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", IN_ITS_OWN_PROCESS, str(recipe)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        whole.append(json.loads(done.stdout.splitlines()[-1]))
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "python": platform.python_version(),
        "width": width,
        "rows": whole[0]["rows"],
        "features": features,
        "rounds": whole,
        "median_seconds": {part: float(np.median([each[part] for each in whole])) for part in ("start-up", "eval")},
        "parts": parts(recipe),
    }


def make_run(path: Path, width: int, times: float) -> int:
    """Write everything that the command reads; the number of features."""
    run = Run(read_recipe(path))
    rng = np.random.default_rng(0)
    rows = _rows(times)
    keys = rng.integers(0, 256, (3 * len(rows), 16), dtype=np.uint8)  # prompt, chosen, rejected of each row
    store = FeatureStore.create(run.recipe.store.root, fingerprint(), width)
    with store.writing():
        for number, start in enumerate(range(0, len(keys), SHARD_ROWS)):
            some = keys[start : start + SHARD_ROWS]
            values = rng.standard_normal((len(some), 1, width), dtype=np.float32)
            store.seal(f"shard-{number:05d}", some, np.full(len(some), 100, np.int32), values)
    lines = []
    for number, (suite, subset) in enumerate(rows):
        prompt, *responses = (key.tobytes() for key in keys[3 * number : 3 * number + 3])
        for response, chosen in zip(responses, (True, False), strict=True):
            tokens = int(rng.integers(20, 800))
            lines.append((suite, subset, str(number), prompt, response, tokens, 0, 0, 0, chosen, 0, None, "{}"))
    objectives = [objective.name for objective in PUBLISHED_OBJECTIVES]
    examples = frame([], EXAMPLES | dict.fromkeys(objectives, SUITES["place"]))
    tables = Tables(examples, frame([], PAIRS), frame(lines, SUITES), frame([], SUITE_TEXTS))
    run.write_extract(made_extract(len(lines) // 2), tables)
    k = len(objectives)
    run.write(HEADS, made_heads(objectives, width), arrays={"weight": _normal(rng, k, width)})
    gate = {f"gating.{name}": value.numpy() for name, value in Gate(width, k, GateSettings()).state_dict().items()}
    fitted = {
        "lambda": rng.random(k),
        "bradley_terry.weight": rng.standard_normal(width),
        "router.weight": _normal(rng, TASKS, width),
        "router.bias": _normal(rng, TASKS),
        "rules.routed.weight": rng.random((TASKS, k)),
        **{f"rules.{rule}.weight": rng.random(k) for rule in RULES if rule != "routed"},
    }
    run.write(GATING, _gating(objectives), arrays=gate | fitted)
    return len(keys)


def _gating(objectives: list[str]) -> Gating:
    """A result of `train-gating` whose figures mean nothing; score gaps have temperature 1."""
    zeros = {"response_tokens": dict.fromkeys(objectives, 0.0)}
    rule = RuleMetrics(0.5, 0.5, 0.5, Interval(0.0, 0.0, 0.0), 1.0)
    summary = GateSummary(len(objectives), 1.0, 0.0, {}, 0.0, 1, 0.0)
    return Gating(
        lambdas=zeros,
        correlation_before=dict(zeros),
        correlation_after=dict(zeros),
        correlation_before_held_out=dict(zeros),
        correlation_after_held_out=dict(zeros),
        no_root={},
        verbosity=("response_tokens",),
        correlation="spearman",
        validation_accuracy=0.5,
        validation_loss=1.0,
        validation_pairs=0,
        train_pairs=0,
        ties=Ties(0, 0),
        uniform_validation_accuracy=0.5,
        bradley_terry_validation_accuracy=0.5,
        bradley_terry_C=1.0,
        rules=dict.fromkeys(RULES, rule),
        rules_by_dataset={},
        single_objectives={},
        rule_weights={},
        best_step=0,
        seeds=Seeds(0, 0.5, None, ()),
        metrics=(),
        tie_threshold=None,
        precision="float32",
        threads=1,
        gate=summary,
        gate_by_dataset={},
        warning=None,
        gate_seconds=0.0,
        seconds=0.0,
    )


def parts(path: Path) -> dict[str, float]:
    """Seconds of the command's parts, one after another in this process."""
    from cache.keys import key_column
    from evaluation.analysis import analyse_suite
    from evaluation.judging import judge_suite, with_features
    from evaluation.scored import scored_frame
    from evaluation.suites import SUITES as KNOWN
    from gating.measured import Measured
    from pipelines.fitted import fitted_rules

    run, taken = Run(read_recipe(path)), {}
    clock = time.perf_counter()

    def lap(part: str) -> None:
        nonlocal clock
        taken[part], clock = time.perf_counter() - clock, time.perf_counter()

    store = run.store
    lap("open the store")
    rules = fitted_rules(run)
    table = run.table(SUITE_ROWS)
    lap("read heads, gate and tables")
    suite, objectives = KNOWN["rewardbench"], rules.parts.objectives
    judged, missing = with_features(store, table)
    judged = judged.with_columns(section=suite.section)
    lap("look for missing features")
    prompts, answers = key_column(judged["prompt_key"]), key_column(judged["response_key"])
    responses = rules.responses(store, prompts, answers, Measured.of_rows(judged))
    lap("read features, rewards and gate")
    scores = rules.scores(responses)
    lap("rules")
    result = judge_suite(suite, judged, missing, scores, {}, responses, objectives)
    lap("score, with intervals")
    scored = scored_frame(judged, scores, responses, objectives)
    run.write(artefact("rewardbench"), result, rows=scored)
    lap("write the result and the scored responses")
    analyse_suite("rewardbench", scored, dict.fromkeys(RULES, 1.0))
    lap("compare the rules")
    return taken


def _rows(times: float) -> list[tuple[str, str]]:
    """Data set and subset of every row."""
    rows = []
    for section, subsets in SECTIONS.items():
        for subset, weight in subsets.items():
            count = PRIOR_ROWS[subset] if section == PRIOR_SECTION else MATH_ROWS if subset == "math-prm" else weight
            source = "preference_test_sets" if section == PRIOR_SECTION else "reward_bench"
            rows += [(source, subset)] * max(1, round(count * times))
    return rows


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def table(report: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    lines = [f"{report['rows']:,} rows, {report['features']:,} features of {report['width']:,} values", ""]
    lines += ["| part | s |", "|---|---|"]
    lines += [f"| {part} | {seconds:.2f} |" for part, seconds in report["parts"].items()]
    median = report["median_seconds"]
    lines += ["", f"the command: {median['eval']:.2f} s after {median['start-up']:.2f} s of start-up"]
    lines.append(f"(medians of {len(report['rounds'])}); {report['machine']}, Python {report['python']}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
