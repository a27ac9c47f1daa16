"""Reasons are counted by kind, each shown by an example in which nothing is blanked."""

import pytest

from extract.records import Skipped
from extract.skipped import SkippedRows


def reasons(*given: str) -> dict[str, int]:
    rows = SkippedRows()
    rows.add("other", Skipped("f#0", "another set's reason"))
    for number, reason in enumerate(given):
        rows.add("set", Skipped(f"f#{number}", reason))
    return rows.reasons("set")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("the rating 'wit' is 7, outside 0 to 4", "the rating 'wit' is -1.5e+300, outside 0 to 4"),
        ("column 'turns'[0] has the role 'tool'", "column 'turns'[12] has the role 'critic'"),
        ("column 'a' is missing; the row has 'x'", "column 'a' is missing; the row has 'y', \"it's\" and 'z'"),
        ("column 'a' is missing; the row has 'x' and 'y'", "column 'a' is missing; the row has 'y', 'z' and 12 more"),
        ("column 'a' is not UTF-8: byte 0xe9 at 3", "column 'a' is not UTF-8: byte 0xff at 5"),
    ],
)
def test_reasons_of_one_kind_are_counted_by_their_first(first: str, second: str) -> None:
    assert reasons(first, second, first) == {first: 3}
    assert reasons(second, first) == {second: 2}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("column 'chosen' is missing; the row has 'x'", "column 'prompt' is missing; the row has 'x'"),
        ("the rating 'wit' is 7, outside 0 to 4", "the rating 'style' is 7, outside 0 to 4"),
    ],
)
def test_columns_and_ratings_are_kinds_of_their_own_the_most_frequent_first(first: str, second: str) -> None:
    assert list(reasons(first, second, second).items()) == [(second, 2), (first, 1)]
