"""Conversations spelt in a text become turns, wholly or not at all; what a person wrote stays as it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.records import Message, Prompt, Skipped
from extract.sources.prompts import user_prompt
from extract.sources.source import BadRowError
from extract.sources.spelt_turns import answered, asking, spelling_of
from tests.extract.rows import reason, records, talk

WORDS = st.text(st.sampled_from("aZé. ,:\n'\"{}[]<>\\"), min_size=1, max_size=20).map(str.strip).filter(bool)
SAID = st.lists(WORDS, min_size=1, max_size=5)
"""Texts that user and assistant say in turn."""


def conversation(said: list[str]) -> Prompt:
    return tuple(Message(("user", "assistant")[place % 2], text) for place, text in enumerate(said))  # type: ignore[arg-type]


def human(said: list[str]) -> str:
    return "".join(f"\n\n{('Human', 'Assistant')[place % 2]}: {text}" for place, text in enumerate(said))


def marked(said: list[str]) -> str:
    """As HelpSteer2 writes it: the first turn has no marker."""
    later = (f"\n<extra_id_1>{('User', 'Assistant')[place % 2]}\n{text}" for place, text in enumerate(said) if place)
    return said[0] + "".join(later)


@given(SAID)
def test_what_is_spelt_comes_back_as_turns(said: list[str]) -> None:
    turns = conversation(said)
    read = asking if len(said) % 2 else answered
    assert read(human(said), "t") == turns
    if len(said) > 1:
        assert read(marked(said), "t") == turns
    listed = talk(*said)
    assert read(json.dumps(listed), "t") == turns
    assert read(json.dumps(listed, ensure_ascii=False, indent=1), "t") == turns
    assert read(repr(listed), "t") == turns
    assert read(json.dumps([{"value": turn["content"], "from": turn["role"]} for turn in listed]), "t") == turns


@given(st.lists(WORDS, min_size=1, max_size=5).filter(lambda said: len(said) % 2 == 1))
def test_the_open_turn_of_the_response_is_no_turn(said: list[str]) -> None:
    turns = conversation(said)
    for end in ("\n\nAssistant:", "\n\nAssistant: ", " \n\nAssistant:\n"):
        assert asking(human(said) + end, "t") == turns
    assert asking(marked(said) + "\n<extra_id_1>Assistant\n", "t") == turns
    whole = f"<extra_id_0>System\nBe brief.\n\n<extra_id_1>User\n{marked(said)}\n<extra_id_1>Assistant\n"
    assert asking(whole, "t") == (Message("system", "Be brief."), *turns)
    empty = f"<extra_id_0>System\n\n<extra_id_1>User\n{marked(said)}\n<extra_id_1>Assistant\n"
    assert asking(empty, "t") == turns


@given(WORDS)
def test_a_text_without_a_marker_is_what_a_person_wrote(text: str) -> None:
    assert spelling_of(text) is None
    assert user_prompt(text) == (Message("user", text),)


@pytest.mark.parametrize(
    "text",
    [
        "Human: a short history of mankind",
        "Human rights: what are they?",
        "Assistant: wanted for a small shop in Ghent. Is that a good headline?",
        "What does 'Human:' mean in a prompt, and what 'Assistant:'?",
        "Continue the story.\n\nHuman: I am here.\n\nAssistant: So am I.\n\nWho speaks first?",
        "Summarise this talk:\n\nHuman: Hi\n\nAssistant: Hello",
        "A play.\n\nAssistant: enters",
        "In T5, what are <extra_id_0> and <extra_id_1> for?",
        "The format is <extra_id_1>User, then a line break.",
        "Explain `<extra_id_1>Assistant`.",
        "What is <|im_start|> for, and what [INST]?",
        '[{"role": "user", "content": "Hi"}]\nWhat does this JSON mean?',
        'Fix my code:\n[{"role": "user", "content": "Hi"}]',
        '{"name": "Ann", "role": "admin"}',
        '[{"role": "admin", "name": "Ann"}, {"role": "guest", "name": "Bo"}]',
        '[{"content": "a"}, {"content": "b"}]',
        '{"role": "admin", "content": "Welcome."}',
        '[{"from": "ann@example.org", "value": "Hi"}, {"from": "bo@example.org", "value": "Hi"}]',
        '[{"value": 1}, {"value": 2}]',
        "[{'role': open('x')}]",
        "[1, 2, 3]",
        "{% for message in messages %}{{ message['role'] }}{% endfor %}",
        "[",
        "[{",
        "",
    ],
)
def test_texts_about_conversations_are_read_as_they_stand(text: str) -> None:
    assert spelling_of(text) is None
    assert asking(text, "t") is None
    assert user_prompt(text) == (Message("user", text),)


HUMAN, EXTRA, JSON = "'\\n\\nHuman:' in a text", "'<extra_id_1>' in a text", "JSON in a text"
MARKS = "marks of a chat template in a text"


@pytest.mark.parametrize(
    ("text", "spelling", "why"),
    [
        ("\n\nHuman: a\n\nAssistant: b", HUMAN, "does not go from a turn of Human to one of Human"),
        ("\n\nAssistant: b\n\nHuman: a", HUMAN, "does not go from a turn of Human"),
        ("\n\nHuman:\n\nAssistant:", HUMAN, "is empty"),
        ("\n\nHuman: a\n\nAssistant:\n\nHuman: c", HUMAN, "turn 1 of the prompt is empty"),
        ("Human: a\nAssistant: b\nHuman: c", HUMAN, "a speaker on a line that no blank line precedes"),
        ("Human: a\nAssistant:", HUMAN, "a speaker on a line that no blank line precedes"),
        ("You are kind.\n\nHuman: a\n\nAssistant:", HUMAN, "does not start with 'Human:'"),
        ("a\n<extra_id_1>User\nb", EXTRA, "not of user and assistant in turn"),
        ("a\n<extra_id_1>Assistant\nb", EXTRA, "does not end with a turn that asks"),
        ("<extra_id_1>Assistant\nb\n<extra_id_1>User\nc", EXTRA, "not of user and assistant in turn"),
        ("a\n<extra_id_1>Assistant\n\n<extra_id_1>User\nc", EXTRA, "turn 1 of the prompt is empty"),
        ("a\n<extra_id_1>Assistant\n<extra_id_2>quality:4\n<extra_id_1>User\nc", EXTRA, "holds another marker"),
        ("<extra_id_1>System\na\n<extra_id_1>User\nb", EXTRA, "has the marker '<extra_id_1>System'"),
        ("a\n<extra_id_1>Assistant\nb\n<extra_id_0>System\nc\n<extra_id_1>User\nd", EXTRA, "a system turn after"),
        ('[{"role": "user", "content": "Hi"}, {"role": "assi', JSON, "is cut off, or no JSON"),
        ("[{'role': 'user', 'content': 'a'}\n {'role': 'user', 'content': 'b'}]", JSON, "is cut off, or no JSON"),
        ('[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]', JSON, "does not end with a turn"),
        ('[{"role": "wizard", "content": "a"}, {"role": "user", "content": "b"}]', JSON, "has the role 'wizard'"),
        ('[{"role": "user", "content": [{"type": "image"}]}]', JSON, "a part of the type 'image'"),
        ('[{"role": "user", "content": "' + "[" * 100_000, JSON, "is cut off, or no JSON"),
        ("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", MARKS, "is templated for another model"),
        ("<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>", MARKS, "is templated"),
        ("<bos><start_of_turn>user\nHi<end_of_turn>\n", MARKS, "is templated for another model"),
        ("<s> [INST] Hi [/INST]", MARKS, "is templated for another model"),
    ],
)
def test_a_spelling_that_cannot_be_read_is_named_and_never_a_users_words(text: str, spelling: str, why: str) -> None:
    with pytest.raises(BadRowError) as refused:
        user_prompt(text)
    assert str(refused.value).startswith(f"it spells a conversation ({spelling}), which cannot be read: ")
    assert why in str(refused.value)


@given(
    st.text(max_size=60), st.sampled_from(["\n\nHuman:", "\n\nAssistant:", "\n<extra_id_1>User\n", '[{"role": "user"'])
)
def test_no_text_raises_anything_but_a_reason(text: str, piece: str) -> None:
    for whole in (piece + text, text + piece, piece + text + piece):
        try:
            prompt = asking(whole, "t")
        except BadRowError:
            continue
        marker = piece.strip()
        assert prompt is None or all(marker not in message.content for message in prompt) or marker in text


SYSTEM = "Be brief."


def test_every_source_of_plain_prompts_reads_them() -> None:
    turns = conversation(["Q1", "A1", "Q2"])
    rated = {"prompt": marked(["Q1", "A1", "Q2"]), "response": "A2"}
    for source, more in (
        ("helpsteer", dict.fromkeys(("helpfulness", "correctness", "coherence", "complexity", "verbosity"), 3)),
        ("beavertails", {"is_safe": True}),
    ):
        (record,) = records(source, rated | more)
        assert not isinstance(record, Skipped)
        assert record.prompt == turns


def test_a_system_column_beside_a_system_turn_is_refused() -> None:
    spelt = f"<extra_id_0>System\n{SYSTEM}\n<extra_id_1>User\nQ"
    assert user_prompt(spelt) == (Message("system", SYSTEM), Message("user", "Q"))
    assert user_prompt("Q", SYSTEM) == (Message("system", SYSTEM), Message("user", "Q"))
    row = {"question": spelt, "system": "Be kind.", "chosen": "a", "rejected": "b"}
    assert "a system turn of its own" in reason(records("preference", row)[0])


def test_a_turn_that_begins_with_a_speakers_name_is_that_turn() -> None:
    """HH-RLHF has such rows: the assistant answers 'Human: ...'."""
    assert asking("\n\nHuman: a\n\nAssistant: Human: b\n\nHuman: c", "t") == conversation(["a", "Human: b", "c"])
