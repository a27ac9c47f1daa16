"""Every sentence that the program can say: they are listed in docs/messages.md, and keep the rules of the house."""

import re

import pytest

from pipelines.messages import Sentence, messages_page, sentences
from tests.pipelines.conftest import ROOT

LONGEST = 240
"""Largest number of characters of a sentence without its values."""

VERBS = """
    accept add ask change check choose close correct count decrypt export fetch fit free give install judge leave let
    log look lower make merge move name pick put read remove rename run save see set stop take unset use wait write
"""
"""Words with which a remedy begins."""

PASSED_ON = ("<sentence>", "<remedy>", "<error>", "<refused>")
"""Values that are sentences from elsewhere in the list, with a remedy of their own."""

WITHOUT_REMEDY = {
    "prompt_end_offset is beyond the end of prompt_end": "read_config adds a remedy to what is said of config.json",
    "<name> is no name that can be shown": "as above",
    "<name> is the name of two objectives": "as above",
    "verbosity <unknown> is none of the objectives": "as above",
    "the moments of the reference set are of other objectives": "as above",
    "<number> things stand in the way of this run:<lines>": "each line is a sentence with its remedy",
    "a quantile head needs ratings, and there are none": "of an estimator, for whoever calls it from Python",
    "<name> can be read from the disk alone, and <size> MB are not fetched for a check: its rows are not known": (
        "a warning of `armorm check`, after which nothing is to be done"
    ),
}
"""Refusal -> why it ends without a remedy."""


@pytest.fixture(scope="module")
def said() -> list[Sentence]:
    return sentences()


def test_the_page_of_messages_is_the_codes_own() -> None:
    assert (ROOT / "docs" / "messages.md").read_text() == messages_page()


def test_every_kind_is_found(said: list[Sentence]) -> None:
    """Also by way of functions, constants and classes that make sentences."""
    texts = {
        kind: [one.text for one in said if one.kind == kind] for kind in ("refusal", "skipped", "logged", "answer")
    }
    assert all(len(each) > 15 for each in texts.values())
    assert "there is no recipe <path>: name a TOML file, such as recipes/demo.toml" in texts["refusal"]
    assert (
        "<path> is gone although the manifest names it: run `armorm cache verify --repair`, and the next `armorm"
        " extract` computes again what is lost"
    ) in texts["refusal"]
    assert "the response is empty" in texts["skipped"]
    assert "<key> cannot be read (<cause>)" not in texts["skipped"]
    assert "a shard is being sealed, which takes a moment" in texts["logged"]
    assert "give either input or messages" in texts["answer"]


def has_remedy(text: str) -> bool:
    """Whether a part of the sentence says what to do: in the imperative, by an option, or by what must be."""
    parts = re.split(r"[:;] (?:if [^,]*, )?", text)
    first_words = {part.partition(" ")[0] for part in parts}
    said = not first_words.isdisjoint(VERBS.split()) or parts[-1].startswith("--")
    return said or " must " in text or text.endswith(PASSED_ON) or "<message>" in text


def test_every_refusal_says_what_helps(said: list[Sentence]) -> None:
    without = {one.text for one in said if one.kind == "refusal" and not has_remedy(one.text)}
    assert without == set(WITHOUT_REMEDY)


def test_no_sentence_is_vague_or_shouts(said: list[Sentence]) -> None:
    vague = re.compile(
        r"\b(?:invalid|illegal|failed to|unable to|an error occurred|something went|oops|please|sorry)\b", re.I
    )
    for one in said:
        assert not vague.search(one.text), one
        assert not one.text.endswith((".", "!", " ")), one
        assert "  " not in one.text, one
        assert "…" not in one.text, one
        assert "!" not in re.sub(r"<[^>]*>|'[^']*'|`[^`]*`", "", one.text), one


def test_no_sentence_is_too_long_to_be_read_once(said: list[Sentence]) -> None:
    lengths = {one.text: len(re.sub(r"<[^>]*>", "", one.text)) for one in said}
    assert {text for text, length in lengths.items() if length > LONGEST} == set()


def test_sentences_begin_with_a_small_letter_or_a_name(said: list[Sentence]) -> None:
    names = ("Ray", "Expecting ',' delimiter")  # the second is what Python's reader of JSON says
    wrong = [one for one in said if one.text[:1].isupper() and not one.text.startswith(names)]
    assert wrong == []
