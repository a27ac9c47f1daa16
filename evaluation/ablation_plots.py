"""Plots of a run's ablations."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cache.names import FileName
from evaluation.figures import BLUE, GREY, ORANGE, figure, labels, number, styled, write
from heads.ablation_results import Ablations, AlphaPaths, Baseline
from heads.results import ObjectiveHead

COLUMNS = 5
"""Small plots in a row of a figure, one for each objective."""


def draw(report: Ablations, folder: Path) -> list[Path]:
    """Write every plot that has something to show, as `ablation-<name>.svg` and `.png` in a folder; the files."""
    with styled():
        drawn = {FileName(f"ablation-{name}"): plot(report) for name, plot in PLOTS.items()}
        return [path for name, plot in drawn.items() if plot is not None for path in write(plot, folder, name)]


def datasets(report: Ablations) -> Any:
    """Data sets against objectives: the change of correlation without it, grey where an objective cannot be fitted."""
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.patches import Patch

    names, sets = list(report.baseline), list(report.datasets)
    change = np.full((len(sets), len(names)), np.nan)
    drawn, axes = figure(max(6.5, 2.2 + 0.33 * len(names)), max(2.6, 1.9 + 0.33 * len(sets)))  # the legend's room
    for row, left in enumerate(report.datasets.values()):
        for name, score in left.objectives.items():
            change[row, names.index(name)] = number(score.pearson) - number(report.baseline[name].pearson)
        for name in left.skipped:
            axes.fill_between([names.index(name) - 0.5, names.index(name) + 0.5], row - 0.5, row + 0.5, color=GREY)
    largest = max(0.01, float(np.nanmax(np.abs(change), initial=0.0)))
    shown = axes.imshow(change, cmap="RdBu", norm=TwoSlopeNorm(0.0, -largest, largest), aspect="auto")
    for row, column in np.argwhere(~np.isnan(change)):
        dark = abs(change[row, column]) > 0.6 * largest
        axes.text(
            column,
            row,
            f"{change[row, column]:+.2f}",
            ha="center",
            va="center",
            fontsize=6,
            color="white" if dark else "black",
        )
    axes.set_xticks(range(len(names)), labels(names), rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(sets)), labels(sets))
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(len(sets) - 0.5, -0.5)
    axes.set_xticks(np.arange(len(names)) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(sets)) + 0.5, minor=True)
    axes.grid(visible=False)
    axes.grid(which="minor", color="#cbd5e0", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    axes.set_title("Without a data set: change of each objective's validation correlation", loc="left")
    drawn.colorbar(shown, ax=axes, label="change of Pearson", fraction=0.03, pad=0.02)
    marks = [
        Patch(color=GREY, label="too few ratings left"),
        Patch(facecolor="white", edgecolor=GREY, label="unchanged"),
    ]
    axes.legend(handles=marks, loc="lower left", bbox_to_anchor=(0.0, 1.06), ncols=2, frameon=False)
    return drawn


def objectives(report: Ablations) -> Any:
    """Correlation by each objective's head, and by the heads of all other objectives, best combined."""
    if not report.objectives:
        return None
    names = sorted(report.objectives, key=lambda name: _gap(report, name))
    drawn, axes = figure(6.5, 1.3 + 0.24 * len(names))
    alone = [number(report.baseline[name].pearson) for name in names]
    others = [number(report.objectives[name].pearson) for name in names]
    axes.hlines(range(len(names)), others, alone, color=GREY, linewidth=1.5, zorder=1)
    axes.scatter(others, range(len(names)), color=ORANGE, s=22, label="all other heads, best combined", zorder=2)
    axes.scatter(alone, range(len(names)), color=BLUE, s=22, label="its own head", zorder=3)
    axes.set_yticks(range(len(names)), labels(names))
    axes.set_xlabel("validation Pearson")
    axes.set_title("Without an objective: its ratings predicted by the other heads", loc="left", pad=22)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False)
    return drawn


def alphas(report: Ablations) -> Any:
    """Validation error against the penalty, an objective a small plot."""
    return alpha_paths(report.alphas, report.baseline)


def alpha_paths(paths: AlphaPaths, heads: Mapping[str, Baseline | ObjectiveHead]) -> Any:
    """The errors along a grid of penalties, over the error at the selected one; None where the grid has one value."""
    penalties = np.array(paths.alphas)
    if len(penalties) < 2:
        return None

    def plot(axes: Any, name: str) -> None:
        errors = np.array([number(error) for error in paths.validation_mse[name]])
        head = heads[name]
        lowest = number(head.validation_mse)
        axes.plot(penalties, errors / lowest, color=BLUE, marker="o", markersize=2, linewidth=1)
        axes.plot(head.alpha, 1.0, color=ORANGE, marker="o", markersize=5)
        axes.set_xscale("log")
        axes.set_ylim(0.96, 1.5)  # errors above half as much again are of no interest

    title = "Validation error against the ridge penalty, over the error at the selected one (orange)"
    return _small_plots(heads, plot, title, "alpha", "MSE over the lowest")


def rows(report: Ablations) -> Any:
    """Validation correlation against training rows, an objective a small plot."""
    if not any(report.rows.values()):
        return None

    def plot(axes: Any, name: str) -> None:
        counts = [*(point.rows for point in report.rows[name]), report.train_rows[name]]
        curve = (*(point.pearson for point in report.rows[name]), report.baseline[name].pearson)
        reached = [number(pearson) for pearson in curve]
        axes.plot(counts, reached, color=BLUE, marker="o", markersize=3)
        axes.set_xscale("log")
        axes.set_xticks(counts, [_short(count) for count in counts])
        axes.set_xlim(0.8 * counts[0], 1.25 * counts[-1])

    title = "Validation correlation against training rows: 1/8, 1/4, 1/2 and all of them"
    return _small_plots(report.baseline, plot, title, "training rows", "Pearson")


def layers(report: Ablations) -> Any:
    """Correlation by layer, an objective a row."""
    if not report.layers:
        return None
    import matplotlib as mpl

    names = list(report.baseline)
    drawn, axes = figure(6.5, 1.3 + 0.24 * len(names))
    whole = [number(report.baseline[name].pearson) for name in names]
    axes.scatter(whole, range(len(names)), color="black", marker="|", s=60, label="all layers", zorder=3)
    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.9, len(report.layers)))
    for (layer, scores), colour in zip(report.layers.items(), colours, strict=True):
        reached = [number(scores[name].pearson) if name in scores else np.nan for name in names]
        axes.scatter(reached, range(len(names)), color=colour, s=18, label=f"layer {layer}", zorder=2)
    axes.set_yticks(range(len(names)), labels(names))
    axes.invert_yaxis()
    axes.set_xlabel("validation Pearson")
    axes.set_title("Heads that read one layer, and all of them", loc="left", pad=22)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=6, frameon=False)
    return drawn


def heads(report: Ablations) -> Any:
    """Held-out pairs judged right by each kind of head; below, each objective by the kinds that predict ratings."""
    pairs, ratings = report.heads.pairs, report.heads.ratings
    others = {kind: scores for kind, scores in ratings.items() if kind != "ridge"}
    if not pairs and not others:
        return None
    names = list(ratings["ridge"]) if others else []
    from matplotlib.figure import Figure

    heights = [0.28 * len(pairs)] * bool(pairs) + [0.24 * len(names)] * bool(names)
    drawn = Figure(figsize=(6.5, 1.1 * len(heights) + sum(heights)), layout="constrained")
    panels = list(np.atleast_1d(drawn.subplots(len(heights), height_ratios=heights)))
    if pairs:
        axes = panels.pop(0)
        axes.barh(range(len(pairs)), [100 * number(value) for value in pairs.values()], color=BLUE, height=0.6)
        for place, value in enumerate(pairs.values()):
            axes.text(
                100 * number(value) - 1, place, f"{100 * number(value):.1f}", ha="right", va="center", color="white"
            )
        axes.set_yticks(range(len(pairs)), list(pairs))
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel("held-out pairs judged right, per cent")
        axes.set_title("Kinds of heads on the same features", loc="left")
    if names:
        axes = panels.pop(0)
        for (kind, scores), colour in zip(ratings.items(), (BLUE, ORANGE, "#2f855a", "#6b46c1"), strict=False):
            reached = [number(scores[name].pearson) if name in scores else np.nan for name in names]
            axes.scatter(reached, range(len(names)), color=colour, s=18, label=kind)
        axes.set_yticks(range(len(names)), labels(names))
        axes.invert_yaxis()
        axes.set_xlabel("validation Pearson")
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, frameon=False)
    return drawn


PLOTS: dict[str, Callable[[Ablations], Any]] = {
    "datasets": datasets,
    "objectives": objectives,
    "alphas": alphas,
    "rows": rows,
    "layers": layers,
    "heads": heads,
}
"""Name in the file -> plot, None where it has nothing to show. To add one: a function above, and its line here."""


def _small_plots(
    objectives: Iterable[str], plot: Callable[[Any, str], None], title: str, xlabel: str, ylabel: str
) -> Any:
    from matplotlib.figure import Figure

    names = list(objectives)
    columns = min(COLUMNS, len(names))
    lines = -(-len(names) // columns)
    drawn = Figure(figsize=(2.0 * columns, 0.5 + 1.45 * lines), layout="constrained")
    grid = list(drawn.subplots(lines, columns, squeeze=False, sharey=True).flat)
    for axes, name in zip(grid, names, strict=False):
        plot(axes, name)
        axes.set_title(*labels([name]), fontsize=7)
        axes.tick_params(labelsize=6)
        axes.minorticks_off()
    for axes in grid[len(names) :]:
        axes.axis("off")
    drawn.suptitle(title, fontsize=9)
    drawn.supxlabel(xlabel, fontsize=8)
    drawn.supylabel(ylabel, fontsize=8)
    return drawn


def _gap(report: Ablations, name: str) -> float:
    gap = number(report.baseline[name].pearson) - number(report.objectives[name].pearson)
    return float(np.nan_to_num(gap))


def _short(count: int) -> str:
    return f"{count:,}" if count < 10_000 else f"{count / 1000:,.0f}k"
