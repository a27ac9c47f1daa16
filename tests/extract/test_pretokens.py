"""Ids by way of pre-tokens are the tokenizer's own, or there are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from extract import pretokens
from extract.pretoken_pattern import ALPHABET, OUTSIDE, pattern_of
from extract.pretokens import PretokenIds, pretoken_ids
from tests.conftest import TINY

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
BEFORE = r"[^\r\n\p{L}\p{N}]?"
EXPRESSIONS = {
    "Llama 3": rf"{CONTRACTIONS}|{BEFORE}\p{{L}}+|\p{{N}}{{1,3}}|{REST}",
    "Qwen 2": rf"{CONTRACTIONS}|{BEFORE}\p{{L}}+|\p{{N}}|{REST}",
    "GPT-4o": rf"{BEFORE}{UPPER}*{LOWER}+{CONTRACTIONS}?|{BEFORE}{UPPER}+{LOWER}*{CONTRACTIONS}?|\p{{N}}{{1,3}}|"
    + REST.replace(r"[\r\n]*", r"[\r\n/]*"),
    "words alone": r"\p{L}+",  # what is between them is a pre-token too
}
FAMILIES = (*EXPRESSIONS, "GPT-2", "SmolLM2", "tiny")


def made_like(family: str) -> Tokenizer:
    """The bundled tokenizer with another family's pre-tokens."""
    tokenizer = Tokenizer.from_file(str(TINY / "tokenizer.json"))
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if family in EXPRESSIONS:
        split = pre_tokenizers.Split(Regex(EXPRESSIONS[family]), "isolated")
        level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, level])
    elif family == "SmolLM2":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), level])
    elif family == "GPT-2":
        tokenizer.pre_tokenizer = level
    if family == "Qwen 2":
        tokenizer.normalizer = normalizers.NFC()
    return tokenizer


@pytest.fixture(scope="module", params=FAMILIES)
def both(request: pytest.FixtureRequest) -> tuple[Tokenizer, PretokenIds]:
    tokenizer = made_like(request.param)
    made = pretoken_ids(tokenizer)
    assert made is not None
    return tokenizer, made


LETTERS = st.text(
    st.sampled_from(ALPHABET) | st.sampled_from("aZ '\n\t019.") | st.characters(codec="utf-8"), max_size=9
)
PIECES = st.sampled_from(
    [
        *("'S", "'ll", "'t", "don't", " word", "WORD", "Word", "é", "ÿ", "\u0131", "İ", "ĸ", "1234", "²½", "_", "`x`"),
        *("\r\n", "\n\n", "\t", " ", "  ", "   x", "\u00a0", "\x85", "\x1c", "\x0b", "\u2028", "\u3000", "\u200b"),
        *("--", "…", "“a”", "—", "≠", "=\u0338", "e\u0301", "/", "ſ", "\u212a", "猫", "🚀", "\ufe0f"),
        *("<|eot_id|>", "<|begin_of_text|>", "<|eot_id|"),
    ]
)
TEXTS = st.lists(PIECES | LETTERS, max_size=12).map("".join)


@given(text=TEXTS)
def test_the_ids_are_the_tokenizers(both: tuple[Tokenizer, PretokenIds], text: str) -> None:
    tokenizer, made = both
    for _ in range(2):  # merged, and kept
        ids = made(text)
        assert ids is None or ids.tolist() == tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "words alone"])
def test_every_text_of_the_alphabet_has_ids(family: str) -> None:
    made = pretoken_ids(made_like(family))
    assert made is not None
    ids = made(ALPHABET)
    assert ids is not None
    assert ids.tolist() == made_like(family).encode(ALPHABET, add_special_tokens=False).ids
    assert not OUTSIDE.search(ALPHABET)
    assert all(OUTSIDE.search(letter) for letter in "ſ\u2028\u200b\u212a猫\ufe0f\u0301")
    assert made("猫") is None


def test_what_no_expression_matches_has_no_ids_here() -> None:
    made = pretoken_ids(made_like("words alone"))
    assert made is not None
    assert made("one two") is None
    assert made("one") is not None


def test_few_pretokens_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretokens, "MOST_KEPT", 40)
    tokenizer = made_like("GPT-2")
    made = pretoken_ids(tokenizer)
    assert made is not None
    text = " ".join(f"word{number}x" for number in range(100)) + " a" + "b" * 100
    for _ in range(2):
        ids = made(text)
        assert ids is not None
        assert ids.tolist() == tokenizer.encode(text, add_special_tokens=False).ids
    assert len(made._kept) == 40


def test_a_tokenizer_that_is_not_known_has_none() -> None:
    def without(**parts: object) -> PretokenIds | None:
        tokenizer = made_like("GPT-2")
        for name, part in parts.items():
            setattr(tokenizer, name, part)
        return pretoken_ids(tokenizer)

    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert without() is not None
    assert without(pre_tokenizer=None) is None
    assert without(pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True)) is None
    assert without(pre_tokenizer=pre_tokenizers.Metaspace()) is None
    assert without(pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), level])) is None
    assert without(pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.Digits(), level])) is None
    removed = pre_tokenizers.Split(Regex(r"\s+"), "removed")
    assert without(pre_tokenizer=pre_tokenizers.Sequence([removed, level])) is None
    assert without(normalizer=normalizers.NFKC()) is None
    assert without(model=models.BPE({"a": 0}, [], dropout=0.1)) is None
    assert without(model=models.WordLevel({"a": 0})) is None
    lower = made_like("GPT-2")
    lower.add_tokens(["a word"])  # normalised, as tokens are that are added by their text alone
    assert pretoken_ids(lower) is None


UNKNOWN = (
    *(r"\d+", r"\w+", r"\P{L}", r"\p{P}", r"[^\S]", r"\bx", "[a-z]+", "[[:alpha:]]", "[a", "(a)", "(?=a)", "(?<=a)b"),
    *("a++", ".", "^a", "a$", "(?i:ss)", "(?i:i)", r"\s*", "a|", "(?:a+)+", "(?:a*){2}"),
)


@pytest.mark.parametrize("expression", UNKNOWN)
def test_an_expression_with_a_part_that_is_not_known_is_none(expression: str) -> None:
    assert pattern_of(expression) is None
