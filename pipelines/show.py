"""What the commands print for people: short summaries and tables."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cache.worker import ALONE
from evaluation.numbers import number
from evaluation.results import Report
from evaluation.rule_names import RULE_NAMES
from pipelines.recipe import Recipe

WIDTH = 116
"""Columns where the output is no terminal, so that a table in a log is not broken."""


def console() -> Console:
    """Standard output."""
    # Names and reasons come from recipes and data: what looks like markup in them is text.
    plain = Console(markup=False, emoji=False)
    return plain if plain.is_terminal else Console(width=WIDTH, markup=False, emoji=False)


def show_extract(result: dict[str, Any], recipe: Recipe) -> None:
    """Rows used and skipped by data set, and what the run computed."""
    out = console()
    table = Table("data set", "kind", title=f"{recipe.name}: rows")
    for heading in ("rows", "used", "skipped", "ratings skipped"):
        table.add_column(heading, justify="right")
    table.add_column("why", overflow="fold")
    for name, count in result["datasets"].items():
        why = "; ".join(f"{number} × {reason}" for reason, number in list(count["reasons"].items())[:3])
        figures = (f"{count[key]:,}" for key in ("rows", "used", "skipped", "ratings_skipped"))
        table.add_row(name, count["kind"], *figures, why)
    out.print(table)
    for name, reason in result["missing"].items():
        out.print(f"missing: {name} ({reason})", highlight=False)
    if result["features_new"] == 0:
        out.print(f"no forward pass: all {result['features_reused']:,} features were in {result['store']} already")
    else:
        rate = result["tokens_computed"] / max(result["seconds_extracting"], 1e-9)
        out.print(
            f"{result['features_new']:,} features computed, {result['features_reused']:,} reused;"
            f" {result['tokens_computed']:,} tokens in {result['seconds_extracting']:.1f} s"
            f" ({rate:,.0f} tokens/s, {result['device']}); store: {result['store']}"
        )
    if result["skipped"] and result["worker"] == str(ALONE):
        out.print(f"every skipped row, with its reason: {recipe.folder / 'skipped.jsonl'}")


def show_heads(result: dict[str, Any], recipe: Recipe) -> None:
    """One line per objective."""
    table = Table("objective", title=f"{recipe.name}: heads")
    for heading in ("rows", "alpha", "freedom", "validation MSE", "Pearson"):
        table.add_column(heading, justify="right")
    for name, head in result["objectives"].items():
        table.add_row(
            name,
            f"{head['rows']:,}",
            f"{head['alpha']:g}",
            f"{head['degrees_of_freedom']:,.0f}",
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
    out.print(_held_out_table(result))
    seeds = result["seeds"]
    if len(seeds["each"]) > 1:
        out.print(
            f"{len(seeds['each'])} seeds: {seeds['accuracy_mean']:.1%} ± {seeds['accuracy_spread']:.1%};"
            f" seed {seeds['kept']} is kept",
            highlight=False,
        )
    gate = result["gate"]
    out.print(
        f"gate: best at step {result['best_step']}, entropy {gate['entropy']:.2f} (1 is equal weights),"
        f" mean weight of the strongest objective {gate['top_share']:.2f}; {result['seconds']:.1f} s;"
        f" {recipe.folder / 'gating.json'}"
    )
    if result["other_heads"]:
        show_other_heads(result["other_heads"], recipe)


def show_other_heads(result: dict[str, Any], recipe: Recipe) -> None:
    """One line per head, and for heads of objectives one per objective beside the ridge."""
    out = console()
    for name, head in result["pairwise"].items():
        interval = f"{head['low']:.1%} to {head['high']:.1%}"
        out.print(
            f"{RULE_NAMES[name][0]} ({RULE_NAMES[name][1]}): {head['validation_accuracy']:.1%} of"
            f" {head['validation_pairs']:,} held-out pairs ({interval}), {head['seconds']:.1f} s"
        )
    for name, objectives in result["objectives"].items():
        table = Table("objective", title=f"{recipe.name}: {name} head beside the ridge")
        details = list(dict.fromkeys(key for head in objectives.values() for key in head["details"]))
        for heading in (*(key.replace("_", " ") for key in details), "validation MSE", "ridge", "Pearson", "ridge"):
            table.add_column(heading, justify="right")
        for objective, head in objectives.items():
            errors = (f"{head[key]:.4f}" for key in ("validation_mse", "ridge_validation_mse"))
            correlations = (number(head[key]) for key in ("pearson", "ridge_pearson"))
            table.add_row(objective, *(f"{head['details'][key]:.4g}" for key in details), *errors, *correlations)
        out.print(table)
        for objective, reason in result["skipped"][name].items():
            out.print(f"{name} not fitted: {objective} ({reason})", highlight=False)


def _held_out_table(result: dict[str, Any]) -> Table:
    """Accuracy of every rule on the held-out pairs."""
    table = Table("rule", "method", title=f"held-out pairs judged right ({result['validation_pairs']:,} pairs)")
    for heading in ("accuracy", "95 % interval", "lead over equal weights"):
        table.add_column(heading, justify="right")
    for name, rule in result["rules"].items():
        lead = rule["lead"]
        table.add_row(
            *RULE_NAMES[name],
            f"{rule['accuracy']:.1%}",
            f"{100 * rule['low']:.1f} to {100 * rule['high']:.1f}",
            f"{100 * lead['accuracy']:+.1f} ({100 * lead['low']:+.1f} to {100 * lead['high']:+.1f})",
        )
    return table


def show_explanation(result: dict[str, Any]) -> None:
    """The score of one response, one line an objective, what counts most first."""
    verbosity = result["verbosity"]
    named = f"{verbosity['name']} ({verbosity['value']:.4f})" if verbosity["name"] != "none" else "none"
    table = Table(
        title=f"score {result['score']:.6f}",
        caption=(
            "contribution = coefficient × reward - verbosity penalty; penalty = coefficient × lambda × verbosity, which"
            f" is {named}. The score is the sum of the contributions in full precision (--json), shown rounded here."
        ),
    )
    table.add_column("objective", no_wrap=True)
    for heading in ("coefficient", "reward", "coefficient × reward", "verbosity penalty", "contribution"):
        table.add_column(heading, justify="right")
    for term in sorted(result["objectives"], key=lambda term: -abs(term["contribution"])):
        table.add_row(
            term["name"],
            *(f"{term[key]:.4f}" for key in ("coefficient", "reward")),
            *(f"{term[key]:+.6f}" for key in ("gain", "verbosity_penalty", "contribution")),
        )
    table.add_section()
    table.add_row(
        "sum",
        f"{result['gate']['logit_scale']:.4f}",
        "",
        *(f"{value:+.6f}" for value in (result["gain"], result["verbosity_penalty"], result["score"])),
    )
    console().print(table)


def show_report(result: Report) -> None:
    """Where the page lies, and what it could not show."""
    out = console()
    for sentence in dict.fromkeys(result.missing.values()):
        out.print(f"not in the report: {sentence}", highlight=False)
    if result.plots:
        out.print(f"{len(result.plots)} figures: {Path(result.plots[0]).parent}", highlight=False)
    out.print(f"the report: {result.page} ({result.bytes / 1e3:,.0f} kB; open it in a browser)", highlight=False)


def show_scores(result: dict[str, Any]) -> None:
    """The score of one response, or how many rows of a file have theirs."""
    out = console()
    if "score" in result:
        out.print(f"score {result['score']:.6f}")
        return
    out.print(
        f"{result['rows']:,} rows ({result['reused']:,} were there already), {result['scored']:,} scored,"
        f" {result['bad']:,} not, in {result['seconds']:.1f} s: {result['output']}"
    )
    if result["bad"]:
        lines = ", ".join(map(str, result["bad_rows"]))
        out.print(f"not scored, each with its reason in the output: line {lines}{', …' * (result['bad'] > 5)}")


def show_export(result: dict[str, Any]) -> None:
    """Where the folder is, and how well it agrees with the pipeline."""
    out = console()
    how = {"copy": "with its weights", "link": "with links to the backbone's weights"}[result["weights"]]
    out.print(f"{result['folder']}: {how}, {result['bytes'] / 1e6:,.1f} MB, {len(result['objectives'])} objectives")
    if result["largest_difference"] is not None:
        out.print(
            f"loaded with transformers, it scores as the pipeline does (largest difference"
            f" {result['largest_difference']:.1e} of a score's terms)"
        )


def show_demo_corpus(summary: dict[str, Any], out_folder: Path) -> None:
    """Where the self-made rows lie."""
    console().print(f"{sum(summary['files'].values()):,} self-made rows in {len(summary['files'])} files: {out_folder}")
