"""A chat template is a program: whatever it does, it costs a row its place, and nobody more than a moment."""

import os
import signal
import subprocess
import sys
import time

import pytest

from extract.records import Message, Prompt
from extract.settings import BackboneSettings
from extract.template import renderer
from extract.template.rendering import NotEncodableError, render, render_each
from extract.templating import ConversationEncoder, Encoded
from tests.extract.chat_templates import LLAMA, REFUSED, USABLE, tokenizer_with

HI: Prompt = (Message("user", "Hi"), Message("assistant", "Hello."))
MESSAGES = [{"role": message.role, "content": message.content} for message in HI]

REASONS = {
    "{{ 1/0 }}": "division by zero",
    "{% for i in range(10**9) %}{% endfor %}": "Range too big",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}": "computes for more than",
    "{{ 10 ** (10 ** 10) }}": "computes for more than|memory",
    "{{ 'a' * 10**10 }}": "memory",
    "{{ 'a' | center(10**10) }}": "memory",
    "{{ 'a' | indent(10**10, true) }}": "memory",
    "{{ '%10000000000d' % 1 }}": "memory",
    "{{ '{:10000000000}'.format('a') }}": "memory",
    "{{ ('a' * 10**6).replace('a', 'a' * 10**6) }}": "memory",
    "{{ 'a' * 10**7 }}": "writes 10,000,000 characters, more than",
    "{% macro again(n) %}{{ again(n + 1) }}{% endmacro %}{{ again(0) }}": "recursion",
    # Each step doubles a tuple, which takes no room; comparing two of them takes for ever in one step of Python.
    "{% set a = namespace(x=(1,), y=(1,)) %}{% for i in range(60) %}{% set a.x = (a.x, a.x) %}"
    "{% set a.y = (a.y, a.y) %}{% endfor %}{{ a.x == a.y }}": "computes for more than",
    "{% set a = namespace(x=(1,)) %}{% for i in range(60) %}{% set a.x = (a.x, a.x) %}{% endfor %}{{ a.x }}": "memory"
    "|computes for more than",
    "{" * 3 + "(" * 10_000: ".",
    "{{ " + "(" * 10_000 + "1" + ")" * 10_000 + " }}": ".",
    "{{ messages.__class__.__mro__ }}": "unsafe",
    "{% set n = namespace(a=1) %}{% set n._a = 1 %}": ".",
    "{% include '/etc/passwd' %}": "loader",
    "{{ raise_exception('\ud83d') }}": ".",
}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderer, "SECONDS", 0.2)
    monkeypatch.setattr(renderer, "MEMORY_BYTES", 2**28)


@pytest.mark.parametrize("template", REASONS)
def test_whatever_a_template_does_is_the_rows_reason(template: str) -> None:
    began = time.monotonic()
    with pytest.raises(NotEncodableError, match=f"the chat template refuses it: (?s:.*)({REASONS[template]})"):
        render(tokenizer_with(template), HI)
    assert time.monotonic() - began < 20  # of a busy machine


def test_a_row_that_ends_the_process_takes_no_other_with_it() -> None:
    template = LLAMA + "{% for m in messages if 'loop' in m['content'] %}{{ (1, ) * 10**12 }}{% endfor %}"
    template += "{% for m in messages if 'spin' in m['content'] %}{% for i in range(99999) %}"
    template += "{% for j in range(99999) %}{% endfor %}{% endfor %}{% endfor %}"
    encoder = ConversationEncoder(tokenizer_with(template), BackboneSettings(model=""), 1 << 20)
    asked = [((Message("user", text),), ("Yes.", "No.")) for text in ("one", "spin", "two", "loop", "three")]
    made = encoder.encode(asked)
    assert [isinstance(one, Encoded) for one in made] == [True, False, True, False, True]
    assert "computes for more than 0.2 seconds" in str(made[1])
    assert "memory" in str(made[3])
    (alone,) = encoder.encode(asked[:1])
    assert isinstance(alone, Encoded)
    assert isinstance(made[0], Encoded)
    assert alone.prompt.tolist() == made[0].prompt.tolist()


@pytest.mark.parametrize("name", sorted({*USABLE, *REFUSED} - {"by chance"}))
def test_texts_are_those_of_transformers(name: str) -> None:
    template = USABLE[name].template if name in USABLE else REFUSED[name][0]
    tokenizer = tokenizer_with(template)
    conversations: list[Prompt] = [
        HI[:1],
        HI,
        (Message("system", "Be brief."), *HI, Message("user", "<b>naïve</b> \ud83d & 猫\n\n"), HI[1]),
    ]
    for generation in (False, True):
        for turns, text in zip(
            conversations, render_each(tokenizer, conversations, generation=generation), strict=True
        ):
            messages = [{"role": turn.role, "content": turn.content} for turn in turns]
            try:
                expected = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generation)
            except Exception:
                assert isinstance(text, NotEncodableError)
            else:
                assert text == expected


@pytest.mark.parametrize(
    "template",
    [
        "{% generation %}{% set x = 1 %} a \n{% endgeneration %}{{ x is defined }}",
        "{{ {'b': '<é>', 'a': [1, none]} | tojson(indent=2, sort_keys=true) }}",
        "{% set n = namespace({'i': 1}, j=2) %}{% set n.i = n.i + 1 %}{{ n.i, n.j }}",
        "{{ dict(a=1), dict.fromkeys('ab') }}",
        "{% for m in messages %}{% if loop.index == 2 %}{% break %}{% endif %}  \n  {{ tools, documents }}{% endfor %}",
        "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ unk_token }}{{ add_generation_prompt }}",
    ],
)
def test_a_template_finds_what_transformers_gives_it(template: str) -> None:
    tokenizer = tokenizer_with(template)
    assert render(tokenizer, HI) == tokenizer.apply_chat_template(MESSAGES, tokenize=False)


@pytest.mark.parametrize("calls", ["{", "[5]", '[{"function": 5}]', "5"])
def test_calls_of_tools_that_are_none_are_the_rows_reason(calls: str) -> None:
    strange = (HI[0], Message("assistant", "", calls), Message("tool", "It is four."), HI[1])
    first, second, third = render_each(tokenizer_with(LLAMA), [HI, strange, HI])
    assert first == third
    assert isinstance(second, NotEncodableError)


def test_a_process_that_was_killed_meanwhile_is_replaced() -> None:
    tokenizer = tokenizer_with(LLAMA)
    expected = render(tokenizer, HI)
    process = renderer.renderer()._process
    assert process is not None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert render(tokenizer, HI) == expected


def test_templates_see_no_environment_and_leave_no_process() -> None:
    program = (
        "from extract.template.renderer import renderer\n"
        "assert renderer()('x', {}, [[{}]]) == [(True, 'x')]\n"
        "process = renderer()._process\n"
        "print(process.pid, open(f'/proc/{process.pid}/environ').read().count('SECRET'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"SECRET": "SECRET"},
        capture_output=True,
        text=True,
        check=True,
    )
    number, found = done.stdout.split()
    assert found == "0"
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(number), 0)


def test_a_forked_process_has_a_renderer_of_its_own() -> None:
    program = (
        "import os\n"
        "from extract.template.renderer import renderer\n"
        "renderer()('x', {}, [[{}]])\n"
        "first = renderer()._process.pid\n"
        "child = os.fork()\n"
        "assert renderer()('{{ messages }}', {}, [[{'n': child}]])[0][1].count(str(child)) == 1\n"
        "assert (renderer()._process.pid == first) == (child != 0)\n"
        "if child: assert os.waitpid(child, 0)[1] == 0\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
