"""`armorm score --full` writes how sure each score is, and nulls for a model that does not know."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache.progress import silent
from export.one_turn import score_one
from export.reward_model import RewardModel
from export.rows import UNCERTAINTY_KEYS
from export.score_file import score_file
from pipelines.cli import main
from tests.export.uncertain import ANSWERS, FAMILIAR, PROMPT, UNFAMILIAR

ROWS = [
    {"messages": FAMILIAR},
    {"prompt": PROMPT, "response": ANSWERS[1]},
    {"prompt": PROMPT, "responses": [*ANSWERS, " "]},
]


def scored(model: RewardModel, folder: Path, *, full: bool = True) -> list[dict[str, Any]]:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    score_file(model, folder / "rows.jsonl", folder / "out.jsonl", prefix="rm_", full=full, progress=silent)
    return [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]


def test_full_rows_say_how_sure_they_are(uncertain: RewardModel, tmp_path: Path) -> None:
    familiar, unfamiliar, several = scored(uncertain, tmp_path)
    both = {"rm_" + key: value for key, value in several["rm_decompositions"][0].items()}
    assert several["rm_decompositions"][2] is None
    expected = uncertain.score([FAMILIAR, UNFAMILIAR, FAMILIAR])
    for row, one in zip((familiar, unfamiliar, both), expected, strict=True):
        known = one.uncertainty
        assert known is not None
        assert row["rm_score_std"] == pytest.approx(known.score_std, rel=1e-3)
        assert row["rm_unfamiliar"] is known.unfamiliar
        for key, values in (
            ("reward_std", known.reward_std),
            ("contribution_std", known.contribution_std),
            ("leverage", known.leverage),
            ("leverage_place", known.leverage_place),
        ):
            assert tuple(row["rm_" + key]) == uncertain.objectives
            np.testing.assert_allclose(list(row["rm_" + key].values()), values, rtol=1e-3, atol=1e-6)
    assert (familiar["rm_unfamiliar"], unfamiliar["rm_unfamiliar"]) == (False, True)
    assert unfamiliar["rm_score_std"] > familiar["rm_score_std"] > 0


def test_without_uncertainty_the_keys_are_null(model: RewardModel, tmp_path: Path) -> None:
    first, _, several = scored(model, tmp_path)
    assert {first["rm_" + key] for key in UNCERTAINTY_KEYS} == {None}
    assert {several["rm_decompositions"][1][key] for key in UNCERTAINTY_KEYS} == {None}
    assert first["rm_score"] == pytest.approx(sum(first["rm_contributions"].values()), rel=1e-12)


def test_rows_that_are_not_full_have_only_scores(uncertain: RewardModel, tmp_path: Path) -> None:
    first, second, several = scored(uncertain, tmp_path, full=False)
    assert set(first) == {"messages", "rm_score"}
    assert set(second) == {"prompt", "response", "rm_score"}
    assert set(several) == {"prompt", "responses", "rm_scores", "rm_best", "rm_errors"}


def test_one_response_by_itself(uncertain: RewardModel, model: RewardModel) -> None:
    known = uncertain.score([UNFAMILIAR])[0].uncertainty
    assert known is not None
    one = score_one(uncertain, PROMPT, ANSWERS[1], full=True)
    assert one.score_std == pytest.approx(known.score_std, rel=1e-6)
    assert one.unfamiliar is True
    assert one.reward_std == pytest.approx(dict(zip(uncertain.objectives, known.reward_std, strict=True)), rel=1e-6)
    for less in (score_one(uncertain, PROMPT, ANSWERS[1], full=False), score_one(model, PROMPT, ANSWERS[1], full=True)):
        assert {getattr(less, key) for key in UNCERTAINTY_KEYS} == {None}


def told(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """The line that `armorm score` prints about the answer that is not familiar."""
    turn = ("--prompt", PROMPT, "--response", ANSWERS[1], "--device", "cpu")
    monkeypatch.setattr(sys, "argv", ["armorm", "score", str(folder), *turn, *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_command_prints_them_with_full_alone(
    uncertain_folder: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = told(uncertain_folder, monkeypatch, capsys).strip()
    assert plain == f"score {float(plain.removeprefix('score ')):.6f}"
    printed = told(uncertain_folder, monkeypatch, capsys, "--full").strip()
    values = json.loads(told(uncertain_folder, monkeypatch, capsys, "--full", "--json"))
    assert printed == f"{plain} ± {values['score_std']:.6f}, UNFAMILIAR"
    assert not set(UNCERTAINTY_KEYS) & json.loads(told(uncertain_folder, monkeypatch, capsys, "--json")).keys()
    without = json.loads(told(model_folder, monkeypatch, capsys, "--full", "--json"))
    assert {without[key] for key in UNCERTAINTY_KEYS} == {None}
    assert without["score"] == pytest.approx(values["score"], rel=1e-4)
