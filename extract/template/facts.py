"""The facts that the probe finds out about a chat template."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from extract.records import Role

PROMPT_MARK = "«prompt»"
RESPONSE_MARK = "«response»"

FOLD = "backbone.system_turns = 'fold'"
"""The setting with which a template that refuses or loses system turns is given them in the user's."""

SystemTurn = Literal["kept", "folded", "lost", "refused"]
EarlierTurns = Literal["kept", "changed", "refused"]


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """Properties of a chat template, found by rendering a few conversations before a row is read."""

    date: str | None
    """The fixed date that it is given in place of today's; None if it asks for none."""
    content: Literal["text", "parts"]
    """Whether it takes a message's content as text, or text is handed to it as a list of parts."""
    system: SystemTurn
    """kept: a turn of its own; folded: written into the user's turn, by the template or the lines in front of it; lost:
    its text is in no token; refused: a row with a system turn is skipped."""
    system_reason: str | None
    """Reason for `refused`."""
    before: str
    """Text that it writes before the first turn, such as a default system prompt; empty for most."""
    earlier_turns: EarlierTurns
    """kept: earlier turns of the assistant are written whole; changed: they are not; refused: a row with them is
    skipped."""
    trims: bool
    """Whether white space at the ends of a message is taken off."""
    thought: str
    """Text that it writes in front of a response beyond the header, such as an empty thinking block."""
    thought_of_generation: str
    """Text that it writes in front of a response to be generated, and not of one that is given."""
    drops_thoughts: bool
    """Whether text up to `</think>` in a response is dropped."""
    bos: Literal["template", "tokenizer", "none"]
    """The writer of the BOS token."""
    prompt_surplus: str
    """Text after the token that closes the prompt; it is cut off."""
    response_surplus: str
    """Text after the token that closes the response; it is cut off."""
    example: str
    """A templated conversation, with a mark after each token at which a feature is read."""
    roles: tuple[Role, ...] = ()
    """Roles that it knows beside system, user and assistant. A developer's turn is given to any other template as the
    system's, a function's as a tool's; a row with another role is skipped."""
    tool_calls: bool = False
    """Whether it writes calls of tools; if not, a row with one is skipped."""
    system_turns: Literal["template", "fold"] = "template"
    """As in `[backbone]`."""

    def lines(self) -> Iterator[str]:
        """The facts in sentences, the usual ones left out; the example comes first."""
        yield f"chat template: {shown(self.example)}"
        if self.date is not None:
            yield f"it asks for today's date, and is given {self.date} on every day"
        if self.content == "parts":
            yield "it takes content as a list of parts: text is handed to it as one part"
        yield self._of_system_turns()
        if self.before:
            yield f"it writes before the first turn: {shown(self.before)}"
        if self.earlier_turns == "refused":
            yield "a row with earlier turns of the assistant is skipped"
        elif self.earlier_turns == "changed":
            yield (
                "earlier turns are changed or lost: conversations that differ in them alone may have the same features"
            )
        if self.trims:
            yield "white space at the ends of a message is taken off"
        if self.thought:
            yield f"it writes in front of the response: {shown(self.thought)}"
        if self.thought_of_generation:
            yield (
                "in front of a response to be generated, and not of one that is given, it writes:"
                f" {shown(self.thought_of_generation)}"
            )
        if self.drops_thoughts:
            yield "text up to </think> in a response is left out"
        if self.roles or self.tool_calls:
            calls = ("calls of tools",) if self.tool_calls else ()
            yield f"it also knows turns of {', '.join((*self.roles, *calls))}"
        if self.bos == "tokenizer":
            yield "it writes no BOS: the tokenizer's is put in front"
        for turn, surplus in (("prompt", self.prompt_surplus), ("response", self.response_surplus)):
            if surplus:
                yield f"it writes after the {turn}'s closing token, which is cut off: {shown(surplus)}"

    def _of_system_turns(self) -> str:
        asked = self.system_turns == "fold"
        remedy = "" if asked else f"; {FOLD} puts it in front of the user's text"
        return {
            "kept": "a system turn is a turn of its own" + (f", and {FOLD} changes nothing" if asked else ""),
            "folded": "a system turn is folded into the user's",
            "lost": (
                "the text of a system turn is lost: conversations that differ in it alone have the same features"
                + remedy
            ),
            "refused": f"a row with a system turn is skipped: {self.system_reason}{remedy}",
        }[self.system]


def shown(text: str) -> str:
    """Text on one line, white space visible."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
