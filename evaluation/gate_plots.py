"""Plots of the gate: debiasing, training, the rules on held-out pairs, and weights by section of a suite."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cache import UserError
from cache.names import FileName
from evaluation.figures import BLUE, GREY, INK, ORANGE, available, figure, labels, number, styled, write
from evaluation.results import Suite
from gating.results import Gating
from gating.rules import RULES


def check_plots() -> None:
    """Refuse before any work if plots cannot be drawn.

    Raises:
        UserError: matplotlib is not installed.
    """
    if not available():
        raise UserError("--plots needs matplotlib, which is not installed: run `pip install -e '.[plots]'`")


def plot_gating(result: Gating, folder: Path) -> list[Path]:
    """Draw each of `PLOTS` as SVG and PNG in a folder; the files."""
    check_plots()
    with styled():
        return [path for name, plot in PLOTS.items() for path in write(plot(result), folder, FileName(name))]


def plot_coefficients(result: Suite, folder: Path) -> list[Path]:
    """Draw the gate's weights in a suite's sections, as SVG and PNG in a folder; the files."""
    check_plots()
    name = FileName("coefficients" if result.suite == "rewardbench" else f"coefficients-{result.suite}")
    with styled():
        return write(coefficients(result), folder, name)


def coefficients(result: Suite) -> Any:
    """The mean parts of the gate's weight, objectives against sections."""
    sections = result.gate_by_section
    objectives = list(next(iter(sections.values())))
    percents = np.array(
        [[100 * weights[name] for weights in sections.values()] for name in objectives]
    )  # (k, sections)
    drawn, axes = figure(max(6.5, 3.2 + 1.1 * len(sections)), 1.2 + 0.28 * len(objectives))
    axes.imshow(percents, cmap="Blues", aspect="auto", vmin=0, vmax=max(float(percents.max()), 1.0))
    for row, column in np.ndindex(percents.shape):
        dark = percents[row, column] > 0.6 * percents.max()
        axes.text(
            column, row, f"{percents[row, column]:.0f}", ha="center", va="center", color="white" if dark else "black"
        )
    axes.set_xticks(range(len(sections)), labels(list(sections)))
    axes.set_yticks(range(len(objectives)), labels(objectives))
    axes.set_title("mean part of the gate's weight, per cent")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    return drawn


def debiasing(result: Gating) -> Any:
    """Each objective's correlation with each variable that is taken out, before and after debiasing."""
    names = [name for name in next(iter(result.lambdas.values()), {}) if name not in result.verbosity]
    rows = np.arange(len(names))
    panels = max(len(result.verbosity), 1)
    drawn, axes = figure(8.5 if panels == 1 else 2.5 + 2.5 * panels, 1.6 + 0.28 * len(names), panels)
    columns = np.atleast_1d(axes)
    for panel, variable in zip(columns, result.verbosity, strict=False):
        before, after, held_out = (
            [number(correlations[variable][name]) for name in names]
            for correlations in (result.correlation_before, result.correlation_after, result.correlation_after_held_out)
        )
        panel.axvline(0, color=INK, linewidth=0.8)
        panel.hlines(rows, before, after, color=GREY, linewidth=1)
        panel.plot(before, rows, "o", color=GREY, label="before, reference set")
        panel.plot(after, rows, "o", color=BLUE, label="after, reference set")
        panel.plot(held_out, rows, "x", color=ORANGE, label="after, held-out responses")
        panel.set_xlim(-1, 1)
        (label,) = labels([variable])
        panel.set_xlabel(f"{result.correlation.capitalize()} correlation with{' ' if panels == 1 else chr(10)}{label}")
    columns[0].set_yticks(rows, labels(names))
    columns[0].set_ylim(max(len(names), 1) - 0.5, -0.5)
    drawn.legend(*columns[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return drawn


def training(result: Gating) -> Any:
    """Loss on training and on held-out pairs against the step."""
    steps = [metrics.step for metrics in result.metrics]
    drawn, axes = figure(6.5, 3.2)
    axes.plot(steps, [number(metrics.train_loss) for metrics in result.metrics], color=GREY, label="one training batch")
    axes.plot(steps, [number(metrics.loss) for metrics in result.metrics], color=BLUE, label="held-out pairs")
    axes.axvline(result.best_step, color=INK, linewidth=0.8, linestyle=":", label="selected")
    axes.set_xlabel("step")
    axes.set_ylabel("loss a pair")
    axes.legend(frameon=False)
    return drawn


def rules(result: Gating) -> Any:
    """Fraction of held-out pairs that each rule judges right, with its interval."""
    judged = result.rules
    rows = np.arange(len(judged))
    accuracies = np.array([100 * rule.accuracy for rule in judged.values()])
    low = np.array([100 * rule.low for rule in judged.values()])
    high = np.array([100 * rule.high for rule in judged.values()])
    drawn, axes = figure(8.5, 1.2 + 0.32 * len(judged))
    axes.axvline(50, color=INK, linewidth=0.8, linestyle=":")
    axes.hlines(rows, low, high, color=GREY, linewidth=2)
    axes.plot(accuracies, rows, "o", color=BLUE)
    axes.set_yticks(rows, [RULES[name].title for name in judged])
    axes.set_ylim(len(judged) - 0.5, -0.5)
    axes.set_xlabel(f"held-out pairs judged right, per cent ({result.validation_pairs:,}; 95 % intervals)")
    return drawn


PLOTS: dict[str, Callable[[Gating], Any]] = {"debiasing": debiasing, "gate-training": training, "rules": rules}
"""File -> plot of the gate's training."""
