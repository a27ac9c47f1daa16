"""The lines that a chat template needs in front of it, decided by trying it."""

from typing import Any

from extract.template.preludes import with_fixed_date, with_parts
from extract.template.probe import CONVERSATION
from extract.template.rendering import NotEncodableError, render


def fit_template(tokenizer: Any) -> None:
    """Give the tokenizer's chat template the lines in front that it needs for plain text, the same on every day.

    A template that loses text even so is left for the probe, which says what is wrong with it.
    """
    tokenizer.chat_template = own = with_fixed_date(tokenizer.chat_template)
    if not _takes_text(tokenizer):
        tokenizer.chat_template = with_parts(own)
        if not _takes_text(tokenizer):
            tokenizer.chat_template = own


def _takes_text(tokenizer: Any) -> bool:
    try:
        text = render(tokenizer, CONVERSATION)
    except NotEncodableError:
        return False
    return all(message.content in text for message in CONVERSATION)
