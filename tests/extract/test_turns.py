"""Turns as people write them become messages; what is no text, or no turn, is refused by name."""

import json
from typing import Any

import pytest

from extract.records import Message
from extract.sources.source import BadRowError
from extract.sources.turns import spells_turns, split_conversation, turns


def one(value: Any) -> Message:
    (message,) = turns([value], "t")
    return message


def refused(value: Any) -> str:
    with pytest.raises(BadRowError) as reason:
        turns(value, "t")
    return str(reason.value)


@pytest.mark.parametrize(
    ("speaker", "role"),
    [
        ("system", "system"),
        ("developer", "developer"),
        ("user", "user"),
        ("human", "user"),
        ("Human", "user"),
        ("prompter", "user"),
        ("assistant", "assistant"),
        ("gpt", "assistant"),
        ("chatgpt", "assistant"),
        ("bot", "assistant"),
        ("model", "assistant"),
        ("tool", "tool"),
        ("observation", "tool"),
        ("function", "function"),
    ],
)
def test_every_name_of_a_speaker_is_a_role_in_both_spellings(speaker: str, role: Any) -> None:
    assert one({"role": speaker, "content": "x"}) == Message(role, "x")
    assert one({"from": speaker, "value": "x"}) == Message(role, "x")


def test_columns_that_are_null_count_as_absent() -> None:
    """Parquet gives every row of a mixed table both spellings."""
    mixed = {"role": None, "content": None, "from": "gpt", "value": "x", "tool_calls": None, "function_call": None}
    assert one(mixed) == Message("assistant", "x")


def test_parts_of_text_are_joined_by_line_breaks() -> None:
    parts = [{"type": "text", "text": "See"}, {"type": "input_text", "text": "this."}, "Now."]
    assert one({"role": "user", "content": parts}).content == "See\nthis.\nNow."


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([{"type": "text", "text": "a"}, {"type": "image_url"}], "t[0].content[1] is a part of the type 'image_url'"),
        ([{"text": "a"}], "t[0].content[0] is a part of the type 'None'"),
        ([{"type": "text", "text": None}], "t[0].content[0] is NoneType, expected text"),
        ([3], "t[0].content[0] is int, expected text"),
        ([], "t[0].content is empty"),
        ([{"type": "text", "text": " "}], "t[0].content is empty"),
        ({"type": "text", "text": "a"}, "t[0].content is dict, expected text"),
        (None, "t[0].content is empty"),
        ("\ud800", "t[0].content holds half of a surrogate pair"),
    ],
)
def test_content_that_is_no_text_is_refused(content: Any, reason: str) -> None:
    assert refused([{"role": "user", "content": content}]).startswith(reason)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"content": "x"}, "t[0] has neither 'role' nor 'from'; it has 'content'"),
        ({}, "t[0] has neither 'role' nor 'from'; it has nothing"),
        ({"role": "narrator", "content": "x"}, "t[0] has the role 'narrator'"),
        ({"role": 3, "content": "x"}, "t[0] has the role '3'"),
        ("x", "t[0] is not a message"),
        (None, "t[0] is not a message"),
    ],
)
def test_what_is_no_turn_is_refused(value: Any, reason: str) -> None:
    assert refused([value]).startswith(reason)
    assert refused({"role": "user", "content": "x"}) == "t is not a non-empty list of messages"


CALL = [{"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}]


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": None, "tool_calls": CALL},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "7", **CALL[0]}]},
        {"role": "assistant", "content": [], "tool_calls": CALL},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}],
        },
        {"role": "assistant", "function_call": {"name": "add", "arguments": '{"a": 1}'}},
        {"from": "function_call", "value": '{"name": "add", "arguments": {"a": 1}}'},
        {"from": "function_call", "value": '[{"name": "add", "arguments": {"a": 1}}]'},
    ],
)
def test_calls_of_tools_are_one_thing_in_every_spelling(turn: dict[str, Any]) -> None:
    message = one(turn)
    assert (message.role, message.content, json.loads(message.tool_calls)) == ("assistant", "", CALL)
    assert message.text == message.tool_calls


def test_a_turn_may_say_something_and_call() -> None:
    message = one({"role": "assistant", "content": "Let me see.", "tool_calls": CALL})
    assert message.content == message.text == "Let me see."
    assert json.loads(message.tool_calls) == CALL


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        ({"from": "function_call", "value": "add(1)"}, "t[0].value is not JSON"),
        ({"from": "function_call", "value": None}, "t[0].value is empty"),
        ({"from": "function_call", "value": "[" * 100_000}, "t[0].value is not JSON"),
        ({"role": "assistant", "tool_calls": [{"id": "7"}]}, "t[0] has a call of a tool without its name"),
        ({"role": "assistant", "tool_calls": "add"}, "t[0] has a call of a tool without its name"),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": "add", "arguments": "a=1"}}]},
            "t[0]: the text of the arguments of 'add' is not JSON",
        ),
        ({"role": "user", "content": None, "tool_calls": CALL}, "t[0].content is empty"),
    ],
)
def test_calls_that_cannot_be_read_are_refused(turn: dict[str, Any], reason: str) -> None:
    assert refused([turn]) == reason


def test_a_call_is_no_response() -> None:
    talk = turns([{"role": "user", "content": "Q"}, {"role": "assistant", "tool_calls": CALL}], "t")
    with pytest.raises(BadRowError, match="ends with a call of tools"):
        split_conversation(talk, "t")


@pytest.mark.parametrize(
    "value",
    [
        [],
        "text",
        [{"role": "user"}],
        [{"content": "x"}],
        [{"name": "a"}, "b"],
        None,
        [{"role": "admin", "content": "x"}],
    ],
)
def test_lists_of_other_things_spell_no_turns(value: Any) -> None:
    assert not spells_turns(value)
