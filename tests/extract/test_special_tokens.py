"""Special tokens in a text: the one that is found is the first of the list, as if each were looked for."""

from hypothesis import given
from hypothesis import strategies as st

from extract.special_tokens import TokenFinder

PIECES = st.text("<|/s>ab", max_size=4)


@given(tokens=st.lists(PIECES, max_size=8), text=st.lists(PIECES, max_size=8).map("".join))
def test_the_token_found_is_the_first_that_the_text_spells(tokens: list[str], text: str) -> None:
    assert TokenFinder(tokens)(text) == next((token for token in tokens if token in text), None)


def test_a_token_is_found_among_hundreds_that_begin_alike() -> None:
    find = TokenFinder([f"<|reserved_{number}|>" for number in range(300)] + ["<s>"])
    assert find("a < b <| c, <s > and <|reserved_300|>") is None
    assert find("<s> and <|reserved_299|>") == "<|reserved_299|>"
