"""Whatever goes wrong at a border becomes one sentence that can be printed."""

import pytest

from cache import UserError
from cache.errors import first_line, refusing


@pytest.mark.parametrize(
    "error", [KeyError("x"), MemoryError(), RecursionError("too deep"), ZeroDivisionError(), OSError(2, "gone")]
)
def test_any_error_is_named_by_its_kind(error: Exception) -> None:
    sentence = rf"^x\.json is damaged \({type(error).__name__}.*\): fetch it again$"
    with pytest.raises(UserError, match=sentence), refusing("x.json is damaged", "fetch it again"):
        raise error


def test_a_sentence_from_inside_stays_and_an_interrupt_passes() -> None:
    with pytest.raises(UserError, match=r"^one sentence$"), refusing("no", "no"):
        raise UserError("one sentence")
    with pytest.raises(KeyboardInterrupt), refusing("no", "no"):
        raise KeyboardInterrupt


def test_a_message_prints_whatever_it_quotes() -> None:
    assert str(UserError("row '\ud83d\x1b[2J\x1f' of é 猫\nand")) == r"row '\ud83d\x1b[2J\x1f' of é 猫" + "\nand"


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("one\ntwo", "one"),
        ("\n one \n", "one"),
        ("not valid:\n  it is 5\nmore", "not valid: it is 5"),
        ("", "ValueError"),
        (" \n ", "ValueError"),
        ("x" * 300, "x" * 200),
        ("\ud83d \x1b[2J é 猫", r"\ud83d \x1b[2J é 猫"),
        ("a" * 300, "a" * 200),
    ],
)
def test_the_first_line_says_what_is_wrong_and_prints(message: str, line: str) -> None:
    assert first_line(ValueError(message)) == line
