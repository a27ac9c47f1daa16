"""Intervals of ratings: in an exported folder, in a score, and in all that shows one."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from cache.progress import silent
from export.explanation import explain
from export.one_turn import score_one
from export.reward_intervals import HALF_WIDTH, LEVERAGE_HALF_WIDTH
from export.reward_model import RewardModel
from export.score_file import score_file
from tests.export.conftest import SEVERAL
from tests.export.hostile_folder import HEADS, Tensors, Values, copied, outcome
from tests.export.test_uncertainty import random_uncertainty, written
from tests.export.uncertain import ANSWERS, PROMPT, UNFAMILIAR, intervals_beside


@pytest.fixture(scope="module")
def backbone(small_export: Path) -> Path:
    return small_export.with_name("backbone")


@pytest.fixture(scope="module")
def known(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with uncertainty and intervals."""
    out = tmp_path_factory.mktemp("known") / "export"
    uncertainty = random_uncertainty(32)
    written(out, backbone, "long", uncertainty, (-1,), intervals_beside(uncertainty))
    return out


def test_a_response_far_from_the_rated_ones_has_wider_intervals(known: Path) -> None:
    half_width = 0.5 * np.array([0.1, 0.2, np.nan])
    for scored in RewardModel.load(known).score(SEVERAL):
        assert scored.uncertainty is not None
        assert scored.intervals is not None
        assert scored.intervals.coverage == 0.9
        half = half_width * np.sqrt(1.0 + scored.uncertainty.leverage)
        expected = np.stack([scored.rewards - half, scored.rewards + half], axis=-1)
        np.testing.assert_allclose(scored.intervals.ends, expected, rtol=1e-5)
        assert [pair is None for pair in scored.intervals.pairs()] == [False, False, True]


def test_without_standard_errors_every_response_has_the_same_width(backbone: Path, tmp_path: Path) -> None:
    intervals = intervals_beside(random_uncertainty(32))
    written(tmp_path / "export", backbone, "long", None, (-1,), intervals)
    for scored in RewardModel.load(tmp_path / "export").score(SEVERAL):
        assert scored.uncertainty is None
        assert scored.intervals is not None
        np.testing.assert_allclose(np.ptp(scored.intervals.ends, axis=-1), [0.2, 0.4, np.nan], rtol=1e-5)


def test_a_folder_without_them_has_none(small_export: Path) -> None:
    assert {one.intervals for one in RewardModel.load(small_export).score(SEVERAL)} == {None}


def test_transformers_reads_and_keeps_the_tensors(known: Path, tmp_path: Path) -> None:
    model, told = AutoModelForSequenceClassification.from_pretrained(
        known, trust_remote_code=True, output_loading_info=True
    )
    assert not set(told["missing_keys"]) | set(told["unexpected_keys"])
    model.save_pretrained(tmp_path / "again")
    again = load_file(tmp_path / "again" / "model.safetensors")
    before = load_file(known / HEADS)
    for name in (HALF_WIDTH, LEVERAGE_HALF_WIDTH):
        np.testing.assert_array_equal(again[name], before[name])


@pytest.mark.parametrize(
    ("config", "heads", "said"),
    [
        (lambda values: values["armorm"].update(intervals=None), None, "the intervals are left out, and intervals."),
        (lambda values: values["armorm"]["intervals"].update(coverage=1.5), None, "coverage"),
        (None, lambda tensors: tensors.pop(HALF_WIDTH), "the intervals are there, and intervals.half_width is missing"),
        (None, lambda tensors: tensors.update({HALF_WIDTH: torch.ones(2)}), "intervals.half_width in"),
        (None, lambda tensors: tensors[LEVERAGE_HALF_WIDTH].fill_(float("inf")), "not finite"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_sentence(
    known: Path,
    tmp_path: Path,
    config: Callable[[Values], object] | None,
    heads: Callable[[Tensors], object] | None,
    said: str,
) -> None:
    told = outcome(
        copied(known, tmp_path / "other", config=config or (lambda _: None), heads=heads or (lambda _: None))
    )
    assert isinstance(told, str)
    assert said in told
    assert "\n" not in told


def test_an_explanation_has_them_on_both_scales(uncertain: RewardModel) -> None:
    told = explain(uncertain, PROMPT, ANSWERS[1])
    assert told.coverage == 0.9
    assert told.objectives[-1].interval is None
    for term in told.objectives[:-1]:
        assert term.interval is not None
        low, high = term.interval
        assert low < term.reward < high
        assert term.reward - low == pytest.approx(high - term.reward)
        if term.rating is not None:
            assert term.rating.interval is not None
            scale = uncertain.config.scales[term.name]
            assert term.rating.interval == pytest.approx(scale.raw(np.array([low, high])).tolist())
    rated = [term.rating for term in told.objectives if term.rating is not None]
    assert len(rated) > 1


def test_full_rows_have_them(uncertain: RewardModel, model: RewardModel, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": UNFAMILIAR}) + "\n")
    for number, each in enumerate((uncertain, model)):
        score_file(each, tmp_path / "rows.jsonl", tmp_path / f"{number}.jsonl", prefix="", full=True, progress=silent)
    row, without = (json.loads((tmp_path / f"{number}.jsonl").read_text()) for number in range(2))
    (scored,) = uncertain.score([UNFAMILIAR])
    assert scored.intervals is not None
    assert row["coverage"] == 0.9
    assert tuple(row["interval"]) == uncertain.objectives
    *ends, last = row["interval"].values()
    assert last is None
    np.testing.assert_allclose(ends, scored.intervals.ends[:-1], rtol=1e-3)
    assert (without["coverage"], without["interval"]) == (None, None)
    one = score_one(uncertain, PROMPT, ANSWERS[1], full=True)
    assert one.interval == dict(zip(uncertain.objectives, scored.intervals.pairs(), strict=True))
