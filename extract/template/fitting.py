"""The lines that a chat template needs in front of it, decided by trying it."""

from typing import Any

from extract.template.examples import CONVERSATION
from extract.template.preludes import with_fixed_date, with_folded_system_turns, with_parts
from extract.template.rendering import NotEncodableError, render
from extract.template.system_turns import takes_system_turns


def fit_template(tokenizer: Any, *, fold_system_turns: bool = False) -> None:
    """Give the tokenizer's chat template the lines in front that it needs for plain text, the same on every day.

    A template that loses text even so is left for the probe, which says what is wrong with it.

    Args:
        tokenizer: its template is replaced.
        fold_system_turns: whether a template that refuses or loses system turns is given them as a part of the user's.
    """
    tokenizer.chat_template = own = with_fixed_date(tokenizer.chat_template)
    if not _takes_text(tokenizer):
        tokenizer.chat_template = with_parts(own)
        if not _takes_text(tokenizer):
            tokenizer.chat_template = own
    if fold_system_turns and not takes_system_turns(tokenizer):
        tokenizer.chat_template = with_folded_system_turns(tokenizer.chat_template)


def _takes_text(tokenizer: Any) -> bool:
    try:
        text = render(tokenizer, CONVERSATION)
    except NotEncodableError:
        return False
    return all(message.content in text for message in CONVERSATION)
