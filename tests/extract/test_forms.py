"""The forms in which people write pairs and ratings: each is read and named, and other shapes are refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from extract.records import Message, PreferencePair, Prompt, RatedResponse, Skipped, SuiteItem
from extract.sources import SOURCES
from extract.sources.reader import read
from extract.sources.shapes import KNOWN
from tests.extract.rows import reason, records, talk, user

MULTI: Prompt = (Message("user", "Q1"), Message("assistant", "A1"), Message("user", "Q2"))
SYSTEM = Message("system", "Be brief.")


def share(*texts: str) -> list[dict[str, str]]:
    """ShareGPT turns of human and gpt."""
    return [{"from": ("human", "gpt")[place % 2], "value": text} for place, text in enumerate(texts)]


def human(*texts: str) -> str:
    return "".join(f"\n\n{('Human', 'Assistant')[place % 2]}: {text}" for place, text in enumerate(texts))


def answer(text: str) -> dict[str, str]:
    return {"from": "gpt", "value": text}


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


TEXTS = {"chosen": "good", "rejected": "bad"}

PAIRS: dict[str, tuple[dict[str, Any], str, Prompt]] = {
    "plain": ({"prompt": "Q", **TEXTS}, "prompt, chosen, rejected: texts", user("Q")),
    "TRL, implicit prompt": (
        {"chosen": talk("Q1", "A1", "Q2", "good"), "rejected": talk("Q1", "A1", "Q2", "bad")},
        "chosen, rejected: messages",
        MULTI,
    ),
    "TRL, explicit prompt": (
        {"prompt": talk("Q1", "A1", "Q2"), "chosen": said("good"), "rejected": said("bad")},
        "prompt, chosen, rejected: messages",
        MULTI,
    ),
    "ShareGPT, whole": (
        {"chosen": share("Q1", "A1", "Q2", "good"), "rejected": share("Q1", "A1", "Q2", "bad")},
        "chosen, rejected: ShareGPT turns",
        MULTI,
    ),
    "LLaMA-Factory, ShareGPT": (
        {"conversations": share("Q1", "A1", "Q2"), "chosen": answer("good"), "rejected": answer("bad")},
        "conversations, chosen, rejected: ShareGPT turns",
        MULTI,
    ),
    "LLaMA-Factory, ShareGPT with system": (
        {"conversations": share("Q"), "system": "Be brief.", "chosen": answer("good"), "rejected": answer("bad")},
        "conversations, system, chosen, rejected: ShareGPT turns",
        (SYSTEM, *user("Q")),
    ),
    "LLaMA-Factory, OpenAI": (
        {"messages": talk("Q"), "chosen": said("good")[0], "rejected": said("bad")[0]},
        "messages, chosen, rejected: messages",
        user("Q"),
    ),
    "messages and texts": ({"messages": talk("Q"), **TEXTS}, "messages, chosen, rejected: texts", user("Q")),
    "Alpaca": (
        {"instruction": "Add.", "input": "2 and 3", **TEXTS},
        "instruction, input, chosen, rejected: texts",
        user("Add.\n2 and 3"),
    ),
    "Alpaca, empty input": (
        {"instruction": "Add 2 and 3.", "input": "", "history": [], "system": "", **TEXTS},
        "instruction, chosen, rejected: texts",
        user("Add 2 and 3."),
    ),
    "Alpaca, history": (
        {"instruction": "Q2", "history": [["Q1", "A1"]], "system": "Be brief.", **TEXTS},
        "instruction, system, history, chosen, rejected: texts",
        (SYSTEM, *MULTI),
    ),
    "Orca": (
        {"system": "Be brief.", "question": "Q", **TEXTS},
        "question, system, chosen, rejected: texts",
        (SYSTEM, *user("Q")),
    ),
    "dialogues in texts": (
        {"chosen": human("Q1", "A1", "Q2", "good"), "rejected": human("Q1", "A1", "Q2", "bad")},
        "chosen, rejected: '\\n\\nHuman:' in a text",
        MULTI,
    ),
    "dialogues in texts beside their prompt": (
        {
            "prompt": human("Q1", "A1", "Q2") + "\n\nAssistant:",
            "chosen": human("Q1", "A1", "Q2", "good"),
            "rejected": human("Q1", "A1", "Q2", "bad"),
        },
        "chosen, rejected: '\\n\\nHuman:' in a text",
        MULTI,
    ),
    "a dialogue as the prompt": (
        {"prompt": human("Q1", "A1", "Q2") + "\n\nAssistant:", **TEXTS},
        "prompt, chosen, rejected: texts",
        MULTI,
    ),
    "CSV of messages": (
        {
            "prompt": "Q2",
            "chosen": json.dumps(talk("Q1", "A1", "Q2", "good")),
            "rejected": json.dumps(talk("Q1", "A1", "Q2", "bad")),
        },
        "chosen, rejected: JSON in a text",
        MULTI,
    ),
    "CSV of messages, explicit prompt": (
        {"prompt": repr(talk("Q1", "A1", "Q2")), "chosen": repr(said("good")), "rejected": repr(said("bad"))},
        "prompt, chosen, rejected: JSON in a text",
        MULTI,
    ),
    "Orca, Argilla's": (
        {"system": "Be brief.", "input": "Q", **TEXTS},
        "input, system, chosen, rejected: texts",
        (SYSTEM, *user("Q")),
    ),
    "whole conversations and a system column": (
        {"system": "Be brief.", "chosen": talk("Q", "good"), "rejected": talk("Q", "bad")},
        "system, chosen, rejected: messages",
        (SYSTEM, *user("Q")),
    ),
    "parts of text": (
        {"prompt": [{"role": "user", "content": [{"type": "text", "text": "Q"}]}], **TEXTS},
        "prompt, chosen, rejected: texts",
        user("Q"),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_preference_reads_and_names_each_form(name: str) -> None:
    row, form, prompt = PAIRS[name]
    (pair,) = records("preference", row)
    assert pair == PreferencePair("f#7", prompt, "good", "bad")
    assert not isinstance(pair, Skipped)
    assert pair.form == form


@pytest.mark.parametrize("name", PAIRS)
def test_a_suite_reads_the_same_forms(name: str) -> None:
    row, form, prompt = PAIRS[name]
    (item,) = records("preference_suite", row)
    assert item == SuiteItem("f#7", "all", prompt, ("good",), ("bad",))
    assert not isinstance(item, Skipped)
    assert item.form == form


@pytest.mark.parametrize("name", PAIRS)
def test_columns_that_are_null_change_nothing(name: str) -> None:
    """A table of several sets has the columns of all of them."""
    row, _, prompt = PAIRS[name]
    whole = dict.fromkeys(SOURCES["preference"].columns) | row
    assert records("preference", whole) == [PreferencePair("f#7", prompt, "good", "bad")]


def test_a_response_that_is_a_conversation_stays_a_response() -> None:
    """Somebody asks for a dialogue, or for a list of messages, and gets one."""
    for good, bad in (
        (human("Hi", "Hello"), human("Hi", "Go away")),
        (json.dumps(talk("Hi", "Hello")), json.dumps(talk("Hi", "Go away"))),
        (human("Hi", "Hello"), "No."),
        ("Human: Hi\nAssistant: Hello", "Human: Hi\nAssistant: Go"),
    ):
        row = {"prompt": "Write a talk of two lines.", "chosen": good, "rejected": bad}
        assert records("preference", row) == [PreferencePair("f#7", user(row["prompt"]), good, bad)]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"chosen": human("Q", "a"), "rejected": human("R", "b")}, "chosen and rejected differ before their last turn"),
        (
            {"chosen": human("Q", "a"), "rejected": "b"},
            "column 'prompt' is missing; the row has 'chosen'",
        ),
        ({"chosen": human("Q", "a", "c"), "rejected": human("Q", "b", "c")}, "it spells a conversation"),
        ({"prompt": "Q", "chosen": human("Q", "a"), "rejected": human("Q", "")}, "it spells a conversation"),
        ({**TEXTS, "id": 3}, "column 'prompt' is missing; the row has 'chosen', 'rejected' and 'id'"),
        (
            {"conversations": share("Q", "A"), **TEXTS},
            "column 'prompt' is missing; the row has 'conversations'",
        ),
        (
            {"chosen": said("good"), "rejected": said("bad")},
            "column 'chosen' begins with the assistant, and no column says what was asked",
        ),
        ({"instruction": "Q", "history": ["a"], **TEXTS}, "column 'history'[0] is not a question and its answer"),
        ({"instruction": "Q", "history": [["a", ""]], **TEXTS}, "column 'history'[0] is empty"),
        ({"instruction": 3, **TEXTS}, "column 'instruction' is int, expected text"),
        (
            {"question": "Q", "reply": "A", "n": None},
            "column 'chosen' is missing; the row has 'question', 'reply'",
        ),
        ({}, "column 'chosen' is missing; the row has no column"),
        (
            {"prompt": "Q", "chosen": [{"role": "user", "content": [{"type": "image_url"}]}], "rejected": said("b")},
            "column 'chosen'[0].content[0] is a part of the type 'image_url'",
        ),
    ],
)
def test_preference_refuses_by_name(row: dict[str, Any], why: str) -> None:
    (refused,) = records("preference", row)
    assert reason(refused).startswith(why)


@pytest.mark.parametrize(
    ("scores", "margin"),
    [({"chosen-rating": 5, "rejected-rating": "3"}, 2.0), ({"chosen_rating": 4.5, "rejected_rating": 4}, 0.5)],
)
def test_scores_in_argillas_columns_are_margins(scores: dict[str, Any], margin: float) -> None:
    assert records("preference", {"prompt": "Q", **TEXTS, **scores}) == [
        PreferencePair("f#7", user("Q"), "good", "bad", margin)
    ]


def ranked(*ranks: Any) -> list[dict[str, Any]]:
    return [{"answer": f"a{place}", "rank": rank, "model": "m"} for place, rank in enumerate(ranks)]


def test_a_ranked_list_gives_the_best_against_one_below_it() -> None:
    drawn = set()
    for number in range(40):
        (pair,) = records("preference", {"prompt": f"Q{number}", "answers": ranked(3.0, 1.0, 2.0, 4.0)})
        assert isinstance(pair, PreferencePair)
        assert (pair.chosen, pair.form) == ("a1", "prompt, answers: ranked")
        assert pair.margin == {"a0": 2.0, "a2": 1.0, "a3": 3.0}[pair.rejected]
        drawn.add(pair.rejected)
        again = records("preference", {"prompt": f"Q{number}", "answers": ranked(3.0, 1.0, 2.0, 4.0)})
        assert again == [pair]
    assert drawn == {"a0", "a2", "a3"}


def test_answers_of_one_rank_give_no_pair() -> None:
    (pair,) = records("preference", {"prompt": "Q", "answers": ranked(1, 1, 2)})
    assert isinstance(pair, PreferencePair)
    assert (pair.chosen, pair.rejected) == ("a0", "a2")
    for answers, why in (
        (ranked(1, 1, 1), "no answer is ranked below another"),
        (ranked(1), "no answer is ranked below another"),
        (ranked(1, None), "answers[1] has no rank"),
        (ranked(1, "second"), "the rank of answers[1] is 'second', expected a number"),
        (["a", "b"], "answers[0] is str, expected an object"),
        ([{"answer": "", "rank": 1}], "answers[0].answer is empty"),
        ([{"answer": "a", "rank": 1}, {"answer": "a ", "rank": 2}], "chosen and rejected are the same text"),
    ):
        assert reason(records("preference", {"prompt": "Q", "answers": answers})[0]) == why


RATINGS: dict[str, tuple[dict[str, Any], str, Prompt]] = {
    "messages": ({"messages": talk("Q1", "A1", "Q2", "R")}, "messages: messages", MULTI),
    "ShareGPT": ({"conversations": share("Q1", "A1", "Q2", "R")}, "conversations: ShareGPT turns", MULTI),
    "conversation": ({"conversation": talk("Q", "R")}, "conversation: messages", user("Q")),
    "CSV": ({"messages": json.dumps(talk("Q", "R"))}, "messages: JSON in a text", user("Q")),
    "plain": ({"prompt": "Q", "response": "R"}, "prompt, response: texts", user("Q")),
    "Alpaca": (
        {"instruction": "Add.", "input": "2 and 3", "output": "R"},
        "instruction, input, output: texts",
        user("Add.\n2 and 3"),
    ),
    "KTO": ({"prompt": "Q", "completion": "R"}, "prompt, completion: texts", user("Q")),
    "KTO, messages": (
        {"prompt": talk("Q1", "A1", "Q2"), "completion": said("R")},
        "prompt, completion: messages",
        MULTI,
    ),
    "KTO, CSV of messages": (
        {"prompt": json.dumps(talk("Q1", "A1", "Q2")), "completion": repr(said("R"))},
        "prompt, completion: JSON in a text",
        MULTI,
    ),
    "ShareGPT and a system column": (
        {"conversations": share("Q", "R"), "system": "Be brief."},
        "conversations, system: ShareGPT turns",
        (SYSTEM, *user("Q")),
    ),
    "a response that is a list of turns": (
        {"prompt": "Q", "response": json.dumps(talk("Q", "R"))},
        "prompt, response: texts",
        user("Q"),
    ),
    "turns and a response": ({"messages": talk("Q"), "response": "R"}, "messages, response: texts", user("Q")),
}


@pytest.mark.parametrize(("label", "value"), [(True, 1.0), (False, 0.0), (1, 1.0), ("0", 0.0)])
@pytest.mark.parametrize("name", RATINGS)
def test_multi_objective_reads_and_names_each_form(name: str, label: Any, value: float) -> None:
    row, form, prompt = RATINGS[name]
    (rated,) = records("multi_objective", row | {"label": label}, {"desirable": "label"})
    response = row["response"] if form == "prompt, response: texts" else "R"
    assert rated == RatedResponse("f#7", prompt, response, {"desirable": value})
    assert not isinstance(rated, Skipped)
    assert rated.form == form


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"prompt": "Q"}, "neither column 'messages' nor column 'response' is there; the row has 'label' and 'prompt'"),
        (
            {"response": "R"},
            "neither column 'messages' nor column 'prompt' is there; the row has 'label'",
        ),
        ({"messages": "Hello"}, "column 'messages' is a text that spells no turns"),
        ({"messages": talk("Q")}, "column 'messages' does not end with an assistant turn after a prompt"),
        ({"prompt": "Q", "completion": talk("R")}, "column 'completion' is not one turn of the assistant"),
        ({"prompt": "Q", "chosen": "a", "rejected": "b"}, "neither column 'messages' nor column 'response' is there"),
    ],
)
def test_multi_objective_refuses_by_name(row: dict[str, Any], why: str) -> None:
    (refused,) = records("multi_objective", {"label": True, **row}, {"desirable": "label"})
    assert reason(refused).startswith(why)


@pytest.mark.parametrize("shape", KNOWN, ids=lambda shape: shape.source)
def test_a_known_shape_is_refused_with_the_source_that_reads_it(shape: Any) -> None:
    source = SOURCES[shape.source]
    assert source.kind == shape.kind
    assert set(shape.columns) <= {*source.columns, "label"}
    reader = "multi_objective" if "chosen" in shape.columns else "preference"
    if shape.source == "nectar":
        reader = "preference_suite"
    (refused,) = records(reader, dict.fromkeys(shape.columns, "x"), {"polite": "polite"})
    table = {"ratings": "[[ratings]]", "pairs": "[[pairs]]", "suite": "[[suites]]"}[shape.kind]
    assert "; the row has " in reason(refused)
    assert f": use source = '{shape.source}' in {table}" in reason(refused)


def test_unpaired_labels_are_sent_to_ratings_and_derived_pairs() -> None:
    (refused,) = records("preference", {"prompt": "Q", "completion": "R", "label": True})
    assert reason(refused) == (
        "column 'chosen' is missing; the row has 'prompt', 'completion' and 'label': use source = 'multi_objective' in"
        " [[ratings]] with 'label' as the column of an objective; its pairs follow with source = 'derived'"
    )


def test_columns_of_other_names_are_read_by_the_names_that_the_recipe_gives(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    row = {"query": "Q", "prompt": "a title", "accepted": "good", "other": "bad"}
    path.write_text(json.dumps(row) + "\n" + json.dumps({"query": "Q", "accepted": "good"}) + "\n")
    names = {"prompt": "query", "chosen": "accepted", "rejected": "other"}
    good, short = read(SOURCES["preference"], [path], tmp_path, names)
    assert good == PreferencePair("rows.jsonl#0", user("Q"), "good", "bad")
    assert "column 'rejected' is missing" in reason(short)
