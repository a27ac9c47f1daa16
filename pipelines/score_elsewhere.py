"""`armorm score-suite`: a suite's responses scored by another reward model, or by a language model as a judge."""

import logging
import time
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from cache import UserError
from cache.progress import Progress
from evaluation.outcomes import ROW
from evaluation.scorers.judge_endpoint import Endpoint
from evaluation.scorers.sequence_classifier import SequenceClassifier
from evaluation.suites import SUITES
from export.suite_scorer import SuiteScorer
from extract.backbone import locate_model
from extract.engines.choice import choose_device
from extract.tables import SUITE_TEXTS, read_table
from gating.rules import RULES
from heads.kinds.registry import PAIRWISE
from pipelines.answers import Answers, answers_in, key_of
from pipelines.artefacts import read_run
from pipelines.judged_rows import Column, judge_rows
from pipelines.other_scorers import RESPONSE, OtherScores, file_name, read_other_scores
from pipelines.recipe import Recipe

log = logging.getLogger(__name__)

CLASSIFIER, GATED, JUDGE = "hf", "armorm", "judge"
"""What a scorer's name begins with, before a colon."""

METHODS = {CLASSIFIER: "reward model", GATED: "reward model", JUDGE: "LLM as a judge"}
"""What tables call them."""


def score_elsewhere(
    recipe: Recipe,
    suite: str,
    scorer: str,
    *,
    batch_tokens: int,
    concurrency: int,
    temperature: float | None,
    progress: Progress,
) -> dict[str, Any]:
    """Score a suite's responses with another scorer, and write `scorers/<suite>/<name>.parquet` and `.json`.

    What was computed or answered before is not computed or asked again.

    Args:
        recipe: whose rows.
        suite: a name in `SUITES`.
        scorer: `hf:` or, for a model with a gate, `armorm:` and a folder or org/name; or `judge:` and a model of
            the endpoint.
        batch_tokens: of a reward model.
        concurrency: questions to a judge under way at a time.
        temperature: of a judge; None leaves it to the server.
        progress: told responses or questions done.

    Returns:
        What the JSON file holds.

    Raises:
        UserError: there are no rows, or the scorer cannot be used.
    """
    started = time.monotonic()
    read_run(recipe)
    kind, _, model = scorer.partition(":")
    if kind not in (CLASSIFIER, GATED, JUDGE) or not model:
        raise UserError(
            f"--scorer {scorer}: write {CLASSIFIER}:FOLDER or {CLASSIFIER}:ORG/NAME for a reward model, {GATED}: for"
            f" an exported one or the published checkpoint, or {JUDGE}:MODEL for a judge"
        )
    rows = _rows(recipe, suite)
    local = kind != JUDGE and Path(model).exists()
    name = Path(model).resolve().name if local else model
    scorer = f"{kind}:{Path(model).resolve()}" if local else scorer
    _refuse_taken(recipe, suite, name, scorer)
    with answers_in(recipe.folder / "scorers" / f"{file_name(name)}.sqlite") as answers:
        if kind != JUDGE:
            (scores, reasons), about = _classify(rows, kind, model, answers, recipe, batch_tokens, progress)
        else:
            endpoint = Endpoint.from_environment(model, temperature, concurrency)
            (scores, reasons), about = judge_rows(rows, endpoint, answers, progress)
    table = rows.select(RESPONSE).with_columns(
        score=pl.Series(scores, dtype=pl.Float64), unjudged=pl.Series(reasons, dtype=pl.String)
    )
    unjudged = table.filter(pl.col("score").is_null()).unique(ROW, maintain_order=True)
    result = {
        "suite": suite,
        "scorer": scorer,
        "rows": table.unique(ROW).height,
        "unjudged": unjudged.height,
        "reasons": dict(Counter(unjudged["unjudged"].to_list())),
        **about,
        "seconds": time.monotonic() - started,
    }
    path = OtherScores(name, METHODS[kind], table, result).write(recipe, suite)
    return {"name": name, "method": METHODS[kind], **result, "file": str(path.with_suffix(".parquet"))}


def _rows(recipe: Recipe, suite: str) -> pl.DataFrame:
    """The responses of a suite's rows that are there, with their texts."""
    names = [settings.name for settings in recipe.suites if settings.source in SUITES[suite].sources]
    table = read_table(recipe.folder / "tables", "suites")
    table = table.filter(pl.col("suite").is_in(names) & pl.col("missing").is_null()).select(RESPONSE)
    texts = read_table(recipe.folder / "tables", "suite_texts").select(list(SUITE_TEXTS))
    rows = table.join(texts, on=[*ROW, "chosen", "place"], how="inner", maintain_order="left")
    if len(rows) != len(table):
        raise UserError(f"{recipe.folder / 'tables'} lacks texts of {suite}: run `armorm extract` again")
    if rows.is_empty():
        raise UserError(f"the run has no row of {suite}: add a [[suites]] table to the recipe, and extract again")
    return rows


def _refuse_taken(recipe: Recipe, suite: str, name: str, scorer: str) -> None:
    """See that the name can stand for this scorer alone."""
    if not name.isprintable():
        raise UserError(f"--scorer {name!r} cannot be a name: it must be a line of printable text")
    if name in RULES or name in PAIRWISE:
        raise UserError(f"--scorer: a rule is called {name!r} too: give the folder another name")
    for other in read_other_scores(recipe, suite):
        if other.name == name and other.about["scorer"] != scorer:
            raise UserError(
                f"--scorer: {name!r} stands for {other.about['scorer']} in {recipe.folder / 'scorers' / suite}:"
                " give the folder another name, or remove the files of that one"
            )


def _classify(
    rows: pl.DataFrame, kind: str, model: str, answers: Answers, recipe: Recipe, batch_tokens: int, progress: Progress
) -> tuple[Column, dict[str, Any]]:
    folder, identity = locate_model(model, None, f"--scorer {kind}")
    device = choose_device(recipe.extract.device)
    classifier = SuiteScorer(folder, device) if kind == GATED else SequenceClassifier(folder, device)
    reasons: list[str | None] = []
    sequences: dict[str, list[int]] = {}  # by key: equal conversations are scored once
    keys = []
    for prompt, response in rows.select("prompt", "response").iter_rows():
        encoded = classifier.encode([*prompt, {"role": "assistant", "content": response}])
        refused = isinstance(encoded, str)
        reasons.append(encoded if isinstance(encoded, str) else None)
        keys.append("" if refused else key_of(identity, classifier.dtype, encoded))
        if not isinstance(encoded, str):
            sequences.setdefault(keys[-1], encoded)
    new = [key for key in sequences if answers.get(key) is None]
    log.info("%s: %s of %s conversations are to be scored on %s", model, f"{len(new):,}", f"{len(rows):,}", device)
    done = 0
    for places, scores in classifier.scores([sequences[key] for key in new], batch_tokens):
        answers.put((new[place], repr(score)) for place, score in zip(places, scores, strict=True))
        done += len(places)
        progress("scoring", done, len(new), "responses")
    scored: list[float | None] = []
    for number, key in enumerate(keys):
        answer = answers.get(key) if key else None
        value = None if answer is None else float(answer)
        if value is not None and value - value != 0:  # infinite or not a number
            value, reasons[number] = None, "its score is not finite"
        scored.append(value)
    about = {"model": identity, "new": len(new), "max_tokens": classifier.max_tokens}
    return (scored, reasons), about
