"""A few plain conversations through the whole encoder, before any row is read."""

from collections.abc import Callable, Sequence

import numpy as np

from cache import UserError
from extract.encoded import Encoded
from extract.records import Message, Prompt
from extract.template.examples import EXAMPLE
from extract.template.probe import REMEDY
from extract.template.rendering import NotEncodableError

Encode = Callable[[Sequence[tuple[Prompt, tuple[str, ...]]]], list[Encoded | NotEncodableError]]


def refuse_useless(encode: Encode, bos: int | None) -> None:
    """Refuse a tokenizer and template of which no row could pass.

    Args:
        encode: encodes prompts, each with its responses.
        bos: id of the tokenizer's BOS.

    Raises:
        UserError: plain conversations get no tokens, the same tokens, or two BOS.
    """
    prompt, answer = EXAMPLE[:1], EXAMPLE[1].content
    made = encode([(prompt, (answer, "No idea.")), ((Message("user", "Name a colour."),), (answer,))])
    for result in made:
        if isinstance(result, NotEncodableError):
            raise UserError(f"the chat template does not fit this method ({result}): {REMEDY}")
    first, second = (result for result in made if isinstance(result, Encoded))
    if np.array_equal(first.responses[0], first.responses[1]) or np.array_equal(first.prompt, second.prompt):
        raise UserError(f"the chat template gives the same tokens for different texts: {REMEDY}")
    if bos is not None and first.prompt[:2].tolist() == [bos, bos]:
        raise UserError(f"the chat template writes more than one BOS at the start: {REMEDY}")
