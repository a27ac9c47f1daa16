"""`armorm analyse`: what a suite's scores say beyond its own table, and how far heads agree with ratings."""

from dataclasses import dataclass

from cache.progress import Progress
from evaluation.analysis import analyse_suite
from evaluation.results import Analysis, Ratings
from evaluation.suites import SUITES
from pipelines.artefacts import read_json, write_json
from pipelines.held_out_ratings import held_out_ratings
from pipelines.recipe import Recipe
from pipelines.scored_responses import analysis_path, path_of, read_scored


@dataclass(frozen=True, slots=True)
class Analyses:
    """The result of `armorm analyse`."""

    suites: dict[str, Analysis]
    ratings: Ratings


def analyse(recipe: Recipe, reference: str, progress: Progress) -> Analyses:
    """Analyse every suite that was evaluated, and the heads on held-out ratings; write all the files of both.

    Raises:
        UserError: an earlier command is missing, or the reference is no rule.
    """
    ratings = held_out_ratings(recipe, progress)
    temperatures = read_temperatures(recipe)
    suites = {}
    for suite in SUITES:
        if path_of(recipe, suite).exists():
            scored = read_scored(recipe, suite)
            suites[suite] = analyse_suite(suite, scored, temperatures, reference, recipe.note)
            write_json(analysis_path(recipe, suite), suites[suite], recipe=recipe.digest)
    return Analyses(suites, ratings)


def read_temperatures(recipe: Recipe) -> dict[str, float | None]:
    """Rule or head -> what its score gaps are divided by, fitted on the held-out pairs of the gate's training."""
    rules = read_json(recipe.folder / "gating.json", "train-gating")["rules"]
    others = recipe.folder / "other_heads.json"
    heads = read_json(others, "train-gating")["pairwise"] if others.exists() else {}
    return {name: found.get("score_temperature") for name, found in (rules | heads).items()}
