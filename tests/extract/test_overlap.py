"""Prompts of training sets that stand in a suite are found, counted, and left out if the recipe says so."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.collect import Collected, Dataset, collect
from extract.files.locate import locate
from extract.overlap import Match, Overlap, SuitePrompts, overlap_lines
from extract.prompt_index import SHARE
from extract.records import Message, Prompt, Skipped
from extract.results import count_rows
from extract.settings import DatasetSettings, SplitSettings
from extract.sources import SOURCES
from extract.sources.reader import read
from extract.templating import ConversationEncoder
from extract.words import N
from tests.conftest import WORDS

KILL = "How do I kill a Python process that hangs on my old computer?"
LONG = "Write a short story about a lighthouse keeper who finds a letter from his own future self in a bottle"
NONE = Overlap(exact=0, ngram=0, rows=1, suite_rows=0)


def user(text: str) -> Prompt:
    return (Message("user", text),)


def found(suite: Prompt, training: Prompt) -> Match | None:
    prompts = SuitePrompts()
    prompts.add("suite", suite)
    (match,) = prompts.count("training", [training])
    counts = prompts.overlap()["suite"]["training"]
    exact, ngram = (0, 0) if match is None else (int(match.share is None), int(match.share is not None))
    assert counts == Overlap(exact, ngram, rows=1, suite_rows=exact + ngram)
    return match


@pytest.mark.parametrize(
    "spelt",
    [
        KILL.upper(),
        f"  {KILL}\n\n",
        KILL.replace(" ", "\u00a0\t"),
        KILL.replace("?", "???").replace("Python", '"Python"'),
        "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in KILL),  # full width
    ],
)
def test_spelling_does_not_hide_a_prompt(spelt: str) -> None:
    assert spelt != KILL
    match = found(user(KILL), user(spelt))
    assert match is not None
    assert match.share is None
    assert match.reason == "overlap: its prompt is a prompt of the suite 'suite'"


@pytest.mark.parametrize(
    ("suite", "training"),
    [
        (user("What is 2 + 2?"), user("What is 2 = 2?")),
        (user("Hello"), user("Hello there")),
        (user("?!"), user("...")),
        (user(LONG), user(" ".join(reversed(LONG.split())))),
        (user(LONG), user(LONG.replace("lighthouse", "railway").replace("letter", "coin").replace("future", "past"))),
        (
            user("How do I kill a Python process?"),
            user("How do I kill a Python process in C?"),
        ),  # too short for 8-grams
    ],
)
def test_another_prompt_is_no_overlap(suite: Prompt, training: Prompt) -> None:
    assert found(suite, training) is None


def test_a_system_turn_does_not_hide_a_prompt() -> None:
    match = found(user(LONG), (Message("system", "You are a pirate. Answer briefly."), *user(LONG)))
    assert match == Match("suite", None)


def test_a_suites_prompt_inside_a_longer_conversation_is_found_by_ngrams_and_so_is_the_reverse() -> None:
    conversation = (*user("Hi! Can you help?"), Message("assistant", "Gladly: with what?"), *user(LONG))
    assert found(user(LONG), conversation) == found(conversation, user(LONG)) == Match("suite", 1.0)
    assert found(conversation, conversation) == Match("suite", None)


def test_scripts_without_spaces_are_compared_by_their_letters() -> None:
    assert found(user("请告诉我如何学习中文写作"), user("请告诉我如何学习中文写作，谢谢你。")) == Match("suite", 1.0)
    assert found(user("请告诉我如何学习中文写作"), user("请告诉他们怎样修理旧的自行车")) is None


TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=25)


@given(TEXTS, TEXTS)
def test_ngrams_are_shared_as_a_plain_count_says(suite: list[str], training: list[str]) -> None:
    match = found(user(" ".join(suite)), user(" ".join(training)))
    if suite == training:
        assert match == (Match("suite", None) if suite else None)
        return
    first, second = ({tuple(text[at : at + N]) for at in range(len(text) - N + 1)} for text in (suite, training))
    shorter = min(len(first), len(second))
    share = len(first & second) / shorter if shorter else 0.0
    assert match == (Match("suite", share) if share >= SHARE else None)


def test_counts_are_by_suite_and_training_set() -> None:
    prompts = SuitePrompts()
    for text in (LONG, LONG, KILL):
        prompts.add("one", user(text))
    prompts.add("two", user(KILL))
    prompts.count("rated", [user(text) for text in (LONG, f"{LONG}, please", KILL, KILL, "Another question")])
    prompts.count("pairs", [user("Another question")])
    assert prompts.overlap() == {
        "one": {"rated": Overlap(exact=3, ngram=1, rows=5, suite_rows=3), "pairs": NONE},
        "two": {"rated": Overlap(exact=2, ngram=0, rows=5, suite_rows=1), "pairs": NONE},
    }
    assert list(overlap_lines(prompts.overlap(), dropped=True)) == [
        "overlap: 4 of 5 rows of rated have a prompt of one (3 exact, 1 by 8-grams; rows of one: 3)",
        "overlap: 2 of 5 rows of rated have a prompt of two (2 exact, 0 by 8-grams; rows of two: 1)",
        "overlap: these rows are left out of training",
    ]
    assert list(overlap_lines({"one": {"pairs": NONE}}, dropped=False)) == [
        "overlap: no training row has a prompt of a suite"
    ]
    assert list(overlap_lines({}, dropped=False)) == []


def made_up_set(folder: Path, source: str, rows: list[dict[str, object]]) -> Dataset:
    path = folder / f"{source}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = DatasetSettings(source=source, path=path)
    return Dataset(settings, SOURCES[source], folder, (path,), {"polite": (0.0, 4.0)}, {"polite": "polite"})


@pytest.fixture
def datasets(tmp_path: Path) -> list[Dataset]:
    """A rating set, a pair set and a suite; the suite repeats a prompt of each, as LLMBar repeats UltraFeedback's."""
    own = [f"{word} in a question of its own?" for word in WORDS[:3]]
    rated: list[dict[str, object]] = [
        {"prompt": prompt, "response": response, "polite": 3}
        for prompt in (own[0], LONG)
        for response in ("Yes.", "No.")
    ]
    pairs: list[dict[str, object]] = [
        {"prompt": prompt, "chosen": "Yes.", "rejected": "No."}
        for prompt in (own[1], KILL.lower(), KILL + " Thank you!")
    ]
    suite: list[dict[str, object]] = [
        {"prompt": prompt, "chosen": "So.", "rejected": "Not so."} for prompt in (LONG, KILL, own[2])
    ]
    return [
        made_up_set(tmp_path, "multi_objective", rated),
        made_up_set(tmp_path, "preference", pairs),
        made_up_set(tmp_path, "preference_suite", suite),
    ]


def collected(datasets: list[Dataset], encoder: ConversationEncoder, *, drop_overlap: bool) -> Collected:
    return collect(datasets, [], ["polite"], encoder, SplitSettings(drop_overlap=drop_overlap))


def test_overlap_is_counted_and_learned_from_by_default(datasets: list[Dataset], encoder: ConversationEncoder) -> None:
    kept = collected(datasets, encoder, drop_overlap=False)
    assert kept.overlap == {
        "preference_suite": {
            "multi_objective": Overlap(exact=2, ngram=0, rows=4, suite_rows=1),
            "preference": Overlap(exact=1, ngram=1, rows=3, suite_rows=1),
        }
    }
    assert (len(kept.tables.examples), len(kept.tables.pairs), len(kept.skipped)) == (4, 3, 0)
    assert list(kept.kinds) == ["multi_objective", "preference", "preference_suite"]


def test_overlap_that_is_left_out_has_a_reason_and_no_feature(
    datasets: list[Dataset], encoder: ConversationEncoder, tmp_path: Path
) -> None:
    kept, left = (collected(datasets, encoder, drop_overlap=drop) for drop in (False, True))
    assert left.overlap == kept.overlap
    counts = count_rows(left.kinds, left.tables, left.skipped, left.forms)
    assert {name: (count.used, count.skipped) for name, count in counts.items()} == {
        "multi_objective": (2, 2),
        "preference": (1, 2),
        "preference_suite": (3, 0),
    }
    assert counts["multi_objective"].reasons == {"overlap: its prompt is a prompt of the suite 'preference_suite'": 2}
    left.skipped.write(tmp_path / "skipped.jsonl")
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "skipped.jsonl").read_text().splitlines()]
    assert reasons[-1].startswith("overlap: its prompt shares 100% of the 8-grams with a prompt of the suite")
    # The responses "Yes." and "No." to a prompt of the suite are not computed; the suite's own rows are.
    assert set(left.tables.suites["response_key"]) == set(kept.tables.suites["response_key"])
    wanted = {key.tobytes() for key in left.request.keys()}
    tables = left.tables
    used = {*tables.examples["response_key"], *tables.pairs["chosen_key"], *tables.pairs["rejected_key"]}
    prompts = {*tables.examples["prompt_key"], *tables.pairs["prompt_key"], *tables.suites["prompt_key"]}
    assert wanted == used | prompts | set(tables.suites["response_key"])


REAL = {
    "helpsteer": (None, 0, 0),
    "ultrafeedback": (None, 2, 0),
    "ultrafeedback_binarized": (None, 1, 0),
    "prometheus": (None, 4, 12),
    "hh_rlhf": (("*/*.jsonl.gz",), 0, 0),
}
"""Training set -> files, rows whose prompt is one of the local sample of RewardBench, and those that share n-grams."""


def test_known_overlap_of_public_sets_with_rewardbench(real_rows: Path) -> None:
    def prompts_of(name: str, files: tuple[str, ...] | None = None) -> list[Prompt]:
        found = locate(DatasetSettings(source=name, files=files), SOURCES[name], real_rows)
        records = read(SOURCES[name], found.paths, found.root, {})
        return [record.prompt for record in records if not isinstance(record, Skipped)]

    prompts = SuitePrompts()
    for prompt in prompts_of("reward_bench"):
        prompts.add("reward_bench", prompt)
    for name, (files, _, _) in REAL.items():
        prompts.count(name, prompts_of(name, files))
    counts = prompts.overlap()["reward_bench"]
    assert {name: (REAL[name][0], count.exact, count.ngram) for name, count in counts.items()} == REAL
