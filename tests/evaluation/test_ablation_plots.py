"""Figures of a report: the same bytes every time, and none where there is nothing to show."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.ablation_plots import PLOTS, draw
from heads.ablation_results import (
    Ablations,
    AlphaPaths,
    Baseline,
    FractionScore,
    FromOthers,
    HeadComparison,
    RatingMetrics,
    Score,
    WithoutDataset,
)

pytest.importorskip("matplotlib", reason="matplotlib is an extra: pip install -e '.[plots]'")

NAMES = ["clear", "$kind$", "親切_x", "rare"]


def report() -> Ablations:
    """Ablations in which everything occurs, and some numbers are not defined."""
    score = Score(40, 1.0, 0.3, 0.4)
    nothing = replace(score, pearson=None)
    head, metrics = Baseline(120, 1.0, 0.2, 0.6), RatingMetrics(0.2, 0.6)
    return Ablations(
        baseline=dict.fromkeys(NAMES[:3], head) | {"rare": replace(head, pearson=None)},
        train_rows=dict.fromkeys(NAMES, 100),
        datasets={"one": WithoutDataset({"rare": 0}, {"clear": score}), "two": WithoutDataset({}, {"rare": nothing})},
        objectives={name: FromOthers(0.4, 0.5, {}) for name in NAMES},
        alphas=AlphaPaths((0.1, 1.0, 10.0), dict.fromkeys(NAMES, (0.3, 0.2, None))),
        rows={name: (FractionScore(0.5, 40, 1.0, 0.3, 0.4),) for name in NAMES[:3]} | {"rare": ()},
        layers={"4": dict.fromkeys(NAMES, score), "-1": {"clear": nothing}},
        heads=HeadComparison(
            {"gate": 0.9, "slic": 0.8}, {"ridge": dict.fromkeys(NAMES, metrics), "ordinal": {"clear": metrics}}, {}
        ),
        seconds_by_variant={},
        seconds=0.0,
    )


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
    empty = replace(
        report(),
        objectives={},
        layers={},
        rows=dict.fromkeys(NAMES, ()),
        alphas=AlphaPaths((1.0,), dict.fromkeys(NAMES, (0.2,))),
        heads=HeadComparison({}, {"ridge": report().heads.ratings["ridge"]}, {}),
    )
    assert [path.name for path in draw(empty, tmp_path)] == ["ablation-datasets.svg", "ablation-datasets.png"]


def test_one_objective_of_one_data_set_has_room_for_its_axes(tmp_path: Path) -> None:
    whole = report()
    small = replace(
        whole,
        baseline={"clear": whole.baseline["clear"]},
        datasets={"one": WithoutDataset({"clear": 0}, {})},
        objectives={},
        rows={},
    )
    assert tmp_path / "ablation-datasets.png" in draw(small, tmp_path)  # a warning is an error here
