"""Figures of a report: the same bytes every time, and none where there is nothing to show."""

import re
from pathlib import Path
from typing import Any

import pytest

from evaluation.ablation_plots import PLOTS, draw

pytest.importorskip("matplotlib", reason="matplotlib is an extra: pip install -e '.[plots]'")

NAMES = ["clear", "$kind$", "親切_x", "rare"]


def report() -> dict[str, Any]:
    """A report in which everything occurs, and some numbers are not defined."""
    score = {"rows": 40, "alpha": 1.0, "mse": 0.3, "pearson": 0.4}
    nothing = score | {"pearson": None}
    head = {"rows": 120, "alpha": 1.0, "validation_mse": 0.2, "pearson": 0.6}
    return {
        "baseline": dict.fromkeys(NAMES[:3], head) | {"rare": head | {"pearson": None}},
        "train_rows": dict.fromkeys(NAMES, 100),
        "datasets": {
            "one": {"skipped": {"rare": 0}, "objectives": {"clear": score}},
            "two": {"skipped": {}, "objectives": {"rare": nothing}},
        },
        "objectives": {name: {"mse": 0.4, "pearson": 0.5, "weights": {}} for name in NAMES},
        "alphas": {"alphas": [0.1, 1.0, 10.0], "validation_mse": {name: [0.3, 0.2, None] for name in NAMES}},
        "rows": {name: [{"fraction": 0.5, **score}] for name in NAMES[:3]} | {"rare": []},
        "layers": {"4": dict.fromkeys(NAMES, score), "-1": {"clear": nothing}},
        "heads": {
            "pairs": {"gate": 0.9, "slic": 0.8},
            "ratings": {"ridge": dict.fromkeys(NAMES, head), "ordinal": {"clear": head}},
            "suites": {},
        },
    }


def test_every_figure_is_written_twice_and_names_every_objective(tmp_path: Path) -> None:
    files = draw(report(), tmp_path)
    assert {path.name for path in files} == {f"ablation-{name}.{kind}" for name in PLOTS for kind in ("svg", "png")}
    for path in files:
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
            continue
        words = set(re.findall(r">([^<]+)<", path.read_text()))
        assert {"clear", "$kind$", "rare"} <= words, path.name


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = (draw(report(), tmp_path / folder) for folder in ("one", "other"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_nothing_to_show_is_no_figure(tmp_path: Path) -> None:
    empty = report() | {"objectives": {}, "layers": {}, "rows": {name: [] for name in NAMES}}
    empty |= {"alphas": {"alphas": [1.0], "validation_mse": {name: [0.2] for name in NAMES}}}
    empty["heads"] = {"pairs": {}, "ratings": {"ridge": report()["heads"]["ratings"]["ridge"]}, "suites": {}}
    assert [path.name for path in draw(empty, tmp_path)] == ["ablation-datasets.svg", "ablation-datasets.png"]
