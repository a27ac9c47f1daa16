"""`RewardModel.score` and `armorm score` beside transformers: from texts to numbers, on the same conversations.

    python -m benchmarks.score --json benchmarks/score.json
    python -m benchmarks.score --folder exported/demo

- "`RewardModel.score`", "`armorm score`": the exported folder, by this project's packed engine with its default
  settings; the command also reads its rows from a file and writes the scores to one.
- "model class": the same folder by transformers, `AutoModelForSequenceClassification` with `trust_remote_code`, as
  docs/export.md shows, one conversation at a time or in padded batches of eight, sorted by length.
- "pipeline": transformers' `pipeline("text-classification")` on a classifier with the same backbone and the head of one
  objective (`benchmarks.plain_classifier`), one at a time, in batches of eight as the conversations come, and sorted.

The pipeline has less to do: one head at the last token, where a score takes all objectives, the gate at the end of the
prompt, and standard errors, by the same one pass. It is the plain reward model that one would use instead.

Every round of every way is a process of its own, and the ways take turns. "whole process" includes start and loading;
the rate is of a loaded model, from texts to numbers, with its first pass in it. float32, and a thread for each core,
which is PyTorch's own choice; attention is transformers' default (SDPA), and gradients are off. Batches of eight and
one bracket what a CPU gains from padded batches, which is nothing where lengths differ: larger ones pad more.

The conversations are those of length_mix.py, in two forms: with their prompts, each of which has several responses,
which the packed engine computes once; and with another number before each prompt, so that nothing is shared. The
difference is the largest from transformers' own numbers one by one: of the score for those that give a score, of the
objective's reward for those that give it, for both where both are given; in units of its spread.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import plain_classifier, random_model
from benchmarks.conditions import Conditions
from benchmarks.score.figures import difference, table
from benchmarks.score.ways import EXACT, WAYS, Turns
from benchmarks.serve.load import conversations

SHAPES = {"tiny": "the bundled backbone's shape", "smollm2-135m": "SmolLM2-135M's shape"}

PROMPTS = {"shared": "prompts shared", "own": "no prompt shared"}


def measure(folder: Path, rows: dict[str, list[Turns]], rounds: int, scratch: Path) -> dict[str, dict[str, Any]]:
    """All ways in turns, over the conversations of each kind of prompts. Kind -> way -> its figures."""
    classifier = scratch / "classifier"
    plain_classifier.write(folder, classifier)
    found: dict[str, dict[str, Any]] = {}
    for prompts, given in rows.items():
        path = scratch / f"{prompts}.jsonl"
        path.write_text("".join(json.dumps({"messages": turns}) + "\n" for turns in given), encoding="utf-8")
        done: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, runs in done.items():
                runs.append(run(way, folder, classifier, path, scratch / "found.json"))
        exact = {kind: done[way][0]["numbers"][kind] for kind, way in EXACT.items()}
        found[prompts] = {
            way: {
                "seconds": [one["seconds"] for one in runs],
                "whole_seconds": [one["whole_seconds"] for one in runs],
                "peak_bytes": [one["peak_bytes"] for one in runs],
                "difference": max(difference(one["numbers"], exact) for one in runs),
            }
            for way, runs in done.items()
        }
    return found


def run(way: str, folder: Path, classifier: Path, rows: Path, out: Path) -> dict[str, Any]:
    """One round of one way, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.score.ways", way, *map(str, (folder, classifier, rows, out))]
    started = time.perf_counter()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    whole = time.perf_counter() - started
    if ended.returncode:
        raise SystemExit(f"{way} did not end well: {ended.stderr}")
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return {**found, "whole_seconds": whole}


def kinds(given: list[Turns], names: list[str]) -> dict[str, list[Turns]]:
    """Conversations as they come, and with a number of its own before each prompt."""
    own = [
        [{**turn, "content": f"{number} {turn['content']}"} if place == 0 else turn for place, turn in enumerate(turns)]
        for number, turns in enumerate(given)
    ]
    return {name: {"shared": given, "own": own}[name] for name in names}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the smaller shape, a few conversations, one round")
    parser.add_argument("--folder", type=Path, help="folder that `armorm export` wrote, in place of random weights")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=None)
    parser.add_argument("--prompts", nargs="+", choices=PROMPTS, default=None)
    parser.add_argument("--times", type=float, default=0.05, help="size of the mix; 1 is 775 conversations")
    parser.add_argument("--most", type=int, default=None, help="conversations of the mix, at most; quick: 4")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    quick = arguments.quick
    shapes = arguments.shapes or (["tiny"] if quick else list(SHAPES))
    prompts = arguments.prompts or (["shared"] if quick else list(PROMPTS))
    most, rounds = arguments.most or (4 if quick else None), arguments.rounds or (1 if quick else 3)
    conditions = Conditions()
    report: dict[str, Any] = {"rounds": rounds, "parts": []}
    for shape in [str(arguments.folder)] if arguments.folder else shapes:
        with tempfile.TemporaryDirectory() as name:
            scratch, folder = Path(name), arguments.folder
            if folder is None:
                random_model.write(scratch / "random", shape)
                folder = scratch / "random" / "model"
            given = conversations(arguments.times, random_model.MAX_TOKENS)[:most]
            for kind, results in measure(folder, kinds(given, prompts), rounds, scratch).items():
                part = {"shape": SHAPES.get(shape, shape), "conversations": len(given), "prompts": PROMPTS[kind]}
                report["parts"].append({**part, "results": results})
                print(table({"parts": report["parts"][-1:]}), flush=True)
            conditions.write(arguments.json, report)


if __name__ == "__main__":
    main()
