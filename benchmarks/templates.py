"""CPU time of rendering a chat template here, in a process that can be ended, and by transformers in this process.

python -m benchmarks.templates
"""

import json
import resource
import sys

from transformers import AutoTokenizer

from extract.records import Message, Prompt
from extract.template.renderer import renderer
from extract.template.rendering import render_each
from extract.templating import BATCH

BACKBONE = "backbones/tiny"
CONVERSATIONS = 20_000
CHARACTERS = (50, 1000, 4000)
"""Length of each of the two messages of a conversation."""


def seconds() -> float:
    """CPU seconds of this process and of its ended children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measured(characters: int) -> dict[str, float]:
    """Microseconds a conversation by either way, and by the tokenizer that reads the text afterwards."""
    tokenizer = AutoTokenizer.from_pretrained(BACKBONE)
    text = ("word " * characters)[:characters]
    conversations: list[Prompt] = [
        (Message("user", f"{number} {text}"), Message("assistant", f"{text} {number}"))
        for number in range(CONVERSATIONS)
    ]
    batches = [conversations[start : start + BATCH] for start in range(0, CONVERSATIONS, BATCH)]
    before = seconds()
    for batch in batches:
        for turns in batch:
            tokenizer.apply_chat_template([{"role": t.role, "content": t.content} for t in turns], tokenize=False)
    by_transformers = seconds() - before
    before = seconds()
    texts = [render_each(tokenizer, batch) for batch in batches]
    renderer().close()  # so that its seconds are counted, its start included
    here = seconds() - before
    before = seconds()
    for rendered in texts[:4]:
        tokenizer([str(each) for each in rendered], add_special_tokens=False, verbose=False)
    tokenizing = (seconds() - before) * len(batches) / 4
    figures = {"transformers": by_transformers, "here": here, "tokenizing": tokenizing}
    return {name: round(value / CONVERSATIONS * 1e6, 1) for name, value in figures.items()}


if __name__ == "__main__":
    json.dump({str(characters): measured(characters) for characters in CHARACTERS}, sys.stdout, indent=2)
