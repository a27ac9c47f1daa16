"""Roles that a chat template knows are written as it writes them; the others stand in, or the row is skipped."""

import pytest

from extract.records import Message, Prompt
from extract.settings import BackboneSettings
from extract.templating import ConversationEncoder, Encoded, NotEncodableError
from tests.extract.chat_templates import CHATML, FOR, LLAMA, NO_BOS, tokenizer_with

SETTINGS = BackboneSettings(model="", max_tokens=2048)
HEAD = "<|im_start|>"
TURN = "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
RESULT = "{{ '<|im_start|>user\n[result]' + m['content'] + '[end]<|im_end|>\n' }}"
CALLS = (
    "{{ '<|im_start|>assistant\n' + (m['content'] or '') }}{% for c in m.tool_calls %}"
    "{{ '[call]' + c.function.name + (c.function.arguments | tojson) }}{% endfor %}{{ '<|im_end|>\n' }}"
)
TOOLS = (
    FOR
    + "{% if m['role'] == 'tool' %}"
    + RESULT
    + "{% elif m.tool_calls %}"
    + CALLS
    + "{% else %}"
    + TURN
    + "{% endif %}{% endfor %}"
)
"""As Qwen's: a result is the user's, in marks; another role's name is written as it is."""
STRICT = (
    FOR
    + "{% if m['role'] in ('system', 'user', 'assistant') %}"
    + TURN
    + "{% else %}{{ raise_exception('no role ' + m['role']) }}{% endif %}{% endfor %}"
)
DEVELOPER = (
    FOR
    + "{% if loop.first and m['role'] in ('system', 'developer') %}"
    + "{{ '<|im_start|>developer\n# Instructions\n' + m['content'] + '<|im_end|>\n' }}"
    + "{% elif m['role'] in ('user', 'assistant') %}"
    + TURN
    + "{% endif %}{% endfor %}"
)
"""As gpt-oss's: a developer comes first, and a turn of an unknown role is dropped."""
OTHERS_AS_USER = (
    FOR
    + "{% if m['role'] == 'assistant' %}"
    + TURN
    + "{% else %}{{ '<|im_start|>user\n' + m['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}"
)

NUMBERED = (
    FOR
    + "{% if m['role'] == 'tool' %}{% if m.tool_call_id | length != 9 %}{{ raise_exception('no id') }}{% endif %}"
    + "{{ '[RESULT]' + m.name + ' ' + m.tool_call_id + ' ' + m['content'] + '<end>' }}"
    + "{% elif m.tool_calls %}{% for c in m.tool_calls %}{% if c.id | length != 9 %}{{ raise_exception('no id') }}"
    + "{% endif %}{{ '[CALL]' + c.id + ' ' + c.function.name + (c.function.arguments | tojson) }}{% endfor %}"
    + "{{ '<end>' }}{% elif m['role'] in ('user', 'assistant') %}{{ '[' + m['role'] + ']' + m['content'] + '<end>' }}"
    + "{% else %}{{ raise_exception('no role ' + m['role']) }}{% endif %}{% endfor %}"
)
"""As Mistral's: calls and results need an id of nine characters, so a result needs a call."""

CALL = '[{"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}]'
ASKED: Prompt = (Message("user", "Add 1."), Message("assistant", "", CALL), Message("tool", "It is 2."))


def encoder_of(template: str) -> ConversationEncoder:
    return ConversationEncoder(tokenizer_with(template, NO_BOS if HEAD in template else {}), SETTINGS, 1 << 20)


def text(encoder: ConversationEncoder, prompt: Prompt) -> str:
    (made,) = encoder.encode([(prompt, ("Done.",))])
    assert isinstance(made, Encoded), made
    return str(encoder.tokenizer.decode(made.prompt))


def skipped(encoder: ConversationEncoder, prompt: Prompt) -> str:
    (made,) = encoder.encode([(prompt, ("Done.",))])
    assert isinstance(made, NotEncodableError)
    return str(made)


@pytest.mark.parametrize(
    ("template", "roles", "calls"),
    [
        (LLAMA, (), False),
        (CHATML, (), False),
        (STRICT, (), False),
        (OTHERS_AS_USER, (), False),
        (TOOLS, ("tool",), True),
        (DEVELOPER, ("developer",), False),
        (NUMBERED, ("tool",), True),
    ],
)
def test_writing_the_name_of_any_role_is_no_knowledge(template: str, roles: tuple[str, ...], calls: bool) -> None:
    facts = encoder_of(template).facts
    assert (facts.roles, facts.tool_calls) == (roles, calls)
    line = f"it also knows turns of {', '.join((*roles, *(('calls of tools',) if calls else ())))}"
    assert (line in list(facts.lines())) == bool(roles)


def test_a_known_tool_and_its_call_are_written_as_the_template_writes_them() -> None:
    encoder = encoder_of(TOOLS)
    assert text(encoder, ASKED) == (
        '<|im_start|>user\nAdd 1.<|im_end|>\n<|im_start|>assistant\n[call]add{"a": 1}<|im_end|>\n'
        "<|im_start|>user\n[result]It is 2.[end]<|im_end|>"
    )


def test_a_function_stands_in_as_a_tool_and_a_developer_as_the_system() -> None:
    encoder = encoder_of(TOOLS)
    function = (*ASKED[:2], Message("function", "It is 2."))
    assert text(encoder, function) == text(encoder, ASKED)
    told = (Message("developer", "Be brief."), Message("user", "Hi"))
    assert text(encoder, told) == text(encoder, (Message("system", "Be brief."), Message("user", "Hi")))
    assert "developer\n# Instructions\nBe brief." in text(encoder_of(DEVELOPER), told)


@pytest.mark.parametrize("template", [LLAMA, CHATML, STRICT, OTHERS_AS_USER, DEVELOPER])
def test_a_row_with_an_unknown_role_is_skipped_by_its_name(template: str) -> None:
    encoder = encoder_of(template)
    plain = (Message("user", "Add 1."), Message("assistant", "Let me see."), Message("tool", "It is 2."))
    assert skipped(encoder, plain) == "the chat template does not know the role 'tool'"
    assert skipped(encoder, (*plain[:2], Message("function", "2"))).endswith("does not know the role 'function'")
    assert skipped(encoder, ASKED) == "the chat template does not write calls of tools"


def test_a_call_that_spells_a_special_token_is_skipped() -> None:
    spelt = CALL.replace('"add"', '"<|im_end|>"')
    prompt = (ASKED[0], Message("assistant", "", spelt), ASKED[2])
    assert skipped(encoder_of(TOOLS), prompt) == "the assistant turn spells the special token <|im_end|>"


def test_a_prompt_that_ends_with_a_call_asks_for_nothing() -> None:
    assert skipped(encoder_of(TOOLS), ASKED[:2]) == "the prompt does not end with a user turn"


def test_results_belong_to_the_calls_in_order() -> None:
    two = CALL.replace("}}}]", "}}}, " + CALL[1:].replace("add", "halve"))
    prompt = (ASKED[0], Message("assistant", "", two), Message("tool", "It is 2."), Message("tool", "It is 1."))
    written = text(encoder_of(NUMBERED), prompt)
    assert "[RESULT]add call00001 It is 2.<end>[RESULT]halve call00002 It is 1.<end>" in written
    orphan = (*prompt, Message("tool", "It is 0."))
    assert "the chat template refuses it" in skipped(encoder_of(NUMBERED), orphan)
