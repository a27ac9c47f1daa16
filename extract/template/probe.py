"""Trying a chat template on a few conversations, before any row is read.

A template is a program. Whether it drops, changes or repeats a message's text, writes something after the response, or
gives other text each time, shows in what it makes of texts that are known.
"""

from dataclasses import dataclass
from typing import Any, Literal

from cache import UserError
from extract.records import Message, Prompt
from extract.template.endings import Ending, NoEndError, ending, pieces
from extract.template.examples import ANSWER, CONVERSATION, EXAMPLE, QUESTION, SECOND_ANSWER, SECOND_QUESTION, SEVERAL
from extract.template.facts import PROMPT_MARK, RESPONSE_MARK, EarlierTurns, TemplateFacts
from extract.template.preludes import fixed_date, takes_parts
from extract.template.rendering import NotEncodableError, render
from extract.template.roles import known_roles, writes_tool_calls
from extract.template.system_turns import fate_of_system_turns

REMEDY = "name another in backbone.chat_template"


@dataclass(frozen=True, slots=True)
class Probed:
    """A template that can be used."""

    facts: TemplateFacts
    prompt: Ending
    """Text after the last turn of a prompt."""
    response: Ending
    """Text after a response."""


def probe(
    tokenizer: Any,
    strip: bool,
    bos: Literal["template", "tokenizer", "none"],
    system_turns: Literal["template", "fold"] = "template",
) -> Probed:
    """Try the tokenizer's chat template.

    Args:
        tokenizer: the template with its lines in front (`extract.template.preludes`).
        strip: whether white space after the closing token is left off.
        bos: what writes the BOS token.
        system_turns: whether the recipe asks for system turns to be folded, which the lines in front do.

    Raises:
        UserError: no row could be read rightly with this template; the sentence says why, and the remedy.
    """
    prompt_text, text = _render(tokenizer, CONVERSATION[:1]), _render(tokenizer, CONVERSATION)
    if text != _render(tokenizer, CONVERSATION):
        raise _unusable("it writes other text each time for the same conversation")
    _check_whole(prompt_text, CONVERSATION[:1])
    _check_whole(text, CONVERSATION)
    several = _several(tokenizer)
    start = text[: text.index(QUESTION)]
    before_answer = _between(text, QUESTION, ANSWER)
    before_next = several and _between(several, ANSWER, SECOND_QUESTION)
    markers = {str(token) for token in tokenizer.added_tokens_decoder.values()}
    response = _ending("response", _after(text, ANSWER), before_next, start, markers, strip)
    prompt = _prompt_ending(_after(prompt_text, QUESTION), before_answer, start, markers, strip, response)
    header = before_answer.removeprefix(prompt.closing)
    given, generated = _thoughts(tokenizer, header, prompt)
    system, system_reason = fate_of_system_turns(tokenizer, start, prompt, strip)
    facts = TemplateFacts(
        date=fixed_date(tokenizer.chat_template),
        content="parts" if takes_parts(tokenizer.chat_template) else "text",
        system=system,
        system_reason=system_reason,
        before=_text_before(start, before_next, markers),
        earlier_turns=_earlier_turns(tokenizer, several, prompt, strip),
        trims=_trims(tokenizer),
        thought=given,
        thought_of_generation=generated,
        drops_thoughts=_drops_thoughts(tokenizer),
        bos=bos,
        prompt_surplus=prompt.surplus,
        response_surplus=response.surplus,
        example=_example(tokenizer, prompt, response, strip),
        roles=known_roles(tokenizer, prompt, strip),
        tool_calls=writes_tool_calls(tokenizer, prompt, strip),
        system_turns=system_turns,
    )
    return Probed(facts, prompt, response)


def _unusable(fault: str) -> UserError:
    return UserError(f"the chat template cannot be used, for {fault}: {REMEDY}")


def _render(tokenizer: Any, messages: Prompt) -> str:
    try:
        return render(tokenizer, messages)
    except NotEncodableError as reason:
        if _renders(tokenizer, messages, tools=[_TOOL]):
            raise _unusable("it needs a list of tools, which no row has") from None
        raise UserError(f"a plain question and answer do not pass, since {reason}: {REMEDY}") from None


_TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}


def _renders(tokenizer: Any, messages: Prompt, **arguments: Any) -> bool:
    try:
        render(tokenizer, messages, **arguments)
    except NotEncodableError:
        return False
    return True


def _check_whole(text: str, messages: Prompt) -> None:
    for message in messages:
        if message.content in text:
            continue
        words = [word for word in message.content.split() if word.isalpha() and len(word) > 2]
        if any(word in text for word in words):
            raise _unusable(f"it changes the text of the {message.role} turn, which has to be whole")
        raise _unusable(f"it drops the text of the {message.role} turn, so that all rows would be alike")
    places = [text.index(message.content) for message in messages]
    if places != sorted(places):
        raise _unusable("it writes the turns in another order")


def _between(text: str, first: str, second: str) -> str:
    end = text.index(second)
    return text[text.rindex(first, 0, end) + len(first) : end]


def _after(text: str, content: str) -> str:
    return text[text.rindex(content) + len(content) :]


def _several(tokenizer: Any) -> str | None:
    """The text of a conversation of four turns; None if the template does not write it whole."""
    try:
        text = render(tokenizer, SEVERAL)
    except NotEncodableError:
        return None
    places = [text.find(message.content) for message in SEVERAL]
    return text if places == sorted(places) and places[0] >= 0 else None


def _earlier_turns(tokenizer: Any, several: str | None, prompt: Ending, strip: bool) -> EarlierTurns:
    try:
        text, prompt_text = render(tokenizer, SEVERAL), prompt.cut(render(tokenizer, SEVERAL[:-1]), strip)
    except NotEncodableError:
        return "refused"
    if not text.startswith(prompt_text):
        return "refused"
    return "kept" if several is not None else "changed"


def _ending(turn: str, after: str, continued: str | None, start: str, markers: set[str], strip: bool) -> Ending:
    try:
        return ending(after, continued, start, markers, strip)
    except NoEndError as error:
        raise _unusable(f"it writes {str(error)!r} after the {turn}, and no token in it closes the turn") from None


def _prompt_ending(
    after: str, before_answer: str, start: str, markers: set[str], strip: bool, response: Ending
) -> Ending:
    if response.surplus and after.endswith(response.surplus):  # what it writes after a response, it writes here too
        closing = after.removesuffix(response.surplus)
        return Ending(closing.rstrip() if strip else closing, response.surplus)
    if before_answer.startswith(after.rstrip() if strip else after):
        return ending(after, before_answer, start, markers, strip)
    try:
        found = ending(after, before_answer, start, markers, strip)
    except NoEndError:
        found = None
    if found is None or not before_answer.startswith(found.closing):
        raise _unusable("the templated prompt is not a prefix of the templated conversation")
    return found


def _thoughts(tokenizer: Any, header: str, prompt: Ending) -> tuple[str, str]:
    """Text in front of a given response beyond the header, and of one to be generated beyond that."""
    try:
        asked = _after(render(tokenizer, CONVERSATION[:1], generation=True), QUESTION).removeprefix(prompt.closing)
    except (NotEncodableError, ValueError):
        return "", ""
    given, generated = header.removeprefix(asked), asked.removeprefix(header)
    return (
        given if given != header and asked.strip() and given.strip() else "",
        generated if generated != asked and header.strip() and generated.strip() else "",
    )


def _text_before(start: str, before_next: str | None, markers: set[str]) -> str:
    """Text before the first turn: the part of `start` that is not written before a later turn of the user."""
    if before_next is None:
        return ""
    first, later = pieces(start, markers), pieces(before_next, markers)
    while first and later and first[-1] == later[-1]:
        first.pop()
        later.pop()
    if first and later and first[-1] not in markers and later[-1] not in markers:
        text, other = first.pop(), later[-1]
        while text and other and text[-1] == other[-1]:
            text, other = text[:-1], other[:-1]
        first.append(text)
    words = "".join(part for part in first if part not in markers)
    return "".join(first) if words.strip() else ""


def _trims(tokenizer: Any) -> bool:
    padded = tuple(Message(message.role, f" \n {message.content} \n ") for message in CONVERSATION)
    try:
        text = render(tokenizer, padded)
    except NotEncodableError:
        return False
    return any(message.content not in text for message in padded)


def _drops_thoughts(tokenizer: Any) -> bool:
    thought = f"<think>\n{SECOND_ANSWER}\n</think>\n\n{ANSWER}"
    try:
        return SECOND_ANSWER not in render(tokenizer, (CONVERSATION[0], Message("assistant", thought)))
    except NotEncodableError:
        return False


def _example(tokenizer: Any, prompt: Ending, response: Ending, strip: bool) -> str:
    text = _render(tokenizer, EXAMPLE)
    try:
        first, last = len(prompt.cut(_render(tokenizer, EXAMPLE[:1]), strip)), len(response.cut(text, strip))
    except NotEncodableError as reason:
        raise _unusable(str(reason)) from None
    return f"{text[:first]}{PROMPT_MARK}{text[first:last]}{RESPONSE_MARK}{text[last:]}"
