"""Custom suites: the plain schema that most public sets use.

Schema: prompt, chosen, rejected. Each may be a text or a list of {role, content}; chosen and rejected are the
responses alone, or whole conversations (then `prompt` may be missing). Where both are lists of texts, the row has
several good and bad responses, and every good one must score above every bad one. Optional: id (by default the row's
place) and subset (else `all`).
"""

from collections.abc import Iterator

from extract.files.kinds import patterns
from extract.records import Prompt, Skipped, SuiteItem
from extract.sources.pairing import pair_of_messages, prompt_of
from extract.sources.source import RawRow, Source, in_subset, nonempty_text

WHOLE = "all"


def parse(row: RawRow) -> Iterator[SuiteItem | Skipped]:
    """One item per row. A row with equal responses is used: a tie counts as wrong, it is not skipped."""
    subset = row.values.get("subset")
    subset = WHOLE if subset is None else nonempty_text(subset, "column 'subset'")
    with in_subset(subset):
        name = row.where if row.values.get("id") is None else row.identifier("id")
        yield SuiteItem(name, subset, *_responses(row))


def _responses(row: RawRow) -> tuple[Prompt, tuple[str, ...], tuple[str, ...]]:
    if all(_lists_texts(row.values.get(side)) for side in ("chosen", "rejected")):
        return prompt_of(row), row.texts("chosen"), row.texts("rejected")
    prompt, chosen, rejected = pair_of_messages(row)
    return prompt, (chosen,), (rejected,)


def _lists_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], str)


SOURCE = Source(
    name="preference_suite",
    kind="suite",
    repo=None,
    files=patterns("**/*"),
    columns=("id", "subset", "prompt", "chosen", "rejected"),
    parse=parse,
)
