"""Another error is quoted by its first line."""

import pytest

from cache.errors import first_line


@pytest.mark.parametrize(
    ("message", "quoted"),
    [("one", "one"), ("\n  one \ntwo", "one "), ("x" * 300, "x" * 200), ("", "ValueError"), (" \n ", "ValueError")],
)
def test_the_first_line_of_an_error(message: str, quoted: str) -> None:
    assert first_line(ValueError(message)) == quoted
