"""Time of `armorm eval` from stored features, at the size of RewardBench with its prior sets and at the real width.

    python -m benchmarks.evaluate --json benchmarks/evaluate.json

The store, the heads and the gate hold random numbers; the rows are as many as the benchmark's, each with a prompt of
its own, which is the most there can be. The files are in the system's memory when they are read: what is timed is
the command's work, not the disk. The command runs in a process of its own, whose start is counted apart.
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
from pipelines.artefacts import data_settings, gating_inputs, heads_inputs, write_arrays, write_json

from cache import FeatureStore, Fingerprint
from evaluation.suites.reward_bench import PRIOR_SECTION, SECTIONS
from extract.tables import EXAMPLES, PAIRS, SUITE_TEXTS, SUITES, Tables, frame
from gating.gate import Gate
from gating.rules import RULES
from gating.settings import GateSettings
from heads.objectives import PUBLISHED_OBJECTIVES
from pipelines.recipe import read_recipe

PRIOR_ROWS = {"anthropic_helpful": 6192, "anthropic_hhh": 221, "shp": 1741, "summarize": 9000}
"""Of the splits of allenai/preference-test-sets that count."""

MATH_ROWS = 447
SHARD_ROWS = 8192
TASKS = 10

RECIPE = """
name = "benchmark"
runs = "runs"
backbone = {{ model = "none", max_tokens = 4096 }}
extract = {{ pack_tokens = 8192 }}
ratings = [{{ source = "helpsteer" }}]
pairs = [{{ source = "hh_rlhf" }}]
suites = [{{ source = "reward_bench" }}, {{ source = "preference_test_sets" }}]
store = {{ root = "{folder}/features", shard_rows = {shard_rows} }}
debiasing = {{ verbosity = "response_tokens" }}
"""

IN_ITS_OWN_PROCESS = """
import json, sys, time
started = time.perf_counter()
from pathlib import Path
from pipelines.evaluate import evaluate
from pipelines.recipe import read_recipe
imported = time.perf_counter()
result = evaluate(read_recipe(Path(sys.argv[1])), "rewardbench")
done = time.perf_counter()
print(json.dumps({"start-up": imported - started, "eval": done - imported, "rows": result["rows"]}))
"""


def main() -> None:
    """Make a run, time the command, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--width", type=int, default=4096, help="of the features")
    parser.add_argument("--times", type=float, default=1.0, help="share of the benchmark's rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--folder", type=Path, help="for the store; by default a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        report = measure(Path(folder), arguments.width, arguments.times, arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    sys.stdout.write(table(report))


def measure(folder: Path, width: int, times: float, rounds: int) -> dict[str, Any]:
    """Seconds of the command, whole and in parts."""
    os.chdir(folder)
    recipe = folder / "benchmark.toml"
    recipe.write_text(RECIPE.format(folder=folder, shard_rows=SHARD_ROWS))
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
    """Everything that the command reads; the number of features."""
    recipe = read_recipe(path)
    rng = np.random.default_rng(0)
    rows = _rows(times)
    keys = rng.integers(0, 256, (3 * len(rows), 16), dtype=np.uint8)  # prompt, chosen, rejected of each row
    store = FeatureStore.create(recipe.store.root, _fingerprint(), width)
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
            lines.append((suite, subset, str(number), prompt, response, tokens, chosen, 0, None, "{}"))
    objectives = [objective.name for objective in PUBLISHED_OBJECTIVES]
    examples = frame([], EXAMPLES | dict.fromkeys(objectives, SUITES["place"]))
    Tables(examples, frame([], PAIRS), frame(lines, SUITES), frame([], SUITE_TEXTS)).write(recipe.folder / "tables")
    write_json(
        recipe.folder / "extract.json", {"fingerprint": _fingerprint().digest, "settings": data_settings(recipe)}
    )
    k = len(objectives)
    write_arrays(recipe.folder / "heads.safetensors", {"weight": _normal(rng, k, width)}, {})
    about = {"fingerprint": _fingerprint().digest, "inputs": heads_inputs(recipe)}
    write_json(recipe.folder / "heads.json", about | {"objectives": {name: {} for name in objectives}})
    gate = {f"gating.{name}": value.numpy() for name, value in Gate(width, k, GateSettings()).state_dict().items()}
    fitted = {
        "lambda": rng.random(k),
        "bradley_terry.weight": rng.standard_normal(width),
        "router.weight": _normal(rng, TASKS, width),
        "router.bias": _normal(rng, TASKS),
        "rules.routed.weight": rng.random((TASKS, k)),
        **{f"rules.{rule}.weight": rng.random(k) for rule in RULES if rule != "routed"},
    }
    write_arrays(recipe.folder / "gating.safetensors", gate | fitted, {})
    write_json(
        recipe.folder / "gating.json",
        {
            "inputs": gating_inputs(recipe),
            "verbosity": "response_tokens",
            "lambda": dict.fromkeys(objectives, 0.0),
            "rules": {rule: {"score_temperature": 1.0} for rule in RULES},
        },
    )
    return len(keys)


def parts(path: Path) -> dict[str, float]:
    """Seconds of the command's parts, one after another in this process."""
    from pipelines.analyse import analyse_suite
    from pipelines.artefacts import open_run
    from pipelines.fitted_model import read_fitted_rules
    from pipelines.scored_responses import scored_frame, write_scored

    from cache.keys import key_column
    from evaluation.scoring import score_suite
    from evaluation.suites import SUITES as KNOWN
    from extract.tables import read_table

    recipe, taken = read_recipe(path), {}
    clock = time.perf_counter()

    def lap(part: str) -> None:
        nonlocal clock
        taken[part], clock = time.perf_counter() - clock, time.perf_counter()

    _, store = open_run(recipe)
    lap("open the store")
    model = read_fitted_rules(recipe)
    table = read_table(recipe.folder / "tables", "suites")
    lap("read heads, gate and tables")
    prompts, answers = key_column(table["prompt_key"]), key_column(table["response_key"])
    responses = model.responses(store, prompts, answers, table["response_tokens"].to_numpy())
    lap("read features, rewards and gate")
    scores = model.scores(responses)
    lap("rules")
    suite = KNOWN["rewardbench"]
    judged = table.with_columns(section=suite.section)
    objectives = model.parts.objectives
    alone = {f"reward.{name}": responses.rewards[:, at].astype(np.float64) for at, name in enumerate(objectives)}
    score_suite(suite, judged, scores | alone)
    lap("score, with intervals")
    scored = scored_frame(judged, scores, responses, model.parts.objectives)
    write_scored(recipe, "rewardbench", scored)
    lap("write the scored responses")
    analyse_suite(recipe, "rewardbench", scored)
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


def _fingerprint() -> Fingerprint:
    return Fingerprint("random", "none", "none", "end_of_turn", (-1,), "bfloat16", "float16", "packed")


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
