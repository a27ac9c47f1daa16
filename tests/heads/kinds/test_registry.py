"""The table of other heads: what follows from a line in it, and what is not imported for it."""

import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError

from cache.progress import silent
from heads.kinds.kind import Division, SkippedError
from heads.kinds.ordinal import OrdinalHead
from heads.kinds.registry import NAMES, PAIRWISE, RATINGS, kind_of
from heads.objectives import Objective
from heads.settings import OtherHeadSettings

FEATURES = np.random.default_rng(0).standard_normal((300, 6)).astype(np.float32)
PAIRS = np.random.default_rng(1).integers(0, 300, (80, 2))
SETTINGS = OtherHeadSettings.model_validate({"mlp": {"hidden_size": 4, "steps": 20, "batch_pairs": 8}})


@pytest.mark.parametrize("name", PAIRWISE)
def test_a_pairwise_kind_scores_with_the_arrays_it_fitted(name: str) -> None:
    kind = PAIRWISE[name]
    fit = kind.fit(FEATURES, PAIRS[:60], PAIRS[60:], SETTINGS.of(name), silent, None)
    scores = kind.scores(FEATURES, fit.arrays)
    assert scores.shape == (300,)
    assert fit.arrays[kind.reads].shape[-1] == 6
    assert all(isinstance(value, int | float) for value in fit.details.values())
    kept = fit.arrays | {kind.reads: np.concatenate([fit.arrays[kind.reads], 0 * fit.arrays[kind.reads]], axis=-1)}
    wide = np.concatenate([FEATURES, FEATURES[::-1]], axis=-1)  # a second layer that the head does not read
    np.testing.assert_allclose(kind.scores(wide, kept), scores, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", PAIRWISE)
def test_a_pairwise_kind_learns_from_the_weights_of_its_pairs(name: str) -> None:
    weight = np.random.default_rng(2).uniform(0.1, 5.0, 60)
    plain, equal, uneven = (
        PAIRWISE[name].fit(FEATURES, PAIRS[:60], PAIRS[60:], SETTINGS.of(name), silent, each).arrays
        for each in (None, np.ones(60), weight)
    )
    for array, value in plain.items():
        np.testing.assert_allclose(equal[array], value, rtol=1e-3, atol=1e-5)
    assert any(not np.allclose(uneven[array], value, rtol=1e-2) for array, value in plain.items())


@pytest.mark.parametrize("name", RATINGS)
def test_a_kind_of_ratings_predicts_with_the_arrays_it_fitted(name: str) -> None:
    scale = Objective(name="clear", low=1, high=5)
    targets = scale.target(np.clip(np.round(FEATURES[:, 0] + 3.0), 1, 5).astype(np.float64))
    targets[::7] = np.nan
    kind = RATINGS[name]
    fit = kind.fit(
        kind.prepare(FEATURES, 200, SETTINGS.of(name)), targets, Division(200, 250), scale, SETTINGS.of(name)
    )
    assert fit.validation.shape == (100,)
    np.testing.assert_array_equal(np.isnan(fit.validation), np.isnan(targets[200:]))
    predicted = kind.scores(FEATURES, fit.arrays)
    rated = ~np.isnan(targets)
    assert np.corrcoef(predicted[rated], targets[rated])[0, 1] > 0.8
    assert fit.arrays[kind.reads].shape[-1] == 6
    assert all(isinstance(value, int | float) and np.isfinite(value) for value in fit.details.values())
    judged = fit.distribution.mean[rated[200:]]
    np.testing.assert_allclose(judged, fit.validation[rated[200:]], atol=1e-6)
    np.testing.assert_allclose(kind.distribution(FEATURES, fit.arrays).mean, predicted, atol=1e-5)


@pytest.mark.parametrize("name", RATINGS)
def test_rows_that_only_judge_choose_nothing(name: str) -> None:
    """Other ratings of the judging rows change neither the penalty nor what the training rows' head says."""
    scale = Objective(name="clear", low=1, high=5)
    targets = scale.target(np.clip(np.round(FEATURES[:, 0] + 3.0), 1, 5).astype(np.float64))
    other = np.append(targets[:250], targets[250:][::-1])
    kind, of = RATINGS[name], SETTINGS.of(name)
    prepared = kind.prepare(FEATURES, 200, of)
    fits = [kind.fit(prepared, given, Division(200, 250), scale, of) for given in (targets, other)]
    assert fits[0].details == fits[1].details
    np.testing.assert_array_equal(fits[0].distribution.values, fits[1].distribution.values)


@pytest.mark.parametrize("name", RATINGS)
def test_ratings_that_teach_nothing_are_skipped_with_a_reason(name: str) -> None:
    scale, kind, of = Objective(name="clear", low=1, high=5), RATINGS[name], SETTINGS.of(name)
    prepared = kind.prepare(FEATURES, 200, of)
    alike = np.full(300, 0.5)
    with pytest.raises(SkippedError, match="ratings are all"):
        kind.fit(prepared, alike, Division(200, 250), scale, of)
    nothing_to_choose_by = scale.target(np.clip(np.round(FEATURES[:, 0] + 3.0), 1, 5).astype(np.float64))
    nothing_to_choose_by[200:250] = np.nan
    with pytest.raises(SkippedError, match="to choose its penalty by"):
        kind.fit(prepared, nothing_to_choose_by, Division(200, 250), scale, of)


def test_the_ordinal_kind_predicts_as_its_estimator_does() -> None:
    scale = Objective(name="clear", low=1, high=5)
    targets = scale.target(np.clip(np.round(FEATURES[:, 0] + 3.0), 1, 5).astype(np.float64))
    fit = RATINGS["ordinal"].fit(FEATURES, targets, Division(200, 250), scale, SETTINGS.of("ordinal"))
    expected = OrdinalHead(fit.details["alpha"]).fit(FEATURES, targets).predict(FEATURES)
    np.testing.assert_allclose(RATINGS["ordinal"].scores(FEATURES, fit.arrays), expected, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_settings_of_a_kind_are_a_table_of_other_heads(name: str) -> None:
    assert SETTINGS.of(name).__class__ is kind_of(name).settings
    fitted = OtherHeadSettings.model_validate({"fit": [name]})
    assert fitted.model_dump()[name] == kind_of(name).settings().model_dump()
    assert OtherHeadSettings.model_validate_json(fitted.model_dump_json(), strict=True) == fitted
    with pytest.raises(ValidationError) as refused:
        OtherHeadSettings.model_validate({name: {"no such key": 1}})
    assert refused.value.errors()[0]["loc"] == (name, "no such key")


def test_a_recipe_that_names_no_kind_imports_none() -> None:
    code = (
        "import sys; from heads.settings import OtherHeadSettings as S; S.model_validate({'layers': [0]});"
        "print({'torch', 'sklearn', 'scipy'} & set(sys.modules)); S.model_validate({'fit': ['mlp']});"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\nFalse\n"
