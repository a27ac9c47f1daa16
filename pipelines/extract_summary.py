"""The summary of an extraction on the terminal: rows by data set, sets without a usable row, overlap, features."""

from typing import TYPE_CHECKING

from cache.worker import ALONE
from pipelines.terminal import console

if TYPE_CHECKING:
    from extract.results import Extract
    from pipelines.run import Run

NEEDED_BY = {"ratings": "armorm fit-heads", "pairs": "armorm train-gating"}
"""Kind of data set -> the command that cannot do without its rows."""


def show(result: "Extract", run: "Run") -> None:
    """Print rows used and skipped by data set, a warning for each set without a usable row, and the features."""
    from rich.table import Table

    from extract.overlap import overlap_lines
    from extract.template.facts import FOLD
    from pipelines.artefacts import SKIPPED

    out = console()
    table = Table("data set", "kind", title=f"{run.recipe.name}: rows")
    for heading in ("rows", "used", "skipped", "ratings skipped"):
        table.add_column(heading, justify="right")
    table.add_column("why, by an example", overflow="fold")
    for name, count in result.datasets.items():
        why = "; ".join(f"{number} × {reason}" for reason, number in list(count.reasons.items())[:3])
        figures = (f"{number:,}" for number in (count.rows, count.used, count.skipped, count.ratings_skipped))
        table.add_row(name, count.kind, *figures, why)
    out.print(table)
    for name, count in result.datasets.items():
        for form, number in count.forms.items():
            out.print(f"{name}: {number:,} × {form}", highlight=False)
    for line in unused(result):
        out.print(f"warning: {line}", style="bold red", highlight=False)
    if number := skipped_for_system_turns(result):
        out.print(
            f"{number:,} rows are skipped for the reason that the chat template gives for a system turn: {FOLD} puts it"
            " in front of the user's text",
            highlight=False,
        )
    for name, reason in result.missing.items():
        out.print(f"missing: {name} ({reason})", highlight=False)
    for line in overlap_lines(result.overlap, dropped=run.recipe.split.drop_overlap):
        out.print(line, highlight=False)
    if result.features_new == 0:
        out.print(f"no forward pass: all {result.features_reused:,} features were in {result.store} already")
    else:
        rate = result.tokens_computed / max(result.seconds_extracting, 1e-9)
        out.print(
            f"{result.features_new:,} features computed, {result.features_reused:,} reused;"
            f" {result.tokens_computed:,} tokens in {result.seconds_extracting:.1f} s"
            f" ({rate:,.0f} tokens/s, {result.device}); store: {result.store}"
        )
    if result.skipped and result.worker == str(ALONE):
        out.print(f"every skipped row, with its reason: {run.path(SKIPPED)}")


def unused(result: "Extract") -> list[str]:
    """The data sets of which not one row is used, and the commands that will lack rows, a sentence each."""
    lines = [
        f"not one row of {name} is used ({next(iter(count.reasons), 'it has no rows')})"
        for name, count in result.datasets.items()
        if not count.used
    ]
    for kind, command_name in NEEDED_BY.items():
        counts = [count.used for count in result.datasets.values() if count.kind == kind]
        if counts and not any(counts):
            lines.append(f"no set of {kind} has a usable row, and `{command_name}` needs one")
    return lines


def skipped_for_system_turns(result: "Extract") -> int:
    """Number of rows and ratings skipped for the reason that the chat template gives for a system turn."""
    from extract.skipped import kind_of_reason

    template = result.template
    if template is None or template.system_reason is None or template.system_turns == "fold":
        return 0
    kind = kind_of_reason(template.system_reason)
    return sum(
        number
        for count in result.datasets.values()
        for reason, number in count.reasons.items()
        if kind_of_reason(reason) == kind
    )
