"""Plots of the gate, drawn from what the commands write."""

from pathlib import Path
from typing import Any

import pytest

from cache import UserError
from evaluation.gate_plots import check_plots, plot_coefficients, plot_gating
from tests.evaluation.report_run import suite

PNG = b"\x89PNG\r\n\x1a\n"
NAMES = ("helpful", "safe", "long")


def gating() -> dict[str, Any]:
    metrics = [{"step": 50 * n, "train_loss": 0.7 / n, "loss": 0.7 / n, "accuracy": 0.6} for n in range(1, 6)]
    rule = {"accuracy": 0.6, "low": 0.5, "high": 0.7}
    return {
        "lambda": dict.fromkeys(NAMES, 0.2),
        "verbosity": "long",
        "correlation": "spearman",
        "correlation_before": dict(zip(NAMES, (0.5, -0.2, 1.0), strict=True)),
        "correlation_after": dict(zip(NAMES, (0.0, 0.0, None), strict=True)),
        "correlation_after_held_out": dict(zip(NAMES, (0.02, None, None), strict=True)),
        "metrics": metrics,
        "best_step": 150,
        "rules": {"gate": rule, "uniform": rule, "length": rule},
        "validation_pairs": 1234,
    }


def test_every_plot_is_a_picture_in_its_folder(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib, the extra `plots`, is not installed")
    paths = plot_gating(gating(), tmp_path / "plots")
    paths += plot_coefficients(suite(["helpful", "safe"], ["Chat", "Safety"], "text"), tmp_path / "plots")
    names = ("debiasing", "gate-training", "rules", "coefficients")
    assert [path.name for path in paths] == [f"{name}.{kind}" for name in names for kind in ("svg", "png")]
    for path in paths:
        assert path.read_bytes().startswith({".png": PNG, ".svg": b"<?xml"}[path.suffix])


def test_without_matplotlib_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"--plots needs matplotlib, which is not installed: run `pip install -e"):
        check_plots()
