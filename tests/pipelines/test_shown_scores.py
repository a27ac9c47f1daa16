"""A run's score as it is shown: with intervals of ratings, and with the distributions of other heads."""

import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from cache import UserError
from cache.progress import silent
from export.explanation import explain
from export.one_turn import score_and_features
from export.results import Explanation
from heads.kinds.registry import RATINGS
from heads.ridge.conformal import ConformalIntervals
from heads.ridge.uncertainty import Uncertainty
from pipelines.artefacts import INTERVALS, OTHER_HEADS, UNCERTAINTY
from pipelines.commands.explain import show
from pipelines.commands.extract import extract
from pipelines.commands.fit_heads import fit_heads
from pipelines.commands.fit_other_heads import fit_other_heads
from pipelines.commands.train_gating import train_gating
from pipelines.fitted import distribution_heads, reward_model
from pipelines.run import Run
from tests.pipelines.test_own_recipe import recipe_text, run_of

KINDS = ("ordinal", "quantile", "gaussian")
OTHERS = '\n[other_heads]\nfit = ["ordinal", "quantile", "gaussian"]\n'
PROMPT, RESPONSE = "Question 3?", "Yes. Yes. Yes."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with a gate, and with heads of all kinds that predict distributions; nothing writes to it."""
    folder = tmp_path_factory.mktemp("shown")
    made = run_of(recipe_text(folder).replace("validation = 0.3", "validation = 0.5") + OTHERS, folder)
    extract(made, progress=silent)
    fit_heads(made, silent)
    train_gating(made, silent)
    fit_other_heads(made, silent)
    return made


@pytest.fixture
def copy(run: Run, tmp_path: Path) -> Run:
    """A copy of its folder, to be changed."""
    shutil.copytree(run.recipe.runs, tmp_path / "runs")
    return Run(run.recipe.model_copy(update={"runs": tmp_path / "runs"}))


def explained(run: Run) -> Explanation:
    return explain(reward_model(run), PROMPT, RESPONSE, distribution_heads(run).distributions)


def test_the_distributions_of_a_score_are_those_of_the_runs_heads(
    run: Run, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    told = explained(run)
    assert tuple(told.distributions) == KINDS
    model, arrays = reward_model(run), run.arrays(OTHER_HEADS)
    scored, features = score_and_features(model, PROMPT, RESPONSE)
    for kind, one in told.distributions.items():
        heads = [
            {
                key.removeprefix(f"{kind}.{name}."): value
                for key, value in arrays.items()
                if key.startswith(f"{kind}.{name}.")
            }
            for name in model.objectives
        ]
        means = np.array([RATINGS[kind].scores(features[None], weights)[0] for weights in heads])
        expected = model.parts.score(means, scored.weights, scored.prompt_tokens, scored.measured)
        assert one.mean == pytest.approx(expected.score, rel=1e-3, abs=2e-3)
        assert one.low <= one.median <= one.high
        assert one.std > 0
    show(told)
    printed = capsys.readouterr().out
    assert "the score as a distribution" in printed
    assert "90 % of ratings" in printed
    assert re.search(r"\d\.\d\d to \d+\.\d\d", printed)
    changed = Run(
        run.recipe.model_copy(update={"other_heads": run.recipe.other_heads.model_copy(update={"fit": ("gaussian",)})})
    )
    with caplog.at_level(logging.WARNING):
        assert distribution_heads(changed).weights == {}
    assert "no distribution of the score: " in caplog.text
    assert "run `armorm fit-other-heads` again" in caplog.text


def test_a_kind_without_a_head_for_an_objective_is_named(copy: Run, caplog: pytest.LogCaptureFixture) -> None:
    arrays = {name: array for name, array in copy.arrays(OTHER_HEADS).items() if not name.startswith("quantile.clear.")}
    copy.write(OTHER_HEADS, copy.read(OTHER_HEADS), arrays=arrays)
    with caplog.at_level(logging.WARNING):
        told = explained(copy)
    assert tuple(told.distributions) == ("ordinal", "gaussian")
    assert "no distribution of the score by quantile heads, for clear has none" in caplog.text


def test_standard_errors_and_intervals_mean_the_same_factors(run: Run) -> None:
    uncertainty = Uncertainty.of_arrays(run.arrays(UNCERTAINTY))
    intervals = ConformalIntervals.of_arrays(run.arrays(INTERVALS))
    np.testing.assert_array_equal(intervals.factor_of, uncertainty.factor_of)
    told = explained(run)
    assert told.coverage == run.recipe.heads.coverage
    for number, term in enumerate(told.objectives):
        assert term.uncertainty is not None
        assert term.interval is not None
        half = intervals.leverage_half_width[number] * np.sqrt(1.0 + term.uncertainty.leverage)
        assert term.interval == pytest.approx((term.reward - half, term.reward + half), rel=1e-5, abs=1e-6)


def test_a_run_whose_intervals_are_missing_names_the_remedy(copy: Run) -> None:
    copy.path(INTERVALS).unlink()
    with pytest.raises(UserError, match=r"there is no .*intervals.safetensors: run `armorm fit-heads` first"):
        reward_model(copy)
    copy.write_arrays(INTERVALS, {"coverage": np.array([0.9])})
    with pytest.raises(UserError, match=r"intervals.safetensors is damaged .*: run `armorm fit-heads` again"):
        reward_model(Run(copy.recipe))
