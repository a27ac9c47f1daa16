"""`armorm leaderboard`: everything that judged the run's suites, side by side."""

import logging

from cache import UserError
from cache.durable import write_text
from evaluation import results
from evaluation.leaderboard import leaderboard, markdown
from evaluation.published import PUBLISHED
from evaluation.rule_names import RULE_NAMES
from evaluation.suites import SUITES
from pipelines.artefacts import read_json, read_run, typed, write_json
from pipelines.other_scorers import read_other_scores
from pipelines.recipe import Recipe

log = logging.getLogger(__name__)

CAPTION = (
    "Ranked by score among what judged these rows. Published rows are of the suite's own rows, from the method's page,"
    " and have no rank."
)


def make_leaderboard(recipe: Recipe) -> results.Leaderboard:
    """Rank what judged each suite that was evaluated; write `leaderboard.json` and `leaderboard.md`.

    Raises:
        UserError: no suite was evaluated.
    """
    run = read_run(recipe)
    judged = {}
    for suite in SUITES:
        path, command = recipe.folder / f"{suite}.json", f"eval --suite {suite}"
        if not path.exists():
            continue
        found = read_json(path, command)
        if found.get("fingerprint") != run["fingerprint"] or found.get("recipe") != recipe.digest:
            log.warning("%s is of other features or settings and is left out: run `armorm %s` again", path, command)
            continue
        judged[suite] = typed(found, results.Suite, path, command)
    if not judged:
        raise UserError(f"{recipe.folder} has no result of a suite with these settings: run `armorm eval` first")
    boards = {}
    for suite, result in judged.items():
        methods = {other.about.name: other.about.method for other in read_other_scores(recipe, suite)}
        scorers = {name: method for name, method in methods.items() if name in result.rules}
        published = PUBLISHED if suite == "rewardbench" else ()
        entries = tuple(leaderboard(result.rules, RULE_NAMES, scorers, published))
        boards[suite] = results.SuiteLeaderboard(result.title, result.rows, entries)
    made = results.Leaderboard(recipe.note, boards)
    write_json(recipe.folder / "leaderboard.json", made, fingerprint=run["fingerprint"], recipe=recipe.digest)
    write_text(recipe.folder / "leaderboard.md", _page(recipe, made))
    return made


def _page(recipe: Recipe, made: results.Leaderboard) -> str:
    notes = [note for note in (recipe.note, CAPTION) if note]
    tables = (markdown(f"{board.title}, {board.rows:,} rows", notes, board.entries) for board in made.suites.values())
    return "\n".join([f"# {recipe.name}: leaderboard\n", *tables])
