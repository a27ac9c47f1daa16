"""RMB: pairs of responses, and best-of-n rows with one best response and several others.

Two schemas have the same rows. The authors' repository (RMB_dataset/**/*.json of
Zhou-Zoey/RMB-Reward-Model-Benchmark): conversation_input[], category_path, and pair_uid, chosen {answer},
reject {answer}, or bon_uid, bon_best {answer}, loser_list [{answer}]. The set on the hub (dd101bb/RMB_dataset, splits
pairwise with 17,131 rows and bon with 3,786): uid, conversation[], responses [{answer}], preferred_index,
category_path. A subset is the category path.

Texts may be empty: five rows have an empty third turn and two an empty rejected response, and the authors' scripts
(eval/scripts) leave none of them out.
"""

from collections.abc import Iterator
from typing import Any

from extract.records import Skipped, SuiteItem
from extract.sources.source import BadRowError, RawRow, Source, any_text, in_subset, mapping
from extract.sources.turns import turns

PARTS = tuple(f"{kind}/{goal}" for kind in ("Pairwise_set", "BoN_set") for goal in ("Helpfulness", "Harmlessness"))


def parse(row: RawRow) -> Iterator[SuiteItem | Skipped]:
    """One item per row."""
    subset = row.text("category_path")
    if not subset.startswith(PARTS):
        raise BadRowError(f"the category path {subset[:60]!r} begins with none of {', '.join(PARTS)}")
    with in_subset(subset):
        conversation = "conversation_input" if "conversation_input" in row.values else "conversation"
        prompt = turns(row.value(conversation), f"column '{conversation}'", empty=True)
        name, chosen, rejected = _hub(row) if "responses" in row.values else _repository(row)
        yield SuiteItem(name, subset, prompt, (chosen,), rejected)


def _repository(row: RawRow) -> tuple[str, str, tuple[str, ...]]:
    if "bon_best" in row.values:
        losers = row.records("loser_list")
        others = tuple(_answer(loser, f"column 'loser_list'[{number}]") for number, loser in enumerate(losers))
        return row.identifier("bon_uid"), _answer(row.value("bon_best"), "column 'bon_best'"), others
    other = _answer(row.value("reject"), "column 'reject'")
    return row.identifier("pair_uid"), _answer(row.value("chosen"), "column 'chosen'"), (other,)


def _hub(row: RawRow) -> tuple[str, str, tuple[str, ...]]:
    answers = [_answer(each, f"column 'responses'[{at}]") for at, each in enumerate(row.records("responses"))]
    best = row.value("preferred_index")
    if isinstance(best, bool) or not isinstance(best, int) or not 0 <= best < len(answers) or len(answers) < 2:
        raise BadRowError(f"column 'preferred_index' is {best!r}, of {len(answers)} responses")
    return row.identifier("uid"), answers.pop(best), tuple(answers)


def _answer(value: Any, what: str) -> str:
    return any_text(mapping(value, what).get("answer"), f"{what}.answer")


SOURCE = Source(
    name="rmb",
    kind="suite",
    repo="dd101bb/RMB_dataset",
    files=("data/pairwise-*.parquet", "data/bon-*.parquet", "RMB_dataset/**/*.json"),
    columns=(
        *("category_path", "conversation", "conversation_input", "uid", "responses", "preferred_index"),
        *("bon_uid", "bon_best", "loser_list", "pair_uid", "chosen", "reject"),
    ),
    parse=parse,
    rows=20_917,  # 17,131 and 3,786, by its card
)
