"""`armorm eval`: suites judged by every aggregation rule, from stored features."""

import logging
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore, UserError
from cache.keys import key_column
from evaluation.scoring import score_suite
from evaluation.suites import SUITES
from evaluation.suites.suite import Suite
from extract.tables import SUITES as COLUMNS
from extract.tables import read_table
from gating.collapse import summarise
from gating.fitted_rules import FittedRules
from gating.rules.rule import Responses
from heads.kinds.fitted import PairwiseHeads
from pipelines.artefacts import open_run, write_json
from pipelines.fitted_model import read_fitted_rules
from pipelines.other_heads import read_other_heads
from pipelines.other_scorers import scores_of_others, tables_of_others
from pipelines.recipe import Recipe
from pipelines.scored_responses import REWARD, analysis_path, scored_frame, write_scored

log = logging.getLogger(__name__)

IDENTITY = ["suite", "subset", "row"]
ALONE = ("score", "score_low", "score_high", "sections", "section_intervals")
"""What is kept of a single objective's table."""


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What all suites of a run are judged with."""

    recipe: Recipe
    fingerprint: str
    store: FeatureStore
    model: FittedRules
    others: PairwiseHeads
    table: pl.DataFrame
    """Of the responses of all suites."""

    @classmethod
    def read(cls, recipe: Recipe) -> "_Fitted":
        run, store = open_run(recipe)
        model = read_fitted_rules(recipe)
        table = read_table(recipe.folder / "tables", "suites")
        if not set(COLUMNS) <= set(table.columns):
            raise UserError(
                f"{recipe.folder / 'tables' / 'suites.parquet'} was written by an earlier version:"
                " run `armorm extract` again; what is stored already is used again"
            )
        return cls(recipe, run["fingerprint"], store, model, read_other_heads(recipe), table)

    def rows_of(self, suite: Suite) -> pl.DataFrame:
        """The lines of the data sets that hold this suite's rows."""
        names = [settings.name for settings in self.recipe.suites if settings.source in suite.sources]
        return self.table.filter(pl.col("suite").is_in(names))


def evaluate(recipe: Recipe, suite: str) -> dict[str, Any]:
    """Score a suite's rows with every rule; write `<suite>.json` and `scores/<suite>.parquet`.

    A row whose features are missing is named and not judged.

    Returns:
        What the JSON file holds.

    Raises:
        UserError: an earlier command is missing, or the recipe has no rows of this suite.
    """
    return _evaluate(_Fitted.read(recipe), SUITES[suite])


def evaluate_all(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Score every suite of which the recipe's tables hold rows, as `evaluate` does.

    Returns:
        Suite -> what its file holds.

    Raises:
        UserError: an earlier command is missing, or there is no row of any suite.
    """
    fitted = _Fitted.read(recipe)
    there = [suite for suite in SUITES.values() if not fitted.rows_of(suite).is_empty()]
    if not there:
        raise UserError("there is no row of any suite: add [[suites]] tables to the recipe, and extract again")
    return {suite.name: _evaluate(fitted, suite) for suite in there}


def _evaluate(fitted: _Fitted, suite: Suite) -> dict[str, Any]:
    started = time.monotonic()
    recipe, objectives = fitted.recipe, fitted.model.parts.objectives
    judged, missing = _with_features(fitted.store, fitted.rows_of(suite))
    if judged.is_empty() and missing:
        raise UserError(
            f"none of the {len(missing)} rows of {suite.name} can be judged; the first, {missing[0]['row']!r}:"
            f" {missing[0]['missing']}; see {recipe.folder / 'skipped.jsonl'}"
        )
    if judged.is_empty():
        sources = " or ".join(f"source = {source!r}" for source in suite.sources)
        raise UserError(
            f"there is no row of {suite.name} to judge: add a [[suites]] table with {sources} to the recipe,"
            " and extract again"
        )
    for row in missing:
        log.warning("not judged: %s, row %s: %s", row["suite"], _printable(row["row"]), row["missing"])
    judged = judged.with_columns(section=suite.section)
    responses = fitted.model.responses(
        fitted.store,
        key_column(judged["prompt_key"]),
        key_column(judged["response_key"]),
        judged["response_tokens"].to_numpy(),
    )
    scores = fitted.model.scores(responses) | fitted.others.scores(fitted.store, key_column(judged["response_key"]))
    # The prefix keeps an objective that is called like a rule apart from it.
    alone = {REWARD + name: responses.rewards[:, number].astype(np.float64) for number, name in enumerate(objectives)}
    scored = score_suite(suite, judged, scores | alone)
    elsewhere = scores_of_others(recipe, suite.name, judged)
    write_scored(recipe, suite.name, scored_frame(judged, scores | elsewhere, responses, objectives))
    result = {
        "suite": suite.name,
        "title": suite.title,
        "note": recipe.note,
        "rows": judged.unique(IDENTITY).height,
        "missing": len(missing),
        "missing_rows": missing,
        "rules": {name: scored[name] for name in scores} | tables_of_others(suite, judged, elsewhere),
        "single_objectives": {name: {key: scored[REWARD + name][key] for key in ALONE} for name in objectives},
        "gate_by_section": _gate_by_section(suite, judged, responses, objectives),
        "gate_summary_by_section": _summary_by_section(suite, judged, responses, objectives),
        "fingerprint": fitted.fingerprint,
        "recipe": recipe.digest,
        "seconds": time.monotonic() - started,
    }
    write_json(recipe.folder / f"{suite.name}.json", result)
    analysis_path(recipe, suite.name).unlink(missing_ok=True)  # of other scores
    return result


def _printable(name: str) -> str:
    """A row's name as a data set gives it, without what a terminal would obey."""
    return name if name.isprintable() else ascii(name)


def _with_features(store: FeatureStore, table: pl.DataFrame) -> tuple[pl.DataFrame, list[dict[str, str]]]:
    """The lines of rows that can be judged, and the rows that cannot."""
    there = table.filter(pl.col("missing").is_null())
    lost = np.zeros(len(there), dtype=bool)
    for column in ("prompt_key", "response_key"):
        lost |= store.missing(key_column(there[column]))
    absent = there.filter(pl.Series(lost)).unique(IDENTITY, maintain_order=True)
    absent = absent.with_columns(missing=pl.lit("its features are not in the store"))
    judged = there.join(absent.select(IDENTITY), on=IDENTITY, how="anti", maintain_order="left")
    missing = pl.concat([table.filter(pl.col("missing").is_not_null()), absent]).select(*IDENTITY, "missing")
    return judged, missing.to_dicts()


def _gate_by_section(
    suite: Suite, judged: pl.DataFrame, responses: Responses, objectives: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Section -> objective -> mean share of the gate's weight over the section's rows, largest first."""
    weights: dict[str, dict[str, float]] = {}
    for section, rows in _rows_by_section(suite, judged).items():
        shares = responses.weights[rows] / responses.weights[rows].sum(axis=-1, keepdims=True)  # (rows, k)
        mean = shares.mean(axis=0)  # (k,)
        order = np.argsort(-mean, kind="stable")
        weights[section] = {objectives[number]: float(mean[number]) for number in order}
    return weights


def _summary_by_section(
    suite: Suite, judged: pl.DataFrame, responses: Responses, objectives: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Section -> entropy, share of the strongest objective and the like, over the section's rows."""
    return {
        section: asdict(summarise(responses.weights[rows], objectives))
        for section, rows in _rows_by_section(suite, judged).items()
    }


def _rows_by_section(suite: Suite, judged: pl.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Section -> the first line of each of its rows; the sections that have any."""
    section = judged["section"].to_numpy()
    first = (judged["chosen"] & (judged["place"] == 0)).to_numpy()
    rows = {name: np.flatnonzero(first & (section == name)) for name in suite.sections or dict.fromkeys(section)}
    return {name: own for name, own in rows.items() if len(own)}
