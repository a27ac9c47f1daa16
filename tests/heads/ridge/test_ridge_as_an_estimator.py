"""scikit-learn's own checks of its conventions, on `MaskedRidge`."""

from typing import Any

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from heads.ridge.estimator import MaskedRidge

ALLOWED = {
    "check_supervised_y_no_nan": "a target that is NaN is one that nobody rated, which is what this estimator is for",
    "check_array_api_input": "skipped by scikit-learn unless SCIPY_ARRAY_API is set; it takes NumPy arrays",
    "check_regressor_data_not_an_array": "skipped by scikit-learn without pandas, which nothing here needs",
}
"""Checks that cannot hold, and why."""


def name_of(check: Any) -> str:
    return str(getattr(check, "func", check).__name__)


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{name_of(check)}-{'-'.join(map(str, estimator.get_params().values()))}")
        for options in ({}, {"fit_intercept": True})
        for estimator, check in estimator_checks_generator(MaskedRidge(**options))
        if name_of(check) not in ALLOWED
    ],
)
def test_it_passes_scikit_learns_check(estimator: Any, check: Any) -> None:
    check(estimator)
