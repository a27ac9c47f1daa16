"""Chat templates of the shapes that people use, in words of our own, with the reading positions found by hand."""

from dataclasses import dataclass, field
from typing import Any

from extract.template.fitting import fit_template
from tests.conftest import TINY

MARKERS = "<|im_start|> <|im_end|> <end> <|system|> <|user|> <|assistant|> <|return|> <|channel|> </s> [INST] [/INST]"
MARKERS += " <start_of_turn> <end_of_turn>"
"""Special tokens that the bundled tokenizer is given for these tests."""

FOR = "{% for m in messages %}"
END = "{% endfor %}"
CHATML = FOR + "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}" + END
ASKS = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
HEADER = "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' }}"
LLAMA = "{{ bos_token }}" + FOR + HEADER + "{{ m['content'] | trim + '<|eot_id|>' }}" + END
OPEN = "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"


@dataclass(frozen=True)
class Shape:
    """A template, and the text of "Hi" answered by "Hello." up to each position at which a feature is read."""

    template: str
    prompt: str
    response: str
    """From the prompt's position to the response's."""
    facts: dict[str, Any] = field(default_factory=dict)
    special: dict[str, str] = field(default_factory=dict)
    """Special tokens of the tokenizer in place of the bundled one's."""


BOT = "<|begin_of_text|>"
USER = "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
ASSISTANT = "<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>"
NO_BOS = {"bos_token": "<|im_start|>"}
"""The bundled tokenizer puts its own BOS in front only while that is its BOS."""
IM = "<|im_start|>user\nHi<|im_end|>"
IM_ANSWER = "\n<|im_start|>assistant\nHello.<|im_end|>"

USABLE = {
    "plain": Shape(
        LLAMA + "{% if add_generation_prompt %}" + OPEN + "{% endif %}",
        BOT + USER,
        ASSISTANT,
        {"system": "kept", "trims": True, "bos": "template", "content": "text", "date": None, "before": ""},
    ),
    "dated": Shape(
        "{{ bos_token + '<|start_header_id|>system<|end_header_id|>\n\nIt is ' + strftime_now('%d %b %Y')"
        " + '.<|eot_id|>' }}" + LLAMA.replace("{{ bos_token }}", ""),
        BOT + "<|start_header_id|>system<|end_header_id|>\n\nIt is 26 Jul 2024.<|eot_id|>" + USER,
        ASSISTANT,
        {
            "date": "2024-07-26",
            "before": BOT + "<|start_header_id|>system<|end_header_id|>\n\nIt is 26 Jul 2024.",
        },
    ),
    "parts": Shape(
        "{{ bos_token }}" + FOR + "{{ m['role'] | capitalize + ': ' }}{% for part in m['content'] %}"
        "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}{{ '<image>' }}{% endif %}{% endfor %}"
        "{{ '<end>\n' }}" + END + "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}",
        BOT + "User: Hi<end>",
        "\nAssistant: Hello.<end>",
        {"content": "parts", "system": "kept", "trims": False},
    ),
    "always open": Shape(
        LLAMA + OPEN,
        BOT + USER,
        ASSISTANT,
        {"response_surplus": "<|start_header_id|>assistant<|end_header_id|>\n\n"},
    ),
    "always open, turns named by tokens": Shape(
        FOR + "{{ '<|' + m['role'] + '|>\n' + m['content'] + '<end>\n' }}" + END + "{{ '<|assistant|>\n' }}",
        "<|user|>\nHi<end>",
        "\n<|assistant|>\nHello.<end>",
        {"response_surplus": "\n<|assistant|>\n", "prompt_surplus": "\n<|assistant|>\n"},
        NO_BOS,
    ),
    "opens after the user alone": Shape(
        LLAMA + "{% if messages[-1]['role'] == 'user' %}" + OPEN + "{% endif %}",
        BOT + USER,
        ASSISTANT,
        {"response_surplus": "", "prompt_surplus": "<|start_header_id|>assistant<|end_header_id|>\n\n"},
    ),
    "no system": Shape(
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        + FOR
        + "{{ '<|im_start|>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' + m['content'] | trim }}"
        + "{{ '<|im_end|>\n' }}"
        + END,
        BOT + IM,
        "\n<|im_start|>model\nHello.<|im_end|>",
        {"system": "refused", "system_reason": "the chat template refuses it: no system role"},
    ),
    "system lost": Shape(
        FOR + "{% if m['role'] != 'system' %}{{ m['role'] + ':' + m['content'] + '</s>' }}{% endif %}" + END,
        "user:Hi</s>",
        "assistant:Hello.</s>",
        {"system": "lost"},
        NO_BOS,
    ),
    "system folded": Shape(
        "{{ bos_token }}{% set ns = namespace(system='') %}" + FOR + "{% if m['role'] == 'system' %}"
        "{% set ns.system = m['content'] + '\n\n' %}{% elif m['role'] == 'user' %}"
        "{{ '[INST] ' + ns.system + m['content'] + ' [/INST]' }}{% set ns.system = '' %}{% else %}"
        "{{ ' ' + m['content'] + '</s>' }}{% endif %}" + END,
        BOT + "[INST] Hi [/INST]",
        " Hello.</s>",
        {"system": "folded", "trims": False, "before": ""},
    ),
    "system in the last turn alone": Shape(
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] + '\n' %}"
        "{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}" + FOR + "{% if m['role'] == "
        "'user' %}{{ '[INST]' + (system if loop.last else '') + m['content'] + '[/INST]' }}{% else %}"
        "{{ m['content'] + '</s>' }}{% endif %}" + END,
        BOT + "[INST]Hi[/INST]",
        "Hello.</s>",
        {"system": "refused"},
    ),
    "one turn": Shape(
        "{{ bos_token }}{% if messages | length > 2 %}{{ raise_exception('one question only') }}{% endif %}" + CHATML,
        BOT + IM,
        IM_ANSWER,
        {"earlier_turns": "refused", "system": "refused"},
    ),
    "last turns alone": Shape(
        "{{ bos_token }}{% set messages = messages[-2:] %}" + CHATML,
        BOT + IM,
        IM_ANSWER,
        {"earlier_turns": "refused"},
    ),
    "earlier turns lost": Shape(
        "{{ bos_token }}" + FOR + "{% if m['role'] != 'assistant' or loop.last %}{{ '<|im_start|>' + m['role'] + '\n'"
        " + m['content'] + '<|im_end|>\n' }}{% endif %}" + END,
        BOT + IM,
        IM_ANSWER,
        {"earlier_turns": "changed", "response_surplus": ""},
    ),
    "blank lines closed up": Shape(
        CHATML.replace("m['content']", "m['content'] | trim | replace('\n\n', '\n')"),
        BOT + IM,
        IM_ANSWER,
        {"earlier_turns": "kept", "trims": True},
    ),
    "thinking": Shape(
        FOR + "{{ '<|im_start|>' + m['role'] + '\n' }}{% set text = m['content'].split('</think>')[-1].lstrip('\n') %}"
        "{% if loop.last and m['role'] == 'assistant' %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
        "{{ text + '<|im_end|>\n' }}" + END + ASKS,
        IM,
        "\n<|im_start|>assistant\n<think>\n\n</think>\n\nHello.<|im_end|>",
        {"thought": "<think>\n\n</think>\n\n", "drops_thoughts": True, "thought_of_generation": ""},
        NO_BOS,
    ),
    "thinking when asked": Shape(
        CHATML + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}",
        IM,
        IM_ANSWER,
        {"thought": "", "thought_of_generation": "<think>\n", "drops_thoughts": False},
        NO_BOS,
    ),
    "default system": Shape(
        "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
        + CHATML
        + ASKS,
        "<|im_start|>system\nBe kind.<|im_end|>\n" + IM,
        IM_ANSWER,
        {"before": "<|im_start|>system\nBe kind.", "system": "kept", "bos": "template"},
        NO_BOS,
    ),
    "BOS opens turns": Shape(CHATML + ASKS, IM, IM_ANSWER, {"bos": "template", "before": ""}, NO_BOS),
    "BOS opens turns, always open": Shape(
        CHATML + "{{ '<|im_start|>assistant\n' }}",
        IM,
        IM_ANSWER,
        {"response_surplus": "\n<|im_start|>assistant\n"},
        NO_BOS,
    ),
    "no BOS": Shape(CHATML + ASKS, BOT + IM, IM_ANSWER, {"bos": "tokenizer"}),
    "end of text after the turn": Shape(
        FOR + "{{ '<|' + m['role'] + '|>\n' + m['content'] + '<end>\n' }}" + END + "{% if add_generation_prompt %}"
        "{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
        "<|user|>\nHi<end>",
        "\n<|assistant|>\nHello.<end>",
        {"response_surplus": "\n<|end_of_text|>", "prompt_surplus": "\n<|end_of_text|>"},
        NO_BOS | {"eos_token": "<|end_of_text|>"},
    ),
    "end of text after the turn, no white space": Shape(
        FOR + "{{ '<|' + m['role'] + '|>' + m['content'] + '<end>' }}" + END + "{% if add_generation_prompt %}"
        "{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}",
        "<|user|>Hi<end>",
        "<|assistant|>Hello.<end>",
        {"response_surplus": "<|end_of_text|>", "prompt_surplus": "<|end_of_text|>", "system": "kept"},
        NO_BOS | {"eos_token": "<|end_of_text|>"},
    ),
    "response opened after the user's turn": Shape(
        "{{ bos_token }}"
        + FOR
        + "{% if m['role'] == 'user' %}{{ '<|user|>\n' + m['content'] + '<end>\n<|assistant|>\n' }}"
        "{% elif m['role'] == 'assistant' %}{{ m['content'] + '<end>\n' }}{% endif %}" + END,
        BOT + "<|user|>\nHi<end>\n<|assistant|>",
        "\nHello.<end>",
        {"system": "lost", "response_surplus": "", "prompt_surplus": ""},
    ),
    "last turn closed otherwise": Shape(
        FOR + "{{ '<|im_start|>' + m['role'] + '<|channel|>' + m['content'] }}"
        "{{ '<|return|>' if loop.last and m['role'] == 'assistant' else '<end>' }}" + END,
        "<|im_start|>user<|channel|>Hi<end>",
        "<|im_start|>assistant<|channel|>Hello.<|return|>",
        {"response_surplus": ""},
        NO_BOS,
    ),
    "two closing tokens": Shape(
        FOR + "{{ '<|im_start|><|' + m['role'] + '|>' + m['content'] + '<end><|im_end|>' }}" + END,
        "<|im_start|><|user|>Hi<end><|im_end|>",
        "<|im_start|><|assistant|>Hello.<end><|im_end|>",
        {},
        NO_BOS,
    ),
    "nothing closes a turn": Shape(
        "{{ bos_token }}" + FOR + "{{ '<|' + m['role'] + '|>\n' + m['content'] }}" + END,
        BOT + "<|user|>\nHi",
        "<|assistant|>\nHello.",
        {},
    ),
    "tools": Shape(
        "{{ bos_token }}{% if tools %}{{ '<|system|>' + tools | tojson }}{% endif %}" + CHATML,
        BOT + IM,
        IM_ANSWER,
        {"system": "kept"},
    ),
}

ALTERNATE = (
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
)
NO_SYSTEM = (
    "{% if messages[0]['role'] in ['system', 'developer'] %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}"
    + NO_SYSTEM
    + FOR
    + ALTERNATE
    + "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' + m['content'] | trim"
    " + '<end_of_turn>\n' }}" + END + "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
"""As Gemma's of the first and second generation."""
MISTRAL = (
    "{{ bos_token }}" + FOR + ALTERNATE + "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% elif m['role'] == 'assistant' %}{{ m['content'] + '</s>' }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}" + END
)
"""As Mistral 7B Instruct's, version 0.2."""

REFUSED = {
    "drops text": (CHATML.replace("m['content']", "''"), "drops the text of the user turn"),
    "drops the response": (
        CHATML.replace("m['content']", "(m['content'] if m['role'] == 'user' else '')"),
        "drops the text of the assistant turn",
    ),
    "changes text": (CHATML.replace("m['content']", "m['content'] | replace('\n', ' ')"), "changes the text"),
    "cuts text": (CHATML.replace("m['content']", "m['content'][:30]"), "changes the text"),
    "needs tools": (
        CHATML + "{{ tools | length }}",
        "it needs a list of tools, which no row has",
    ),
    "raises": (CHATML + "{{ raise_exception('not today') }}", "do not pass, since the chat template refuses it: not"),
    "is broken": (CHATML + "{{ m.role.no.such }}", "do not pass, since the chat template refuses it"),
    "is no Jinja": ("{% for m in messages %}", "do not pass, since the chat template refuses it"),
    "divides by zero": (CHATML + "{{ 1 // 0 }}", "do not pass, since the chat template refuses it"),
    "numbers turns": ("{{ messages | length }}" + CHATML, "not a prefix of the templated conversation"),
    "newest first": (CHATML.replace("in messages", "in messages | reverse"), "in another order"),
    "by chance": ("{{ range(100000) | random }}" + CHATML, "other text each time"),
    "two BOS": ("{{ bos_token + bos_token }}" + CHATML, "more than one BOS at the start"),
    "always open, no token closes": (
        FOR + "{{ m['role'] + ': ' + m['content'] + '\n' }}" + END + "{{ 'assistant: ' }}",
        "after the response, and no token in it closes the turn",
    ),
}


def tokenizer_with(template: str, special: dict[str, str] | None = None, *, fold: bool = False) -> Any:
    """The bundled tokenizer with `MARKERS` and a template, as `read_tokenizer` would have it."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(TINY)
    tokenizer.add_special_tokens({"additional_special_tokens": MARKERS.split()})
    for name, token in (special or {}).items():
        setattr(tokenizer, name, token)
    tokenizer.chat_template = template
    fit_template(tokenizer, fold_system_turns=fold)
    return tokenizer
