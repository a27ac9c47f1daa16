"""System turns for templates that refuse or lose them: folded into the user turn that follows, where that is asked."""

from typing import Any

import numpy as np
import pytest

from extract.records import Message, Prompt
from extract.settings import BackboneSettings
from extract.template.preludes import folds_system_turns
from extract.templating import ConversationEncoder, Encoded, NotEncodableError
from tests.extract.chat_templates import CHATML, GEMMA, LLAMA, MISTRAL, NO_BOS, USABLE, tokenizer_with

BRIEF, HI, HELLO = Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello.")
PLAIN = BackboneSettings(model="", max_tokens=2048)
FOLD = PLAIN.model_copy(update={"system_turns": "fold"})
NONE_FOLLOWS = "the chat template refuses it: a system turn is folded into the user turn that follows, and none follows"
BOT = "<|begin_of_text|>"

KNOWN = {
    "kept": (LLAMA, None),
    "kept by the name of any role": (CHATML, NO_BOS),
    "folded by the template itself": (USABLE["system folded"].template, None),
    "dated": (USABLE["dated"].template, None),
    "parts": (USABLE["parts"].template, None),
}
UNKNOWN = {
    "Gemma": (
        GEMMA,
        BOT + "<start_of_turn>user\nBe brief.\n\nHi<end_of_turn>",
        "\n<start_of_turn>model\nHello.<end_of_turn>",
    ),
    "Mistral": (MISTRAL, BOT + "[INST] Be brief.\n\nHi [/INST]", "Hello.</s>"),
    "lost": (
        USABLE["response opened after the user's turn"].template,
        BOT + "<|user|>\nBe brief.\n\nHi<end>\n<|assistant|>",
        "\nHello.<end>",
    ),
    "one turn alone": (
        USABLE["one turn"].template,
        BOT + "<|im_start|>user\nBe brief.\n\nHi<|im_end|>",
        "\n<|im_start|>assistant\nHello.<|im_end|>",
    ),
    "in the last turn alone": (
        USABLE["system in the last turn alone"].template,
        BOT + "[INST]Be brief.\n\nHi[/INST]",
        "Hello.</s>",
    ),
}


def encoder_of(template: str, settings: BackboneSettings, special: dict[str, str] | None = None) -> ConversationEncoder:
    tokenizer = tokenizer_with(template, special, fold=settings.system_turns == "fold")
    return ConversationEncoder(tokenizer, settings, 1 << 20)


def outcome(encoder: ConversationEncoder, *prompt: Message) -> Encoded | str:
    (made,) = encoder.encode([(prompt, ("Hello.",))])
    return str(made) if isinstance(made, NotEncodableError) else made


def texts(encoder: ConversationEncoder, *prompt: Message) -> tuple[str, str]:
    made = outcome(encoder, *prompt)
    assert isinstance(made, Encoded), made
    return encoder.tokenizer.decode(made.prompt), encoder.tokenizer.decode(made.responses[0])


@pytest.mark.parametrize("name", UNKNOWN)
def test_the_system_turns_text_and_a_blank_line_come_before_the_users(name: str) -> None:
    template, prompt, response = UNKNOWN[name]
    encoder = encoder_of(template, FOLD)
    assert texts(encoder, BRIEF, HI) == (prompt, response)
    assert texts(encoder, HI) == (prompt.replace("Be brief.\n\n", ""), response)
    assert encoder.facts.system == "folded"
    assert "a system turn is folded into the user's" in list(encoder.facts.lines())


@pytest.mark.parametrize("name", UNKNOWN)
def test_the_finding_without_the_setting_names_it(name: str) -> None:
    encoder = encoder_of(UNKNOWN[name][0], PLAIN)
    (line,) = [line for line in encoder.facts.lines() if "system turn" in line]
    assert line.endswith("; backbone.system_turns = 'fold' puts it in front of the user's text")
    assert (encoder.facts.system == "lost") == (name == "lost")


def test_without_the_setting_rows_with_a_system_turn_stay_refused_by_the_templates_reason() -> None:
    refused = "the chat template refuses it: "
    assert outcome(encoder_of(GEMMA, PLAIN), BRIEF, HI) == refused + "System role not supported"
    assert str(outcome(encoder_of(MISTRAL, PLAIN), BRIEF, HI)).startswith(refused + "Conversation roles must alternate")


@pytest.mark.parametrize("name", KNOWN)
def test_a_template_that_knows_system_turns_is_not_changed(name: str) -> None:
    """So its fingerprint stays, and its features are not computed again."""
    template, special = KNOWN[name]
    own, asked = encoder_of(template, PLAIN, special), encoder_of(template, FOLD, special)
    assert asked.tokenizer.chat_template == own.tokenizer.chat_template
    assert texts(asked, BRIEF, HI) == texts(own, BRIEF, HI)
    said = "a system turn is a turn of its own, and backbone.system_turns = 'fold' changes nothing"
    assert (said in list(asked.facts.lines())) == (asked.facts.system == "kept")
    assert not any("backbone.system_turns" in line for line in own.facts.lines())


@pytest.mark.parametrize("template", [GEMMA, MISTRAL])
def test_a_template_is_changed_only_where_it_is_asked_for(template: str) -> None:
    assert tokenizer_with(template).chat_template == template
    folding = tokenizer_with(template, fold=True)
    assert folds_system_turns(folding.chat_template)
    assert tokenizer_with(folding.chat_template, fold=True).chat_template == folding.chat_template  # an exported one


@pytest.mark.parametrize("template", [GEMMA, MISTRAL, UNKNOWN["lost"][0]])
@pytest.mark.parametrize(
    "prompt",
    [
        (BRIEF, HELLO, HI),
        (HI, HELLO, BRIEF, HELLO, HI),
        (Message("system", "Be kind."), HELLO, BRIEF, HI),
    ],
)
def test_a_system_turn_that_no_user_turn_follows_is_refused(template: str, prompt: Prompt) -> None:
    assert outcome(encoder_of(template, FOLD), *prompt) == NONE_FOLLOWS


def test_a_later_system_turn_belongs_to_the_user_turn_that_follows_it() -> None:
    prompt, _ = texts(encoder_of(MISTRAL, FOLD), HI, HELLO, BRIEF, Message("user", "And you?"))
    assert prompt == BOT + "[INST] Hi [/INST]Hello.</s>[INST] Be brief.\n\nAnd you? [/INST]"


def test_a_developers_turn_counts_as_the_systems() -> None:
    encoder = encoder_of(GEMMA, FOLD)
    developer = Message("developer", BRIEF.content)
    assert texts(encoder, developer, HI) == texts(encoder, BRIEF, HI)
    assert "Be kind.\n\nBe brief.\n\nHi" in texts(encoder, Message("system", "Be kind."), developer, HI)[0]
    assert encoder.facts.roles == ()


def as_dictionaries(*messages: Message, parts: bool = False) -> list[dict[str, Any]]:
    return [
        {"role": each.role, "content": [{"type": "text", "text": each.content}] if parts else each.content}
        for each in messages
    ]


@pytest.mark.parametrize("template", [GEMMA, MISTRAL])
@pytest.mark.parametrize("role", ["system", "developer"])
def test_transformers_gives_the_same_ids_with_the_template(template: str, role: Any) -> None:
    encoder = encoder_of(template, FOLD)
    turns = (Message(role, 'In "plain" words,\n\nplease. '), Message("user", " <b>Why</b> & how?\n"), HELLO)
    made = outcome(encoder, *turns[:-1])
    assert isinstance(made, Encoded)
    whole = np.concatenate([made.prompt, made.responses[0]]).tolist()
    theirs = encoder.tokenizer.apply_chat_template(as_dictionaries(*turns), return_dict=True)["input_ids"]
    assert theirs[: len(whole)] == whole
    assert encoder.tokenizer.decode(theirs[len(whole) :]).strip() == ""


def test_a_template_for_parts_is_given_one_list_of_parts() -> None:
    """As a reader of the exported folder may hand them over, besides plain text."""
    parts = USABLE["parts"].template
    template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('none') }}{% endif %}" + parts
    encoder = encoder_of(template, FOLD)
    assert encoder.facts.content == "parts"
    assert texts(encoder, BRIEF, HI)[0] == BOT + "User: Be brief.\n\nHi<end>"
    render = encoder.tokenizer.apply_chat_template
    plain = render(as_dictionaries(BRIEF, HI), tokenize=False)
    assert render(as_dictionaries(BRIEF, HI, parts=True), tokenize=False) == plain
    mixed = [*as_dictionaries(BRIEF), *as_dictionaries(HI, parts=True)]
    assert render(mixed, tokenize=False) == plain
