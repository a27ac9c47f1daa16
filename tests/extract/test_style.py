"""Marks of style are counted by the rules of `extract.style`, on any text and in a time in proportion to its length."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.style import STYLE, StyleCounts, style_counts

PIECES = [
    "# ",
    "## H",
    "**b**",
    "__c__",
    "**",
    "- ",
    "* x",
    "1. ",
    "12) y",
    "---",
    "`",
    "```",
    "````",
    "~~~",
    "a",
    " ",
    "\t",
]
lines = st.lists(st.sampled_from(PIECES), max_size=4).map("".join)
texts = st.lists(lines, max_size=12)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", (0, 0, 0)),
        ("# One\n## Two\n   ###### Six\n####### seven\n#none\n    # code\n\t# code\n#", (3, 0, 0)),
        ("**bold** and __bold__, ***both***, ****, 2 ** 3 ** 4, **not\nhere**", (3, 0, 0)),
        ("- a\n  * b\n\t\t+ c\n1. d\n99) e\n1234567890. f\n-g\n1.5 kg\n- \n+", (0, 5, 0)),
        ("text\n---\n* * *\n- - -\n***", (0, 0, 0)),
        ("```python\n# comment\n- no\n**no**\n```\n# Yes", (1, 0, 1)),
        ("- see\n      ~~~\n      - no\n      ~~~~  \n- yes", (0, 2, 1)),
        ("````\n```\n- no\n````\n- yes\n```\n- never closed", (0, 1, 2)),
        ("```not`a fence\n- yes", (0, 1, 0)),
        ("``` \n~~~\n``` not closed\n- no", (0, 0, 1)),
        ("a\r\n# H\r\n```\r\n- no\r\n```\r- yes", (1, 1, 1)),
        ("**outside** `in line`\n```\n**inside**\n```\n**behind**", (2, 0, 1)),
    ],
)
def test_the_rules(text: str, counts: tuple[int, int, int]) -> None:
    assert style_counts(text) == StyleCounts(*counts)


def by_chatbot_arena(text: str) -> tuple[int, int]:
    """Headings and bold, and list items, as FastChat's `count_markdown_elements` finds them in a text without code."""
    headings = re.findall(r"^#{1,6}\s", text, re.MULTILINE)
    bold = re.findall(r"\*\*[^*\n]+\*\*", text) + re.findall(r"__[^_\n]+__", text)
    items = re.findall(r"^\s*\d+\.\s", text, re.MULTILINE) + re.findall(r"^\s*[-*+]\s", text, re.MULTILINE)
    return len(headings) + len(bold), len(items)


PLAIN = ["# H", "###### H", "word", "a **b** c", "__d__ e", "- item", "  * item", "1. item", "+ item", "10. item"]


@given(st.lists(st.sampled_from(PLAIN), max_size=20))
def test_plain_markdown_is_counted_as_chatbot_arena_counts_it(some: list[str]) -> None:
    found = style_counts("\n".join(some))
    assert (found.markdown, found.lists) == by_chatbot_arena("\n".join(some).strip())


@given(texts, st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(["", " ", "\n", "\r\n\t"]))
def test_ends_of_lines_and_white_space_around_a_response_change_nothing(some: list[str], end: str, around: str) -> None:
    assert style_counts(around + end.join(some) + around) == style_counts("\n".join(some))


@given(texts, texts, st.sampled_from(["```", "~~~~"]))
def test_a_block_hides_the_marks_within_it(outside: list[str], inside: list[str], fence: str) -> None:
    def whole(body: list[str]) -> str:
        return "\n".join(["start", *outside, "end", f"{fence}python", *body, fence, "end"])

    safe = [line for line in inside if not line.strip(" \t").startswith(fence[:3])]
    if style_counts("\n".join(["start", *outside, "end", "- x"])).lists == style_counts("\n".join(outside)).lists:
        return  # what stands before has left a block open
    assert style_counts(whole(safe)) == style_counts(whole([]))


@given(texts, texts)
def test_counts_of_closed_parts_add_up(one: list[str], other: list[str]) -> None:
    def closed(some: list[str]) -> str:
        return "\n".join(["a", *(line for line in some if "`" not in line and "~" not in line), "a"])

    apart = [style_counts(closed(some)) for some in (one, other)]
    assert style_counts(closed(one) + "\n" + closed(other)) == tuple(map(sum, zip(*apart, strict=True)))


@given(st.text())
def test_any_text_has_counts(text: str) -> None:
    assert all(count >= 0 for count in style_counts(text))
    assert style_counts(text)._fields == STYLE


MILLION = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        *("*" * MILLION, "_" * MILLION, "`" * MILLION, "#" * MILLION, "1" * MILLION, " " * MILLION + "- x"),
        *("**" + "a" * MILLION, "**a" * MILLION, "__a*" * MILLION, "* " * MILLION, "\t#" * MILLION),
        *("a\n" * MILLION, "\r" * MILLION, "```\n" * 100_000, "-\n" * 100_000, "\ud800" * MILLION, "\0" * MILLION),
    ],
    ids=lambda text: ascii(text[:8]),
)
def test_megabytes_of_marks_are_read_in_linear_time(text: str) -> None:
    assert all(0 <= count <= len(text) for count in style_counts(text))  # what is quadratic would not end
