"""`armorm score --full` writes how sure each score is, and nulls for a model that does not know."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache.progress import silent
from export.one_turn import score_one
from export.reward_model import RewardModel
from export.rows import UNCERTAINTY_KEYS
from export.score_file import score_file
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
    told = score_one(uncertain, PROMPT, ANSWERS[1], full=True)
    assert told.score_std == pytest.approx(known.score_std, rel=1e-6)
    assert told.unfamiliar is True
    assert told.reward_std == pytest.approx(dict(zip(uncertain.objectives, known.reward_std, strict=True)), rel=1e-6)
    for less in (score_one(uncertain, PROMPT, ANSWERS[1], full=False), score_one(model, PROMPT, ANSWERS[1], full=True)):
        assert {getattr(less, key) for key in UNCERTAINTY_KEYS} == {None}
