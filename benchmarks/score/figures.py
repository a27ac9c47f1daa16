"""Figures of the ways to score, and their table."""

import statistics
from typing import Any

import numpy as np

BASE = "pipeline, one by one"
"""The way that rates are compared with."""


def difference(numbers: dict[str, list[float]], exact: dict[str, list[float]]) -> float:
    """Largest difference of all kinds of number from the exact ones, each kind in units of its spread."""
    return max(
        float(np.max(np.abs(np.subtract(values, exact[kind]))) / np.std(exact[kind]))
        for kind, values in numbers.items()
    )


def table(report: dict[str, Any]) -> str:
    """Markdown tables, one for each shape and kind of prompts; ratios are to the pipeline one by one."""
    return "\n".join(_part(part) for part in report["parts"])


def _part(part: dict[str, Any]) -> str:
    results = part["results"]
    base = results[BASE]["seconds"]
    lines = [
        f"{part['shape']}, {part['conversations']} conversations, {part['prompts']}:",
        "",
        "| way | conversations/s | ratio | low to high | whole process | peak memory | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for way, each in results.items():
        rates = [part["conversations"] / seconds for seconds in each["seconds"]]
        ratios = [other / own for own, other in zip(each["seconds"], base, strict=True)]
        spread = "" if way == BASE else f"{min(ratios):.2f} to {max(ratios):.2f}"
        lines.append(
            f"| {way} | {statistics.median(rates):.1f} | {statistics.median(ratios):.2f} | {spread}"
            f" | {statistics.median(each['whole_seconds']):.1f} s | {max(each['peak_bytes']) / 1e9:.2f} GB"
            f" | {each['difference']:.1e} |"
        )
    return "\n".join([*lines, ""])
