"""CPU time of rendering a chat template here, in a process that can be ended, and by transformers in this process.

    python -m benchmarks.templates --json benchmarks/templates.json

Both render the same conversations with the bundled template, in batches as extraction makes them, and the texts are
compared. transformers renders one conversation a call of `apply_chat_template(tokenize=False)`, in this process, with
its compiled template in its own cache; ours sends batches to a process with limits, and its CPU time is counted with
this one's. Beside them stands the tokenizer that reads the texts afterwards.
"""

import argparse
import resource
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from benchmarks.conditions import Conditions
from extract.records import Message, Prompt
from extract.template.renderer import renderer
from extract.template.rendering import render_each
from extract.templating import BATCH

BACKBONE = Path(__file__).parents[1] / "backbones" / "tiny"
CHARACTERS = (50, 1000, 4000)
"""Length of each of the two messages of a conversation."""


def seconds() -> float:
    """CPU seconds of this process and of its ended children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measured(characters: int, count: int) -> dict[str, Any]:
    """Microseconds a conversation by either way, and by the tokenizer that reads the text afterwards."""
    tokenizer = AutoTokenizer.from_pretrained(BACKBONE)
    text = ("word " * characters)[:characters]
    conversations: list[Prompt] = [
        (Message("user", f"{number} {text}"), Message("assistant", f"{text} {number}")) for number in range(count)
    ]
    batches = [conversations[start : start + BATCH] for start in range(0, count, BATCH)]
    before = seconds()
    expected = [
        tokenizer.apply_chat_template([{"role": t.role, "content": t.content} for t in turns], tokenize=False)
        for turns in conversations
    ]
    by_transformers = seconds() - before
    before = seconds()
    texts = [str(each) for batch in batches for each in render_each(tokenizer, batch)]
    renderer().close()  # so that its seconds are counted, its start included
    here = seconds() - before
    few = texts[: 4 * BATCH]
    before = seconds()
    tokenizer(few, add_special_tokens=False, verbose=False)
    tokenizing = (seconds() - before) * count / len(few)
    figures = {"transformers": by_transformers, "here": here, "tokenizing": tokenizing}
    return {
        "characters": characters,
        **{name: value / count * 1e6 for name, value in figures.items()},
        "other_texts": sum(one != other for one, other in zip(texts, expected, strict=True)),
    }


def table(report: dict[str, Any]) -> str:
    """The figures as a Markdown table; "ratio" is transformers' time over ours: below 1, transformers wins."""
    lines = [
        "| characters a message | transformers, CPU µs | here | ratio | the tokenizer afterwards | other texts |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each['characters']:,} | {each['transformers']:.0f} | {each['here']:.0f}"
        f" | {each['transformers'] / each['here']:.2f} | {each['tokenizing']:.0f} | {each['other_texts']} |"
        for each in report["results"]
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer conversations, all lengths")
    parser.add_argument("--conversations", type=int, default=None, help="20,000, quick 4,000")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    count = arguments.conversations or (4_000 if arguments.quick else 20_000)
    conditions = Conditions()
    report: dict[str, Any] = {"conversations": count, "results": []}
    for characters in CHARACTERS:
        report["results"].append(measured(characters, count))
        conditions.write(arguments.json, report)
    print(table(report))


if __name__ == "__main__":
    main()
