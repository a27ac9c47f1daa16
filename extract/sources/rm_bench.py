"""RM-Bench: a prompt with three good and three bad responses, one of each in each of three styles.

Schema (THU-KEG/RM-Bench, total_dataset.json): id, prompt, chosen[3], rejected[3], domain. Both lists are in the order
concise, detailed plain text, detailed Markdown.
"""

from collections.abc import Iterator

from extract.records import Skipped, SuiteItem
from extract.sources.source import BadRowError, RawRow, Source, in_subset, user_prompt

DOMAINS = ("chat", "code", "math", "safety-refuse", "safety-response")
STYLES = 3


def parse(row: RawRow) -> Iterator[SuiteItem | Skipped]:
    """One item per row; a response's place is its style."""
    domain = row.text("domain")
    if domain not in DOMAINS:
        raise BadRowError(f"the domain {domain!r} is not one of RM-Bench's")
    with in_subset(domain):
        sides = {}
        for side in ("chosen", "rejected"):
            sides[side] = row.texts(side)
            if len(sides[side]) != STYLES:
                raise BadRowError(f"column '{side}' has {len(sides[side])} responses, expected {STYLES}")
        prompt = user_prompt(row.text("prompt"))
        yield SuiteItem(row.identifier("id"), domain, prompt, sides["chosen"], sides["rejected"])


SOURCE = Source(
    name="rm_bench",
    kind="suite",
    repo="THU-KEG/RM-Bench",
    files=("total_dataset.json",),
    columns=("id", "prompt", "chosen", "rejected", "domain"),
    parse=parse,
    licence="odc-by",
)
