"""The sieve passes every prompt that the index finds, and few others."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from extract import ngram_sieve
from extract.ngram_sieve import NgramSieve
from extract.prompt_index import PromptIndex
from extract.records import Message, Prompt
from extract.words import N, folded, words

PIECES = st.sampled_from(
    [
        "a",
        "B",
        "c1",
        "É",
        "e\u0301",
        "ß",
        "+",
        "<=",
        "a_b",
        "^",
        "-",
        "“",
        "Ｆ",
        "中文",
        "ไทย",
        "\ud800",
        "\x00",
        "\x85",
        "²",
    ]
)
TEXTS = st.lists(st.lists(PIECES, max_size=14).map(" ".join) | st.lists(PIECES, max_size=14).map("".join), max_size=4)


def user(text: str) -> Prompt:
    return (Message("system", "Be brief."), Message("user", text))


def sieve_of(prompts: list[Prompt]) -> NgramSieve:
    sieve = NgramSieve()
    for prompt in prompts:
        sieve.add(prompt)
    return sieve


def ngrams(prompt: Prompt) -> set[tuple[str, ...]]:
    spelt = words(prompt)
    return {tuple(spelt[at : at + N]) for at in range(len(spelt) - N + 1)}


@given(suite=TEXTS, training=TEXTS)
def test_a_prompt_passes_if_it_shares_an_ngram_or_has_none(suite: list[str], training: list[str]) -> None:
    suites, prompts = [user(text) for text in suite], [user(text) for text in training]
    index = PromptIndex()
    for prompt in suites:
        index.add(prompt)
    stored = {gram for prompt in suites for gram in ngrams(prompt)}
    passed = sieve_of(suites).passes(prompts)
    assert passed.tolist() == [not ngrams(prompt) or bool(ngrams(prompt) & stored) for prompt in prompts]
    assert all(passed[number] for number, prompt in enumerate(prompts) if index.find(prompt))


def test_many_prompts_are_told_apart_in_blocks_of_any_size() -> None:
    rng = np.random.default_rng(0)
    vocabulary = np.array([f"word{number}" for number in range(300)])

    def drawn(count: int) -> list[Prompt]:
        return [user(" ".join(rng.choice(vocabulary, rng.integers(0, 60)))) for _ in range(count)]

    suite, prompts = drawn(300), drawn(300)
    prompts[17] = prompts[205] = suite[123]
    sieve = sieve_of(suite[:200])
    expected = [len(words(prompt)) < N or number in (17, 205) for number, prompt in enumerate(prompts)]
    assert sieve.passes(prompts).tolist() == expected
    one_by_one = [bool(sieve.passes([prompt])[0]) for prompt in prompts]
    assert one_by_one == expected
    sieve.add(prompts[42])
    expected[42] = True
    assert sieve.passes(prompts).tolist() == expected
    longer = [*prompts * 20, user(" ".join(vocabulary) * 100)]
    assert sum(len(folded(prompt)) for prompt in longer) > 10 * ngram_sieve.BLOCK_CHARACTERS
    assert sieve.passes(longer).tolist() == [*expected * 20, False]
