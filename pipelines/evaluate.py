"""`armorm eval`: suites judged by every aggregation rule, from stored features."""

import logging
import time
from dataclasses import dataclass, replace

import polars as pl

from cache import FeatureStore, UserError
from cache.keys import key_column
from evaluation import results
from evaluation.judging import judge_suite, with_features
from evaluation.scored import scored_frame
from evaluation.scorers.beside_rules import scores_of, tables_of
from evaluation.suites import SUITES
from evaluation.suites.suite import Suite
from extract.tables import SUITES as COLUMNS
from extract.tables import read_table
from gating.fitted_rules import FittedRules
from heads.kinds.fitted import PairwiseHeads
from pipelines.artefacts import open_run, write_json
from pipelines.fitted_model import read_fitted_rules
from pipelines.other_heads import read_other_heads
from pipelines.other_scorers import read_other_scores
from pipelines.recipe import Recipe
from pipelines.scored_responses import analysis_path, write_scored

log = logging.getLogger(__name__)


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


def evaluate(recipe: Recipe, suite: str) -> results.Suite:
    """Score a suite's rows with every rule; write `<suite>.json` and `scores/<suite>.parquet`.

    A row whose features are missing is named and not judged.

    Returns:
        What the JSON file holds.

    Raises:
        UserError: an earlier command is missing, or the recipe has no rows of this suite.
    """
    return _evaluate(_Fitted.read(recipe), SUITES[suite])


def evaluate_all(recipe: Recipe) -> dict[str, results.Suite]:
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


def _evaluate(fitted: _Fitted, suite: Suite) -> results.Suite:
    started = time.monotonic()
    recipe, objectives = fitted.recipe, fitted.model.parts.objectives
    judged, missing = with_features(fitted.store, fitted.rows_of(suite))
    if judged.is_empty() and missing:
        raise UserError(
            f"none of the {len(missing)} rows of {suite.name} can be judged; the first, {missing[0].row!r}:"
            f" {missing[0].missing}; see {recipe.folder / 'skipped.jsonl'}"
        )
    if judged.is_empty():
        sources = " or ".join(f"source = {source!r}" for source in suite.sources)
        raise UserError(
            f"there is no row of {suite.name} to judge: add a [[suites]] table with {sources} to the recipe,"
            " and extract again"
        )
    for row in missing:
        log.warning("not judged: %s, row %s: %s", row.suite, _printable(row.row), row.missing)
    judged = judged.with_columns(section=suite.section)
    responses = fitted.model.responses(
        fitted.store,
        key_column(judged["prompt_key"]),
        key_column(judged["response_key"]),
        judged["response_tokens"].to_numpy(),
    )
    scores = fitted.model.scores(responses) | fitted.others.scores(fitted.store, key_column(judged["response_key"]))
    scorers = scores_of(read_other_scores(recipe, suite.name), judged)
    write_scored(recipe, suite.name, scored_frame(judged, scores | scorers, responses, objectives))
    tables = tables_of(suite, judged, scorers)
    result = judge_suite(suite, judged, missing, scores, tables, responses, objectives, recipe.note)
    result = replace(result, seconds=time.monotonic() - started)
    path = recipe.folder / f"{suite.name}.json"
    write_json(path, result, fingerprint=fitted.fingerprint, recipe=recipe.digest)
    analysis_path(recipe, suite.name).unlink(missing_ok=True)  # of other scores
    return result


def _printable(name: str) -> str:
    """A row's name as a data set gives it, without what a terminal would obey."""
    return name if name.isprintable() else ascii(name)
