"""RM-Bench: a prompt with three good and three bad responses, one of each in each of three styles.

Schema (THU-KEG/RM-Bench, total_dataset.json): id, prompt, chosen[3], rejected[3], domain. Both lists are in the order
concise, detailed plain text, detailed Markdown. The files of one domain in the benchmark's repository on GitHub
(data/chat_filtered.json and so on) have no domain: it is the file's name.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from extract.records import Skipped, SuiteItem
from extract.sources.prompts import user_prompt
from extract.sources.source import BadRowError, RawRow, Source, in_subset

DOMAINS = ("chat", "code", "math", "safety-refuse", "safety-response")
STYLES = 3


def parse(row: RawRow) -> Iterator[SuiteItem | Skipped]:
    """One item per row; a response's place is its style."""
    domain = _domain(row)
    with in_subset(domain):
        sides = {}
        for side in ("chosen", "rejected"):
            sides[side] = row.texts(side)
            if len(sides[side]) != STYLES:
                raise BadRowError(f"column '{side}' has {len(sides[side])} responses, expected {STYLES}")
        prompt = user_prompt(row.text("prompt"))
        yield SuiteItem(row.identifier("id"), domain, prompt, sides["chosen"], sides["rejected"])


def _domain(row: RawRow) -> str:
    file = PurePosixPath(row.where.rpartition("#")[0]).name
    domain = row.text("domain") if "domain" in row.values else re.split(r"[_.]", file, maxsplit=1)[0]
    if domain not in DOMAINS:
        raise BadRowError(f"the domain {domain[:40]!r} is not one of RM-Bench's")
    return domain


SOURCE = Source(
    name="rm_bench",
    kind="suite",
    repo="THU-KEG/RM-Bench",
    files=("total_dataset.json*",),
    other_files=(("data/total_dataset.json*",), ("**/*_filtered.json*",)),
    columns=("id", "prompt", "chosen", "rejected", "domain"),
    parse=parse,
)
