"""The table `armorm` of config.json is read from folders of this version and of earlier ones."""

import pytest
from pydantic import ValidationError

from export.reward_config import RewardConfig
from tests.export.conftest import OBJECTIVES
from tests.export.on_scale import MOMENTS


@pytest.mark.parametrize(("written", "read"), [("skip", "skip"), ("quarantine", "skip"), ("keep", "keep")])
def test_special_tokens_in_text_is_read_under_its_former_name_too(written: str, read: str) -> None:
    assert RewardConfig.model_validate({"special_tokens_in_text": written}).special_tokens_in_text == read


def test_special_tokens_in_text_has_no_third_value() -> None:
    with pytest.raises(ValidationError, match="'skip' or 'keep'"):
        RewardConfig.model_validate({"special_tokens_in_text": "drop"})


def test_moments_of_other_objectives_are_refused() -> None:
    table = {"objectives": list(OBJECTIVES), "verbosity": "long", "reference": MOMENTS.model_dump(mode="json")}
    assert RewardConfig.model_validate(table).reference == MOMENTS
    for kind in ("rewards", "debiased"):
        others = {"kind": {"mean": 0.0, "std": 1.0}}
        with pytest.raises(ValidationError, match="the moments of the reference set are of other objectives"):
            RewardConfig.model_validate(table | {"reference": table["reference"] | {kind: others}})  # type: ignore[operator]


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf"), "warm"])
def test_a_temperature_is_a_size(temperature: object) -> None:
    with pytest.raises(ValidationError):
        RewardConfig.model_validate({"score_temperature": temperature})
