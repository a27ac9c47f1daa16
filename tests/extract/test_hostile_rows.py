"""Rows that look made to break a reader become refusals, and rows of one name stay apart."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from extract.backbone import Backbone
from extract.collect import Dataset, collect
from extract.derived_pairs import derive_pairs
from extract.records import RatedResponse, Record, Skipped
from extract.settings import BackboneSettings, PairSettings, SplitSettings, SuiteSettings
from extract.sources import SOURCES
from extract.sources.reader import parse_row
from extract.sources.source import RawRow
from extract.tables import EXAMPLES
from extract.templating import ConversationEncoder

RATED = {"prompt": "Why?", "response": "Because."}
PAIR = {"prompt": "Why?", "chosen": "Because.", "rejected": "No."}
ITEM = {"subset": "donotanswer", "prompt": "Why?", "chosen": "No.", "rejected": "Yes."}


def parsed(source: str, values: dict[str, object]) -> list[Record | Skipped]:
    return list(parse_row(SOURCES[source], RawRow(values, "f#0", {"polite": "polite"})))


@pytest.mark.parametrize(
    ("source", "values"),
    [("multi_objective", RATED | {"polite": 10**400}), ("preference", PAIR | {"margin": 10**400})],
)
def test_a_number_beyond_every_float_is_refused(source: str, values: dict[str, object]) -> None:
    refused = parsed(source, values)[0]
    assert isinstance(refused, Skipped)
    assert "too large" in refused.reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("inf"), "the rating 'polite' is infinite, expected a number"),
        ("-inf", "the rating 'polite' is infinite, expected a number"),
        (datetime(2024, 7, 26), "the rating 'polite' is datetime, expected a number"),
        (b"4", "the rating 'polite' is bytes, expected a number"),
    ],
)
def test_what_is_no_number_is_no_rating(value: object, reason: str) -> None:
    assert parsed("multi_objective", RATED | {"polite": value})[0] == Skipped("f#0", reason, rating_only=True)


def test_a_decimal_is_a_number() -> None:
    for value in (Decimal("3.50"), "3.5", 3.5):
        (rated,) = parsed("multi_objective", RATED | {"polite": value})
        assert isinstance(rated, RatedResponse)
        assert rated.ratings == {"polite": 3.5}


def test_a_turn_without_a_role_is_named_by_its_keys() -> None:
    (refused,) = parsed("preference", {"chosen": [{"speaker": "human", "value": "Hi"}], "rejected": [{}]})
    assert refused == Skipped("f#0", "column 'chosen'[0] has neither 'role' nor 'from'; it has 'speaker' and 'value'")


def test_an_id_that_is_no_text_is_refused_in_its_subset() -> None:
    (refused,) = parsed("reward_bench", ITEM | {"id": "\ud800"})
    assert isinstance(refused, Skipped)
    assert "surrogate" in refused.reason
    assert refused.subset == "donotanswer"


def test_suite_rows_that_share_an_id_are_judged_one_by_one(
    tmp_path: Path, tiny: Backbone, tiny_settings: BackboneSettings
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(
            f'{{"id": 0, "subset": "donotanswer", "prompt": "{number}?", "chosen": "No.", "rejected": "Yes."}}\n'
            for number in range(3)
        )
    )
    settings = SuiteSettings(source="reward_bench", path=path)
    dataset = Dataset(settings, SOURCES["reward_bench"], tmp_path, [path])
    encoder = ConversationEncoder(tiny.tokenizer, tiny_settings, tiny.vocabulary)
    suites = collect([dataset], [], [], encoder, SplitSettings()).tables.suites
    assert suites["row"].n_unique() == 3
    assert suites["row"][0] == "0"


def test_a_negative_weight_prefers_the_lower_rating() -> None:
    rows = [
        ("set", f"r{number}", b"p" * 16, bytes([number]) * 16, 5, 0, 0, 0, "train", float(number)) for number in (1, 4)
    ]
    examples = pl.DataFrame(rows, schema=EXAMPLES | {"toxicity": pl.Float64}, orient="row")
    settings = PairSettings(source="derived", name="d", ratings="set", by={"toxicity": -2.0})
    pairs = derive_pairs(examples, settings)
    assert pairs["row"].to_list() == ["r1 > r4"]
    assert pairs["margin"].to_list() == [3.0]
