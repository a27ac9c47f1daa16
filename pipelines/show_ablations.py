"""What `armorm ablate` prints for people."""

from typing import Any

from rich.table import Table

from evaluation.numbers import number, percent
from evaluation.rule_names import RULE_NAMES
from pipelines.recipe import Recipe
from pipelines.show import console


def show_ablations(result: dict[str, Any], recipe: Recipe) -> None:
    """One table by objective, one line a data set, and kinds of heads side by side."""
    out = console()
    if recipe.note:
        out.print(recipe.note, style="bold")
    out.print(_by_objective(result, recipe))
    for name, left in result["datasets"].items():
        out.print(_without(name, left, result["baseline"]), highlight=False)
    for layer, scores in result["layers"].items():
        mean = sum(score["pearson"] or 0.0 for score in scores.values()) / max(1, len(scores))
        out.print(f"layer {layer} alone: mean Pearson {mean:.3f}", highlight=False)
    heads = result["heads"]
    if heads["pairs"]:
        out.print(_side_by_side(heads, recipe))
    for kind, scores in heads["ratings"].items():
        if kind != "ridge":
            better = sum(
                score["validation_mse"] < heads["ratings"]["ridge"][name]["validation_mse"]
                for name, score in scores.items()
            )
            out.print(
                f"{kind} head: lower validation error than the ridge on {better} of {len(scores)} objectives",
                highlight=False,
            )
    slowest = max(result["seconds_by_variant"].values())
    out.print(
        f"{len(result['seconds_by_variant'])} variants in {result['seconds']:.1f} s, the slowest {slowest:.2f} s;"
        f" {recipe.folder / 'ablations.json'}" + (f", {recipe.folder / 'plots'}" if result["plots"] else ""),
        highlight=False,
    )


def _by_objective(result: dict[str, Any], recipe: Recipe) -> Table:
    shares = sorted({point["fraction"] for curve in result["rows"].values() for point in curve})
    title = f"{recipe.name}: validation Pearson of each objective"
    table = Table(
        "objective", title=title, caption="shares: of the training rows; others: all other heads, best combined"
    )
    for heading in ("rows", "alpha", *(f"1/{round(1 / share)}" for share in shares), "all", "others"):
        table.add_column(heading, justify="right")
    for name, head in result["baseline"].items():
        curve = {point["fraction"]: point["pearson"] for point in result["rows"][name]}
        others = result["objectives"].get(name, {}).get("pearson")
        figures = (*(curve.get(share) for share in shares), head["pearson"], others)
        table.add_row(name, f"{result['train_rows'][name]:,}", f"{head['alpha']:g}", *map(number, figures))
    return table


def _without(name: str, left: dict[str, Any], baseline: dict[str, Any]) -> str:
    told = []
    if left["skipped"]:
        objectives = "objective" if len(left["skipped"]) == 1 else "objectives"
        told.append(f"{len(left['skipped'])} {objectives} skipped ({', '.join(left['skipped'])})")
    told += [
        f"{objective} {number(baseline[objective]['pearson'])} -> {number(score['pearson'])}"
        for objective, score in left["objectives"].items()
    ]
    rest = len(baseline) - len(left["skipped"]) - len(left["objectives"])
    return f"without {name}: " + "; ".join([*told, f"{rest} unchanged"])


def _side_by_side(heads: dict[str, Any], recipe: Recipe) -> Table:
    table = Table("head", "method", title=f"{recipe.name}: kinds of heads on the same features")
    table.add_column("held-out pairs judged right", justify="right")
    for suite in heads["suites"]:
        table.add_column(suite, justify="right")
    for name in dict.fromkeys([*heads["pairs"], *(rule for rules in heads["suites"].values() for rule in rules)]):
        figures = (heads["pairs"].get(name), *(rules.get(name) for rules in heads["suites"].values()))
        table.add_row(*RULE_NAMES.get(name, (name, "")), *map(percent, figures))
    return table
