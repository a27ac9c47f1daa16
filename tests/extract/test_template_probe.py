"""The probe of chat templates: positions as found by hand, or a refusal that names the remedy."""

import datetime
import hashlib
import re

import numpy as np
import pytest
import transformers.utils.chat_template_utils as transformers_templates
from pydantic import TypeAdapter

from cache import UserError
from extract.records import Message, Prompt
from extract.settings import BackboneSettings
from extract.template.facts import PROMPT_MARK, RESPONSE_MARK, TemplateFacts
from extract.template.preludes import DATE, fixed_date, with_fixed_date, with_folded_system_turns, with_parts
from extract.templating import ConversationEncoder, Encoded, NotEncodableError
from tests.extract.chat_templates import LLAMA, REFUSED, USABLE, Shape, tokenizer_with

SETTINGS = BackboneSettings(model="", max_tokens=2048)
HI: Prompt = (Message("user", "Hi"),)


def encoder_of(shape: Shape) -> ConversationEncoder:
    return ConversationEncoder(tokenizer_with(shape.template, shape.special), SETTINGS, 1 << 20)


def encoded(encoder: ConversationEncoder, prompt: Prompt, *responses: str) -> Encoded:
    (made,) = encoder.encode([(prompt, responses)])
    assert isinstance(made, Encoded), made
    return made


@pytest.mark.parametrize("name", USABLE)
def test_the_positions_are_those_found_by_hand(name: str) -> None:
    shape = USABLE[name]
    encoder = encoder_of(shape)
    made = encoded(encoder, HI, "Hello.")
    assert encoder.tokenizer.decode(made.prompt) == shape.prompt
    assert encoder.tokenizer.decode(made.responses[0]) == shape.response
    facts = encoder.facts
    assert {key: getattr(facts, key) for key in shape.facts} == shape.facts
    assert facts.example.count(PROMPT_MARK) == facts.example.count(RESPONSE_MARK) == 1
    marked = facts.example.replace("What is two plus two?", "Hi").replace("It is four.", "Hello.")
    bos = encoder.tokenizer.bos_token if facts.bos == "tokenizer" else ""
    assert (bos + marked).startswith(shape.prompt + PROMPT_MARK + shape.response + RESPONSE_MARK)
    assert all("\n" not in line for line in facts.lines())


@pytest.mark.parametrize("name", USABLE)
def test_a_text_that_spells_the_end_moves_no_position(name: str) -> None:
    """The surplus is taken off the end, wherever else it stands."""
    shape = USABLE[name]
    encoder = ConversationEncoder(
        tokenizer_with(shape.template, shape.special),
        SETTINGS.model_copy(update={"special_tokens_in_text": "keep"}),
        1 << 20,
    )
    surplus = encoder.facts.response_surplus
    made = encoded(encoder, (Message("user", f"Hi{surplus}there"),), f"Hello.{surplus}So.")
    assert encoder.tokenizer.decode(made.prompt) == shape.prompt.replace("Hi", f"Hi{surplus}there")
    assert encoder.tokenizer.decode(made.responses[0]) == shape.response.replace("Hello.", f"Hello.{surplus}So.")


@pytest.mark.parametrize("name", REFUSED)
def test_a_template_that_cannot_be_used_is_refused_with_the_remedy(name: str) -> None:
    template, reason = REFUSED[name]
    with pytest.raises(UserError, match=re.escape(reason)) as refused:
        encoder_of(Shape(template, "", ""))
    assert "backbone.chat_template" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("day", ["2020-02-29", "2031-12-01"])
def test_a_dated_template_gives_the_same_tokens_on_every_day(monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    today = encoded(encoder_of(USABLE["dated"]), HI, "Hello.")

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Clock":  # noqa: ARG003 - as datetime has it
            return cls.fromisoformat(day)

    monkeypatch.setattr(transformers_templates, "datetime", Clock)
    then = encoded(encoder_of(USABLE["dated"]), HI, "Hello.")
    np.testing.assert_array_equal(today.prompt, then.prompt)
    np.testing.assert_array_equal(today.responses[0], then.responses[0])


@pytest.mark.parametrize("form", ["%d %b %Y", "%Y-%m-%d", "%B %d, %Y", "%A, %-d %B", "%H:%M", "100 %%d of %y", "%j %p"])
def test_the_fixed_date_is_written_as_the_clock_would(form: str) -> None:
    tokenizer = tokenizer_with(f"{{{{ strftime_now('{form}') }}}}|" + LLAMA)
    written = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False).partition("|")[0]
    assert written == datetime.datetime.combine(DATE, datetime.time()).strftime(form)


def test_lines_in_front_change_nothing_else() -> None:
    """Neither the white space that a template begins with, nor one that asks whether there is a clock."""
    template = "  {% if strftime_now is defined %}\n  X{{ strftime_now('%d') | int + 1 }}\n{% endif %}\n" + LLAMA
    messages = [{"role": "user", "content": "Hi"}]

    def rendered(text: str) -> str:
        result: str = tokenizer_with("").apply_chat_template(messages, tokenize=False, chat_template=text)
        return result

    plain = template.replace("strftime_now('%d')", "'26'").replace("strftime_now", "messages")
    assert rendered(with_fixed_date(template)) == rendered(plain)
    assert rendered(with_parts(LLAMA.replace("m['content']", "m['content'][0].text"))) == rendered(LLAMA)


def test_templates_that_need_nothing_stay_as_they_are() -> None:
    """So that their fingerprints stay too."""
    assert with_fixed_date(LLAMA) == LLAMA
    assert fixed_date(LLAMA) is None
    dated = with_fixed_date(USABLE["dated"].template)
    assert with_fixed_date(dated) == dated
    assert fixed_date(dated) == DATE.isoformat()
    assert fixed_date(with_parts(dated)) == DATE.isoformat()


def test_the_last_token_is_the_last_of_the_message_where_a_turn_is_opened_after_it() -> None:
    literal = SETTINGS.model_copy(update={"position": "last_token"})
    shape = USABLE["always open"]
    encoder = ConversationEncoder(tokenizer_with(shape.template), literal, 1 << 20)
    assert encoder.tokenizer.decode(encoded(encoder, HI, "Hello.").responses[0]) == shape.response
    gemma = ConversationEncoder(tokenizer_with(USABLE["no BOS"].template), literal, 1 << 20)
    assert gemma.tokenizer.decode(encoded(gemma, HI, "Hello.").responses[0]).endswith("Hello.<|im_end|>\n")


def test_any_exception_of_a_template_is_the_rows_reason() -> None:
    fragile = "{% if '!' in messages[0]['content'] %}{{ 1 // 0 }}{% endif %}" + LLAMA
    encoder = encoder_of(Shape(fragile, "", ""))
    first, second = encoder.encode([((Message("user", "Hi!"),), ("Hello.",)), (HI, ("Hello.",))])
    assert isinstance(first, NotEncodableError)
    assert "the chat template refuses it" in str(first)
    assert "zero" in str(first)
    assert isinstance(second, Encoded)


def test_text_from_elsewhere_may_lack_what_the_template_writes_after_it() -> None:
    encoder = encoder_of(USABLE["always open"])
    shape = USABLE["always open"]
    whole = shape.prompt + shape.response
    for surplus in ("", encoder.facts.response_surplus, encoder.facts.response_surplus.rstrip(), "\n"):
        assert encoder.cut(whole + surplus) == whole


@pytest.mark.parametrize("name", ["plain", "dated", "system in the last turn alone"])
def test_the_facts_are_kept_as_json(name: str) -> None:
    adapter = TypeAdapter(TemplateFacts)
    facts = encoder_of(USABLE[name]).facts
    assert adapter.validate_json(adapter.dump_json(facts)) == facts


def test_the_lines_in_front_are_those_of_earlier_versions() -> None:
    """They are part of fingerprints: with other lines, features of dated templates would be computed again."""
    texts = (with_fixed_date("{{ strftime_now('%Y') }}"), with_parts("x"), with_folded_system_turns("x"))
    digests = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts]
    assert digests == ["c827126f342f6236", "b34c6cc659f92d7a", "7c432e4405dd4217"]
