"""scikit-learn's own checks of its conventions, on `MaskedRidge`."""

import pytest
from sklearn.utils.estimator_checks import check_estimator

from heads.ridge.estimator import MaskedRidge

ALLOWED = {
    "check_supervised_y_no_nan": "a target that is NaN is one that nobody rated, which is what this estimator is for"
}
"""Checks that cannot hold, and why."""

SKIPPED = {
    "check_array_api_input",  # unless SCIPY_ARRAY_API is set; the estimator takes NumPy arrays
    "check_regressor_data_not_an_array",  # without pandas, which nothing here needs
}
"""Checks that scikit-learn may skip."""


@pytest.mark.parametrize("options", [{}, {"fit_intercept": True}])
def test_it_passes_scikit_learns_checks(options: dict[str, bool]) -> None:
    results = check_estimator(MaskedRidge(**options), expected_failed_checks=ALLOWED, on_fail=None, on_skip=None)
    assert len(results) > 40
    assert {one["check_name"] for one in results if one["status"] == "xfail"} == set(ALLOWED)
    assert {one["check_name"] for one in results if one["status"] == "skipped"} <= SKIPPED
    assert [(one["check_name"], one["exception"]) for one in results if one["status"] == "failed"] == []
