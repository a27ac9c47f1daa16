"""Two responses to one prompt: the probability that one is better, and decisions left open."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from cache import UserError
from export.reward_model import RewardModel
from tests.export.test_uncertainty import random_uncertainty, written


@pytest.fixture(scope="module")
def known(small_export: Path, tmp_path_factory: pytest.TempPathFactory) -> RewardModel:
    """A reward model with standard errors about as large as its margins."""
    few_rows = random_uncertainty(32)
    out = tmp_path_factory.mktemp("compared") / "export"
    written(
        out,
        small_export.with_name("backbone"),
        "long",
        replace(few_rows, covariance=400.0 * few_rows.covariance),
        (-1,),
    )
    return RewardModel.load(out, device="cpu")


PROMPT = [{"role": "user", "content": "Where is the kettle?"}]


def test_two_responses_are_compared_by_the_error_of_their_margin(known: RewardModel) -> None:
    one, other = "On the shelf, where it was.", "I am not certain; ask the gardener."
    found = known.compare(PROMPT, one, other)
    alone = known.score([[*PROMPT, {"role": "assistant", "content": one}]])[0]
    assert found.first.score == pytest.approx(alone.score, rel=1e-5)
    assert found.margin == found.first.score - found.second.score
    assert found.first.uncertainty is not None
    assert found.second.uncertainty is not None
    # Less than independent errors would give: the prompt and the template are in both.
    assert 0 < found.margin_std < np.hypot(found.first.uncertainty.score_std, found.second.uncertainty.score_std)
    assert found.probability == pytest.approx(norm.cdf(found.margin / found.margin_std))
    assert not found.abstains
    turned = known.compare(PROMPT, other, one, abstain_below=1.0)
    assert turned.probability == pytest.approx(1.0 - found.probability, abs=1e-5)
    assert turned.abstains
    equal = known.compare(PROMPT, "Yes.", "Yes.")
    assert (equal.margin, equal.margin_std, equal.probability) == (0.0, 0.0, 0.5)


def test_what_cannot_be_compared_is_named(known: RewardModel, small_export: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be compared: .*empty"):
        known.compare(PROMPT, "Yes.", "")
    with pytest.raises(ValueError, match=r"from 0\.5 to 1"):
        known.compare(PROMPT, "Yes.", "No.", abstain_below=0.2)
    with pytest.raises(UserError, match="holds no standard errors"):
        RewardModel.load(small_export, device="cpu").compare(PROMPT, "Yes.", "No.")
