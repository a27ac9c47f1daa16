"""The result of an extraction goes to JSON and back without loss, under the keys of its fields."""

import json
from dataclasses import asdict

from pydantic import TypeAdapter

from extract.results import DatasetRows, Extract

RESULT = Extract(
    rows=10,
    unique_tokens=100,
    tokens_computed=90,
    features_new=8,
    features_reused=2,
    skipped=3,
    seconds=1.5,
    seconds_extracting=1.0,
    device="cpu",
    engine="packed",
    worker="1/1",
    fingerprint="0123456789abcdef",
    store="features/0123456789abcdef",
    limit=None,
    missing={"capybara": "capybara: there is no folder data"},
    revisions={"helpsteer": "c0ffee"},
    datasets={"helpsteer": DatasetRows("ratings", 10, 8, 2, 1, {"the response is empty": 2, "N": 1})},
)


def test_json_and_back() -> None:
    adapter = TypeAdapter(Extract)
    text = adapter.dump_json(RESULT, by_alias=True)
    assert json.loads(text) == asdict(RESULT)
    assert adapter.validate_json(text) == RESULT
