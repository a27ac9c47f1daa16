"""Plots of the gate, drawn from what the commands write."""

from pathlib import Path

import pytest

from cache import UserError
from evaluation.gate_plots import check_plots, plot_coefficients, plot_gating
from tests.evaluation.report_run import gating, suite

PNG = b"\x89PNG\r\n\x1a\n"


def test_every_plot_is_a_picture_in_its_folder(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib, the extra `plots`, is not installed")
    paths = plot_gating(gating(["helpful", "long"], "text"), tmp_path / "plots")
    paths += plot_coefficients(suite(["helpful", "safe"], ["Chat", "Safety"], "text"), tmp_path / "plots")
    names = ("debiasing", "gate-training", "rules", "coefficients")
    assert [path.name for path in paths] == [f"{name}.{kind}" for name in names for kind in ("svg", "png")]
    for path in paths:
        assert path.read_bytes().startswith({".png": PNG, ".svg": b"<?xml"}[path.suffix])


def test_without_matplotlib_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"--plots needs matplotlib, which is not installed: run `pip install -e"):
        check_plots()
