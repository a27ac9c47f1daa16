"""`armorm leaderboard`: everything that judged the run's suites, ranked."""

import logging
from typing import TYPE_CHECKING

from cache import UserError
from pipelines.terminal import JsonOption, RecipeOption, console, finish, open_run

if TYPE_CHECKING:
    from evaluation.results import Leaderboard
    from pipelines.run import Run

log = logging.getLogger(__name__)

EXAMPLE = "armorm leaderboard --recipe recipes/demo.toml"

CAPTION = (
    "Ranked by score among what judged these rows. Published rows are of the suite's own rows, from the method's page,"
    " and have no rank."
)


def command(recipe: RecipeOption, as_json: JsonOption = False) -> None:
    """Rank rules, other scorers and published rows on every suite that was evaluated."""
    run = open_run(recipe)
    with run.writing():
        result = make_leaderboard(run)
    finish(result, as_json, lambda: show(result, run))


def make_leaderboard(run: "Run") -> "Leaderboard":
    """Rank what judged each suite with a current result; write `leaderboard.json` and `leaderboard.md`.

    Raises:
        UserError: no suite has a current result.
    """
    from cache.durable import write_text
    from evaluation.leaderboard import leaderboard
    from evaluation.published import PUBLISHED
    from evaluation.results import Leaderboard, SuiteLeaderboard
    from evaluation.rule_names import RULE_NAMES
    from pipelines.artefacts import EXTRACT, LEADERBOARD, LEADERBOARD_PAGE

    run.require(EXTRACT)  # so that the first missing command is named
    boards = {}
    for name, result in run.current_suites(log.warning).items():
        scorers = {one.about.name: one.about.method for one in run.scorers(name) if one.about.name in result.rules}
        published = PUBLISHED if name == "rewardbench" else ()
        entries = leaderboard(result.rules, RULE_NAMES, scorers, published)
        boards[name] = SuiteLeaderboard(result.title, result.rows, tuple(entries))
    if not boards:
        raise UserError(f"{run.folder} has no current result of a suite: run `armorm eval` first")
    made = Leaderboard(run.recipe.note, boards)
    run.write(LEADERBOARD, made)
    write_text(run.path(LEADERBOARD_PAGE), _page(made, run))
    return made


def _page(made: "Leaderboard", run: "Run") -> str:
    from evaluation.leaderboard import markdown

    notes = [note for note in (made.note, CAPTION) if note]
    tables = [markdown(f"{board.title}, {board.rows:,} rows", notes, board.entries) for board in made.suites.values()]
    return "\n".join([f"# {run.recipe.name}: leaderboard\n", *tables])


def show(made: "Leaderboard", run: "Run") -> None:
    """Print one table a suite."""
    from rich.table import Table

    from evaluation.leaderboard import columns_of, lines_of
    from pipelines.artefacts import LEADERBOARD, LEADERBOARD_PAGE

    out = console()
    if made.note:
        out.print(made.note, style="bold")
    for board in made.suites.values():
        title = f"{run.recipe.name}: {board.title}, {board.rows:,} rows"
        table = Table("", "model", "method", title=title, caption=CAPTION)
        last = [entry for entry in board.entries if entry.kind != "published"][-1]
        for heading in ("score", "95 % interval", *columns_of(board.entries)):
            table.add_column(heading, justify="right")
        for entry, cells in zip(board.entries, lines_of(board.entries), strict=True):
            table.add_row(*cells, style="dim" if entry.kind == "published" else None, end_section=entry is last)
        out.print(table)
    out.print(f"{run.path(LEADERBOARD_PAGE)}, {run.path(LEADERBOARD)}")
