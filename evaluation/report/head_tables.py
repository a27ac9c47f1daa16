"""The heads and their ablations as the tables of a report."""

from collections.abc import Iterator
from typing import Any

from evaluation.report.inputs import ReportInputs

WORSE = 0.25
"""A validation error this much above the lowest is as bad as the heat map of penalties shows."""


def penalties(run: ReportInputs) -> list[dict[str, Any]]:
    """Validation error by objective and penalty; none where the penalty was not chosen from the list."""
    rows = []
    alphas = run.heads.get("alphas", [])
    for name, head in run.heads.get("objectives", {}).items():
        path = head["validation_path"]
        defined = [error for error in path if error is not None]
        if len(path) != len(alphas) or not defined:
            continue
        lowest = min(defined)
        cells = [
            {
                "mse": error,
                "kept": alpha == head["alpha"],
                "closeness": 0.0 if error is None else max(0.0, 1 - (error / max(lowest, 1e-12) - 1) / WORSE),
            }
            for alpha, error in zip(alphas, path, strict=True)
        ]
        rows.append({"objective": name, "cells": cells})
    return rows


def shares(run: ReportInputs) -> list[float]:
    """The shares of the training rows that heads were fitted on, the smallest first."""
    return sorted({point["fraction"] for curve in run.ablations.get("rows", {}).values() for point in curve})


def ablated(run: ReportInputs) -> Iterator[dict[str, Any]]:
    """Each objective's correlation with fewer rows, and by the heads of all others."""
    for name, head in run.ablations.get("baseline", {}).items():
        curve = {point["fraction"]: point["pearson"] for point in run.ablations["rows"].get(name, [])}
        yield {
            "objective": name,
            "rows": run.ablations["train_rows"][name],
            "curve": [curve.get(share) for share in shares(run)],
            "all": head["pearson"],
            "others": run.ablations["objectives"].get(name, {}).get("pearson"),
        }
