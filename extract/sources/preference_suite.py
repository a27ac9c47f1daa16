"""Custom suites, in the forms that most public sets use.

A row's pair is written in any of the forms of the source 'preference'. Where chosen and rejected are both lists of
texts, the row has several good and bad responses, and every good one must score above every bad one. Optional: id (by
default the row's place) and subset (else `all`).
"""

from collections.abc import Iterator

from extract.files.kinds import patterns
from extract.records import Skipped, SuiteItem
from extract.sources.pairing import SIDES, written_pair
from extract.sources.prompts import CONVERSATIONS, PROMPT_COLUMNS, asked_in
from extract.sources.shapes import other_shape
from extract.sources.source import RawRow, Source, in_subset, nonempty_text

NAME = "preference_suite"

WHOLE = "all"


def parse(row: RawRow) -> Iterator[SuiteItem | Skipped]:
    """One item per row. A row with equal responses is used: a tie counts as wrong, it is not skipped."""
    subset = row.values.get("subset")
    subset = WHOLE if subset is None else nonempty_text(subset, "column 'subset'")
    with in_subset(subset):
        missing = next((side for side in SIDES if row.values.get(side) is None), None)
        if missing is not None:
            raise other_shape(row, NAME, f"column '{missing}' is missing")
        name = row.where if row.values.get("id") is None else row.identifier("id")
        yield _item(row, name, subset)


def _item(row: RawRow, name: str, subset: str) -> SuiteItem:
    if all(_lists_texts(row.values.get(side)) for side in SIDES):
        asked = asked_in(row)
        if asked is None:
            raise other_shape(row, NAME, "column 'prompt' is missing")
        form = f"{', '.join((*asked[0], *SIDES))}: lists of texts"
        return SuiteItem(name, subset, asked[1], row.texts("chosen"), row.texts("rejected"), form=form)
    pair = written_pair(row)
    return SuiteItem(name, subset, pair.prompt, (pair.chosen,), (pair.rejected,), form=pair.form)


def _lists_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], str)


SOURCE = Source(
    name=NAME,
    kind="suite",
    repo=None,
    files=patterns("**/*"),
    columns=tuple(dict.fromkeys(("id", "subset", *SIDES, *PROMPT_COLUMNS, *CONVERSATIONS))),
    parse=parse,
)
