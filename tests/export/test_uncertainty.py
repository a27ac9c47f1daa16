"""Standard errors in an exported folder: as the parts have them, by transformers alone, and left out."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from cache import UserError
from export.folder import Exported, write_folder
from export.reward_config import run_config
from export.reward_model import RewardModel
from export.reward_uncertainty import COVARIANCE, THRESHOLDS, WHITENING, uncertainty_bytes
from extract.backbone import find_backbone
from extract.settings import BackboneSettings
from gating.reward import RewardParts
from heads.objectives import Scale
from heads.ridge.conformal import ConformalIntervals
from heads.ridge.uncertainty import NOT_KNOWN, Uncertainty
from tests.export.conftest import OBJECTIVES, SEVERAL, random_parts
from tests.export.hostile_folder import Tensors, Values, copied, outcome

Change = Callable[[Any], object]


def random_uncertainty(d: int, *, first: int = 0, columns: int | None = None) -> Uncertainty:
    """Two factors for three objectives; most responses are above the first threshold and below the second."""
    rng = np.random.default_rng(5)
    columns = columns or d
    root = rng.standard_normal((3, 3)) * 0.1
    return Uncertainty(
        whitening=(0.1 * rng.standard_normal((2, 16, columns))).astype(np.float32),
        factor_of=np.array([1, 0, 1]),
        covariance=root @ root.T,
        quantiles=np.tile(np.linspace(0.0, 50.0, 101), (2, 1)),
        thresholds=np.array([0.0, 30.0]),
        quantile=0.99,
        first_column=first,
    )


def written(
    out: Path,
    backbone: Path,
    verbosity: str,
    uncertainty: Uncertainty | None,
    layers: tuple[int, ...],
    intervals: ConformalIntervals | None = None,
) -> RewardParts:
    """Write a folder of random parts; returns them."""
    settings = BackboneSettings.model_validate(
        {"model": str(backbone), "dtype": "float32", "max_tokens": 512, "layers": layers}
    )
    found = find_backbone(settings)
    parts = replace(random_parts(32 * len(layers), verbosity), uncertainty=uncertainty, intervals=intervals)
    scales = {name: Scale(low=0, high=4) for name in OBJECTIVES}
    write_folder(out, Exported(found, run_config(parts, scales, settings, found), parts, {}, "card"), "copy")
    return parts


@pytest.fixture(scope="module")
def backbone(small_export: Path) -> Path:
    return small_export.with_name("backbone")


@pytest.fixture(scope="module")
def known(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with uncertainty."""
    out = tmp_path_factory.mktemp("known") / "export"
    written(out, backbone, "long", random_uncertainty(32), (-1,))
    return out


@pytest.mark.parametrize(
    ("verbosity", "layers", "first"), [("long", (-1,), 0), ("response_tokens", (-1, 0), 32), ("none", (-1, 0), 0)]
)
def test_transformers_and_we_give_the_errors_of_the_parts(
    backbone: Path, tmp_path: Path, verbosity: str, layers: tuple[int, ...], first: int
) -> None:
    uncertainty = random_uncertainty(64, first=first, columns=32)
    parts = written(tmp_path / "export", backbone, verbosity, uncertainty, layers)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "export", trust_remote_code=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "export")
    with torch.inference_mode():
        output = model(**tokenizer.apply_chat_template(SEVERAL, padding=True, return_tensors="pt", return_dict=True))
    assert output.reward_std.shape == (3, 3)
    assert output.score_std.shape == output.unfamiliar.shape == (3,)
    features = output.hidden_state.numpy()
    leverages = uncertainty.leverages(features)
    for number, scored in enumerate(RewardModel.load(tmp_path / "export").score(SEVERAL)):
        told = scored.uncertainty
        assert told is not None
        np.testing.assert_allclose(output.reward_std[number], told.reward_std, rtol=1e-3)
        np.testing.assert_allclose(output.score_std[number], told.score_std, rtol=1e-3)
        assert bool(output.unfamiliar[number]) == told.unfamiliar
        by_hand = parts.score_std(leverages[number][None], scored.weights[None])[0]
        np.testing.assert_allclose(told.score_std, by_hand, rtol=1e-3)
        np.testing.assert_allclose(told.leverage, leverages[number, [1, 0, 1]], rtol=1e-3)
        np.testing.assert_allclose(told.leverage_place, np.minimum(told.leverage / 50.0, 1.0), rtol=1e-3)


def test_a_folder_without_it_gives_none_and_never_zero(small_export: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(small_export, trust_remote_code=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(small_export)
    with torch.inference_mode():
        batch = tokenizer.apply_chat_template(SEVERAL, padding=True, return_tensors="pt", return_dict=True)
        output = model(**batch)
    assert output.reward_std is output.score_std is output.unfamiliar is None
    assert all(one.uncertainty is None for one in RewardModel.load(small_export).score(SEVERAL))


def test_familiarity_that_too_few_rows_told_is_none(backbone: Path, tmp_path: Path) -> None:
    uncertainty = replace(
        random_uncertainty(32), thresholds=np.full(2, NOT_KNOWN), quantiles=np.full((2, 101), NOT_KNOWN)
    )
    written(tmp_path / "export", backbone, "long", uncertainty, (-1,))
    (told,) = (one.uncertainty for one in RewardModel.load(tmp_path / "export").score(SEVERAL[:1]))
    assert told is not None
    assert told.unfamiliar is None
    assert told.score_std > 0.0
    assert np.isnan(told.leverage_place).all()


def test_the_size_is_that_of_the_tensors(known: Path, small_export: Path) -> None:
    sizes = [
        json.loads((folder / "model.safetensors.index.json").read_text())["metadata"]["total_size"]
        for folder in (known, small_export)
    ]
    assert sizes[0] - sizes[1] == uncertainty_bytes(random_uncertainty(32))


def table_of(values: Values) -> Values:
    table: Values = values["armorm"]["uncertainty"]
    return table


@pytest.mark.parametrize(
    ("config", "heads", "said"),
    [
        (lambda values: table_of(values).update(rows=10**12), None, "and config.json there asks for"),
        (lambda values: table_of(values).update(columns=10**12), None, "over columns 0 to 1000000000000"),
        (lambda values: table_of(values).update(first_column=1), None, "over columns 1 to 33"),
        (lambda values: table_of(values).update(factor_of=[0, 1]), None, "that of 2 objectives"),
        (lambda values: table_of(values).update(factor_of=[0, 1, 65535]), None, "names a factor of its"),
        (lambda values: table_of(values).update(factors=65536), None, "asks for 65536"),
        (lambda values: table_of(values).update(factor_of=[0, 1, -1]), None, "factor_of"),
        (lambda values: table_of(values).update(quantile="much"), None, "quantile"),
        (lambda values: values["armorm"].update(uncertainty=None), None, "left out, and uncertainty.covariance"),
        (None, lambda tensors: tensors.pop(WHITENING), "uncertainty.whitening is missing"),
        (None, lambda tensors: tensors.update({"uncertainty.more": torch.ones(1)}), "uncertainty.more is there"),
        (None, lambda tensors: tensors[WHITENING].fill_(float("nan")), "not finite"),
        (None, lambda tensors: tensors.update({THRESHOLDS: tensors[THRESHOLDS].long()}), "I64"),
        (None, lambda tensors: tensors[COVARIANCE].fill_(-1.0), "negative variance"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_sentence(
    known: Path, tmp_path: Path, config: Change | None, heads: Callable[[Tensors], object] | None, said: str
) -> None:
    told = outcome(
        copied(known, tmp_path / "other", config=config or (lambda _: None), heads=heads or (lambda _: None))
    )
    assert isinstance(told, str)
    assert said in told
    assert "\n" not in told


def test_errors_that_differ_from_the_pipelines_are_refused_by_the_check(
    known: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from export import agreement, folder_scores

    folder = tmp_path / "export"
    shutil.copytree(known, folder)

    def here(folder: Path, dtype: str, device: object) -> list[agreement.FolderScores]:
        sides = folder_scores.scores(str(folder), list(map(list, agreement.CONVERSATIONS)), dtype, str(device))
        return [agreement.FolderScores(**side) for side in sides]

    monkeypatch.setattr(agreement, "scores_by_transformers", here)
    expected = RewardModel.load(folder).score(agreement.CONVERSATIONS)
    assert agreement.check_folder(folder, expected, "float32", torch.device("cpu")) < 1e-3
    wrong = [
        replace(one, uncertainty=replace(one.uncertainty, score_std=2.0 * one.uncertainty.score_std))
        for one in expected
        if one.uncertainty
    ]
    assert len(wrong) == 3
    with pytest.raises(UserError, match=r"gives standard errors other than the pipeline's.*--without-uncertainty"):
        agreement.check_folder(folder, wrong, "float32", torch.device("cpu"))
