"""Plots of decisions that may be left open: risk against coverage."""

from pathlib import Path
from typing import Any

from cache.names import FileName
from evaluation.decisions import CONFIDENT
from evaluation.figures import BLUE, GREY, INK, ORANGE, figure, number, styled, write
from evaluation.results import Analysis
from evaluation.risk_coverage import COVERAGES


def plot_decisions(result: Analysis, folder: Path) -> list[Path]:
    """Draw risk against coverage of a suite as SVG and PNG in a folder; the files, none where there is no curve."""
    with styled():
        drawn = risk_coverage(result)
        return [] if drawn is None else write(drawn, folder, FileName(f"decisions-{result.suite}"))


def risk_coverage(result: Analysis) -> Any:
    """Mistakes among the decisions that the reference rule keeps; None where it scored no pair."""
    found = result.rules[result.reference].decisions
    if found is None:
        return None
    coverage = [100 * part for part in COVERAGES]
    drawn, axes = figure(6.5, 3.2)
    error = 100 * number(found.error.value)
    axes.axhline(error, color=INK, linewidth=0.8, linestyle=":", label="at random")
    axes.plot(coverage, [100 * risk for risk in found.by_gap.risk], color=GREY, label="by the score gap")
    if found.by_probability is not None:
        risks = [100 * risk for risk in found.by_probability.risk]
        axes.plot(coverage, risks, color=BLUE, label="by the probability that A beats B")
    if (sure := found.confident_by_probability) is not None and number(sure.mistakes.value) >= 0:
        where = (100 * number(sure.decided.value), 100 * number(sure.mistakes.value))
        axes.plot(*where, "o", color=ORANGE, label=f"probability above {CONFIDENT:g}")
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("pairs decided, the surest first, per cent")
    axes.set_ylabel("of them wrong, per cent")
    axes.legend(frameon=False)
    return drawn
