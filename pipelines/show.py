"""What the commands print for people: short summaries and tables."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cache.share import WHOLE
from evaluation.published import PUBLISHED
from evaluation.suites.reward_bench import ROWS, SECTION_OF, SECTIONS
from pipelines.recipe import Recipe

WIDTH = 116
"""Columns where the output is no terminal, so that a table in a log is not broken."""

RULE_NAMES = {
    "gate": ("gated objectives", "ArmoRM + MoE"),
    "uniform": ("same objectives, equal weights", "uniform"),
    "bradley_terry": ("same features, one linear head", "Bradley-Terry"),
    "length": ("longer response wins", "length only"),
}


def console() -> Console:
    """Standard output."""
    # Names and reasons come from recipes and data: what looks like markup in them is text.
    plain = Console(markup=False, emoji=False)
    return plain if plain.is_terminal else Console(width=WIDTH, markup=False, emoji=False)


def show_extract(result: dict[str, Any], recipe: Recipe) -> None:
    """Rows used and put aside by data set, and what the run computed."""
    out = console()
    table = Table("data set", "kind", title=f"{recipe.name}: rows")
    for heading in ("rows", "used", "put aside", "ratings left out"):
        table.add_column(heading, justify="right")
    table.add_column("why", overflow="fold")
    for name, count in result["datasets"].items():
        why = "; ".join(f"{number} × {reason}" for reason, number in list(count["reasons"].items())[:3])
        figures = (f"{count[key]:,}" for key in ("rows", "used", "put_aside", "ratings_left_out"))
        table.add_row(name, count["kind"], *figures, why)
    out.print(table)
    for name, reason in result["absent"].items():
        out.print(f"absent: {name} ({reason})", highlight=False)
    if result["features_new"] == 0:
        out.print(f"no forward pass: all {result['features_reused']:,} features were in {result['store']} already")
    else:
        rate = result["tokens_computed"] / max(result["seconds_extracting"], 1e-9)
        out.print(
            f"{result['features_new']:,} features computed, {result['features_reused']:,} reused;"
            f" {result['tokens_computed']:,} tokens in {result['seconds_extracting']:.1f} s"
            f" ({rate:,.0f} tokens/s, {result['device']}); store: {result['store']}"
        )
    if result["quarantined"] and result["share"] == str(WHOLE):
        out.print(f"every row put aside, with its reason: {recipe.folder / 'quarantine.jsonl'}")


def show_heads(result: dict[str, Any], recipe: Recipe) -> None:
    """One line per objective."""
    table = Table("objective", title=f"{recipe.name}: heads")
    for heading in ("rows", "alpha", "validation MSE", "Pearson"):
        table.add_column(heading, justify="right")
    for name, head in result["objectives"].items():
        table.add_row(
            name,
            f"{head['rows']:,}",
            f"{head['alpha']:g}",
            f"{head['validation_mse']:.4f}",
            f"{head['pearson']:.3f}",
        )
    out = console()
    out.print(table)
    for name, reason in result["skipped"].items():
        out.print(f"skipped: {name} ({reason})", highlight=False)
    out.print(f"{result['rows']:,} rated responses, {result['seconds']:.1f} s; {recipe.folder / 'heads.json'}")


def show_gating(result: dict[str, Any], recipe: Recipe) -> None:
    """Debiasing, and held-out accuracy of the gate beside its comparisons."""
    table = Table("objective", title=f"{recipe.name}: {result['correlation']} correlation with {result['verbosity']}")
    for heading in ("lambda", "before", "after"):
        table.add_column(heading, justify="right")
    for name, value in result["lambda"].items():
        before, after = result["correlation_before"][name], result["correlation_after"][name]
        table.add_row(name, f"{value:.3f}", f"{before:+.3f}", "zeroed" if after != after else f"{after:+.3f}")
    out = console()
    out.print(table)
    out.print(
        f"held-out pairs judged right ({result['validation_pairs']:,}):"
        f" gate {result['validation_accuracy']:.1%}, uniform {result['uniform_validation_accuracy']:.1%},"
        f" Bradley-Terry {result['bradley_terry_validation_accuracy']:.1%};"
        f" entropy of the gate {result['gate']['entropy']:.2f}, {result['seconds']:.1f} s;"
        f" {recipe.folder / 'gating.json'}"
    )


def show_rewardbench(result: dict[str, Any], recipe: Recipe) -> None:
    """The RewardBench table: every rule of this run, then the published rows."""
    rows = sum(
        subset["rows"]
        for name, subset in result["rules"]["gate"]["subsets"].items()
        if SECTION_OF[name] != "Prior Sets"
    )
    there = len(result["rules"]["gate"]["subsets"])
    title = (
        f"{recipe.name}: {there} of {len(SECTION_OF)} subsets, {rows:,} rows without Prior Sets (RewardBench: {ROWS:,})"
    )
    caption = "Prior Sets count half. Ties are wrong. Published rows: the real RewardBench, from the method's page."
    table = Table("model", "method", title=title, caption=caption)
    for heading in ("score", *SECTIONS):
        table.add_column(heading, justify="right")
    for rule, scored in result["rules"].items():
        sections = (scored["sections"].get(section) for section in SECTIONS)
        table.add_row(*RULE_NAMES[rule], *(_percent(value) for value in (scored["score"], *sections)))
    table.add_section()
    for row in PUBLISHED:
        figures = (f"{value:.1f}" for value in (row.score, *row.sections))
        table.add_row(f"published: {row.model}", row.method, *figures, style="dim")
    out = console()
    if recipe.note:
        out.print(recipe.note, style="bold")
    out.print(table)
    if result["missing"]:
        out.print(f"{result['missing']} rows could not be judged and count neither way; they are named in the JSON")
    out.print(_strongest(result["gate_by_section"]))
    out.print(f"all subsets with their intervals: {recipe.folder / (result['suite'] + '.json')}")


def _strongest(gate_by_section: dict[str, dict[str, float]]) -> Table:
    """The objectives the gate weighs most on each kind of prompt."""
    table = Table("section", "objectives the gate weighs most, with their mean share", title="what counts where")
    for section, weights in gate_by_section.items():
        strongest = list(weights.items())[:4]
        table.add_row(section, ", ".join(f"{name} {share:.0%}" for name, share in strongest))
    return table


def show_demo_corpus(summary: dict[str, Any], out_folder: Path) -> None:
    """Where the self-made rows lie."""
    console().print(f"{sum(summary['files'].values()):,} self-made rows in {len(summary['files'])} files: {out_folder}")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
