"""The ways to score conversations, each run by a process of its own that loads, scores, and says how long it took.

python -m benchmarks.score.ways WAY MODEL CLASSIFIER ROWS OUT
"""

import contextlib
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.process_memory import peak_bytes

BATCH = 8
"""Conversations of a padded batch."""

Numbers = dict[str, list[float]]
"""`score`, the reward model's number, and `reward`, the raw reward of its first objective, in the order of the rows."""

Turns = list[dict[str, str]]


def read(rows: Path) -> list[Turns]:
    """Conversations of a file of JSON lines."""
    return [json.loads(line)["messages"] for line in rows.read_text(encoding="utf-8").splitlines()]


def reward_model(model: Path, rows: Path) -> tuple[float, Numbers]:
    """Seconds and numbers of `RewardModel.score`, all conversations in one call."""
    from export.reward_model import RewardModel

    loaded = RewardModel.load(model, device="cpu")
    given = read(rows)
    started = time.perf_counter()
    scored = loaded.score(given)
    seconds = time.perf_counter() - started
    return seconds, {"score": [each.score for each in scored], "reward": [float(each.rewards[0]) for each in scored]}


def command(model: Path, rows: Path) -> tuple[float, Numbers]:
    """Seconds and scores of `armorm score`, reading and writing its files included."""
    from pipelines.cli import main

    out = rows.with_suffix(".scored.jsonl")
    out.unlink(missing_ok=True)
    sys.argv = ["armorm", "score", str(model), "--input", str(rows), "--output", str(out), "--device", "cpu", "--json"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        main()
    scores = [json.loads(line)["score"] for line in out.read_text(encoding="utf-8").splitlines()]
    return float(json.loads(said.getvalue())["seconds"]), {"score": scores}


def model_class(model: Path, rows: Path, batch: int) -> tuple[float, Numbers]:
    """Seconds and scores of the exported folder's own class, as docs/export.md shows, in batches sorted by length."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    loaded: Any = AutoModelForSequenceClassification.from_pretrained(model, trust_remote_code=True).eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    given = read(rows)
    scores = [0.0] * len(given)
    started = time.perf_counter()
    places = by_length(given) if batch > 1 else list(range(len(given)))
    with torch.inference_mode():
        for start in range(0, len(places), batch):
            chosen = places[start : start + batch]
            encoded = tokenizer.apply_chat_template(
                [given[place] for place in chosen], padding=True, return_tensors="pt", return_dict=True
            )
            for place, score in zip(chosen, loaded(**encoded).logits[:, 0].tolist(), strict=True):
                scores[place] = score
    return time.perf_counter() - started, {"score": scores}


def pipeline_way(classifier: Path, rows: Path, batch: int, *, ordered: bool) -> tuple[float, Numbers]:
    """Seconds and rewards of transformers' pipeline for text classification.

    The template writes the special tokens, so the tokenizer is told to add none.
    """
    from transformers import pipeline

    classify: Any = pipeline("text-classification", model=str(classifier), function_to_apply="none", device="cpu")
    given = read(rows)
    rewards = [0.0] * len(given)
    started = time.perf_counter()
    places = by_length(given) if ordered else list(range(len(given)))
    texts = [classify.tokenizer.apply_chat_template(given[place], tokenize=False) for place in places]
    found = classify(texts, batch_size=batch, add_special_tokens=False)
    for place, one in zip(places, found, strict=True):
        rewards[place] = one["score"]
    return time.perf_counter() - started, {"reward": rewards}


def by_length(given: list[Turns]) -> list[int]:
    """Places of conversations, the longest first, so that the largest batch comes first."""
    return sorted(range(len(given)), key=lambda place: -sum(len(turn["content"]) for turn in given[place]))


WAYS: dict[str, Callable[[Path, Path, Path], tuple[float, Numbers]]] = {
    "`RewardModel.score`": lambda model, _, rows: reward_model(model, rows),
    "`armorm score`": lambda model, _, rows: command(model, rows),
    "model class, one by one": lambda model, _, rows: model_class(model, rows, 1),
    "model class, batches of 8, sorted": lambda model, _, rows: model_class(model, rows, BATCH),
    "pipeline, one by one": lambda _, classifier, rows: pipeline_way(classifier, rows, 1, ordered=False),
    "pipeline, batches of 8": lambda _, classifier, rows: pipeline_way(classifier, rows, BATCH, ordered=False),
    "pipeline, batches of 8, sorted": lambda _, classifier, rows: pipeline_way(classifier, rows, BATCH, ordered=True),
}
"""Way -> its function of the exported folder, the classifier's folder and the rows."""

EXACT = {"score": "model class, one by one", "reward": "pipeline, one by one"}
"""Kind of number -> the way that the others are compared with: no padding, no packs, transformers' own code."""


def main() -> None:
    """Run one way, and write what it took."""
    way, model, classifier, rows, out = sys.argv[1:]
    seconds, numbers = WAYS[way](Path(model), Path(classifier), Path(rows))
    Path(out).write_text(json.dumps({"seconds": seconds, "numbers": numbers, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
