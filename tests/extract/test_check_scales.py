"""Ratings against the recipe's scale, and licences by their names."""

import pytest

from extract.check.licences import forbids_commercial_use
from extract.check.scales import Histogram, doubt, histograms
from extract.records import Message, RatedResponse


def of(values: list[float], low: float, high: float) -> Histogram:
    records = [RatedResponse("r", (Message("user", "Q"),), "A", {"good": value, "other": 1.0}) for value in values]
    return histograms(records, {"good": (low, high)})["good"]


def test_a_histogram_counts_each_whole_number() -> None:
    found = of([1, 2, 2, 5, 7], 1, 5)
    assert found.counts == (1, 2, 0, 0, 1)
    assert (found.ratings, found.off, found.smallest, found.largest) == (5, 1, 1, 7)
    assert found.bars() == "▄█··▄"


def test_ratings_between_whole_numbers_are_counted_in_tenths() -> None:
    assert of([0.05, 0.95, 1.0], 0, 1).counts == (1, 0, 0, 0, 0, 0, 0, 0, 0, 2)


@pytest.mark.parametrize(
    ("values", "low", "high", "stops", "said"),
    [
        (
            [1, 2, 3, 4, 5] * 10,
            1,
            10,
            True,
            "the lower half of the recipe's scale of 1 to 10: if",
        ),
        ([0.1, 0.9] * 20, 0, 10, True, "if the set's scale is 0 to 1, give it"),
        ([0, 1, 2] * 20, 0, 4, False, "the lower half of the recipe's scale of 0 to 4"),
        ([0] * 40, 0, 1, False, "the lower half"),
        ([6, 8, 10] * 12, 1, 5, True, "36 of 36 are off the recipe's scale of 1 to 5: if the set's scale is 1 to 10"),
        (
            [1, 2, 3, 4, 5, 5] * 10,
            0,
            4,
            True,
            "20 of 60 are off the recipe's scale of 0 to 4: if",
        ),
        ([1, 2, 3, 4, 4, 3, 2, 1, 2, 5] * 4, 0, 4, False, "4 of 40 are off the recipe's scale of 0 to 4"),
        ([1, 2000] * 20, 1, 5, True, "look at the set's card and give its scale"),
    ],
)
def test_a_scale_that_cannot_be_right_is_named(
    values: list[float], low: float, high: float, stops: bool, said: str
) -> None:
    about = doubt("good", of(values, low, high))
    assert about is not None
    assert said in about[0]
    assert about[0].startswith(f"the ratings 'good' that were read go from {min(values):g} to {max(values):g}")
    assert about[1] is stops


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([1, 2, 3, 4, 5] * 10, 1, 5),
        ([1, 2, 3] * 3, 1, 10),  # too few to judge
        ([1, 2, 3, 4, 5] * 10 + [7], 1, 5),  # one wrong rating, as public sets have them
        ([5, 6, 7] * 20, 1, 10),
    ],
)
def test_a_scale_that_can_be_right_is_not(values: list[float], low: float, high: float) -> None:
    assert doubt("good", of(values, low, high)) is None


@pytest.mark.parametrize("licence", ["cc-by-nc-4.0", "CC BY-NC-SA 4.0", "research-only", "noncommercial"])
def test_licences_that_forbid_commercial_use(licence: str) -> None:
    assert forbids_commercial_use(licence)


@pytest.mark.parametrize("licence", ["mit", "odc-by", "apache-2.0", "cc-by-4.0", "llama3", "ncsa", "openrail", None])
def test_licences_that_do_not(licence: str | None) -> None:
    assert not forbids_commercial_use(licence)
