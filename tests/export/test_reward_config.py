"""The table `armorm` of config.json is read from folders of this version and of earlier ones."""

import pytest
from pydantic import ValidationError

from export.reward_config import RewardConfig


@pytest.mark.parametrize(("written", "read"), [("skip", "skip"), ("quarantine", "skip"), ("keep", "keep")])
def test_special_tokens_in_text_is_read_under_its_former_name_too(written: str, read: str) -> None:
    assert RewardConfig.model_validate({"special_tokens_in_text": written}).special_tokens_in_text == read


def test_special_tokens_in_text_has_no_third_value() -> None:
    with pytest.raises(ValidationError, match="'skip' or 'keep'"):
        RewardConfig.model_validate({"special_tokens_in_text": "drop"})
