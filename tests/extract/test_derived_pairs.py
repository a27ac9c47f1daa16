"""Pairs derived from ratings: the better rated of a prompt's responses is the chosen one."""

import json
from pathlib import Path

import polars as pl
import pytest

from cache import UserError
from extract.collect import Dataset, collect
from extract.derived_pairs import derive_pairs
from extract.settings import DatasetSettings, PairSettings, SplitSettings
from extract.sources import SOURCES
from extract.tables import EXAMPLES, PAIRS, frame
from extract.templating import ConversationEncoder


def examples(*rows: tuple[str, str, str, float | None, float | None]) -> pl.DataFrame:
    """Rows of (data set, prompt, response, a, b)."""
    filled = [
        (dataset, f"r{number}", prompt.encode(), response.encode(), 10 + number, number, 2 * number, 0, "train", a, b)
        for number, (dataset, prompt, response, a, b) in enumerate(rows)
    ]
    return frame(filled, EXAMPLES | {"a": pl.Float64, "b": pl.Float64})


def settings(**more: object) -> PairSettings:
    return PairSettings(source="derived", name="made", ratings="set", **{"by": {"a": 1.0}, **more})


def chosen_over_rejected(pairs: pl.DataFrame) -> set[tuple[bytes, bytes, float]]:
    return set(pairs.select("chosen_key", "rejected_key", "margin").rows())


ROWS = examples(
    ("set", "p", "good", 5.0, 1.0),
    ("set", "p", "middling", 3.0, 2.0),
    ("set", "p", "bad", 1.0, 3.0),
    ("set", "q", "alone", 4.0, 1.0),
    ("set", "r", "even", 2.0, 1.0),
    ("set", "r", "odd", 2.0, 4.0),
    ("other", "p", "elsewhere", 9.0, 9.0),
)


def test_best_and_worst_make_one_pair_a_prompt_and_equal_ratings_none() -> None:
    pairs = derive_pairs(ROWS, settings())
    assert dict(pairs.schema) == PAIRS
    assert chosen_over_rejected(pairs) == {(b"good", b"bad", 4.0)}
    assert pairs["dataset"].to_list() == ["made"]
    assert pairs.select("chosen_tokens", "chosen_markdown", "chosen_lists", "rejected_lists").row(0) == (10, 0, 0, 4)


def test_all_pairs_above_the_minimum_margin() -> None:
    assert chosen_over_rejected(derive_pairs(ROWS, settings(pick="all"))) == {
        (b"good", b"bad", 4.0),
        (b"good", b"middling", 2.0),
        (b"middling", b"bad", 2.0),
    }
    assert chosen_over_rejected(derive_pairs(ROWS, settings(pick="all", minimum_margin=2.0))) == {
        (b"good", b"bad", 4.0)
    }


def test_objectives_are_weighed() -> None:
    pairs = derive_pairs(ROWS, settings(by={"a": 1.0, "b": 3.0}))
    assert chosen_over_rejected(pairs) == {(b"bad", b"good", 0.5), (b"odd", b"even", 2.25)}


def test_a_response_without_the_rating_takes_no_part() -> None:
    rows = examples(("set", "p", "x", 3.0, 1.0), ("set", "p", "y", None, 5.0), ("set", "p", "z", 1.0, 1.0))
    assert chosen_over_rejected(derive_pairs(rows, settings())) == {(b"x", b"z", 2.0)}


def test_an_unknown_objective_is_named() -> None:
    with pytest.raises(UserError, match="made: c is no objective of this recipe"):
        derive_pairs(ROWS, settings(by={"c": 1.0}))


def test_each_objective_decides_over_the_responses_that_have_it() -> None:
    # As in CodeUltraFeedback: the responses of a prompt are rated on one of the objectives.
    rows = examples(
        ("set", "p", "x", 3.0, None),
        ("set", "p", "y", 1.0, None),
        ("set", "q", "x", None, 2.0),
        ("set", "q", "y", None, 5.0),
        ("set", "r", "x", 4.0, None),
        ("set", "r", "y", None, 1.0),
    )
    pairs = derive_pairs(rows, settings(by={}, by_each=["a", "b"]))
    assert pairs.select("prompt_key", "chosen_key", "rejected_key", "margin").rows() == [
        (b"p", b"x", b"y", 2.0),
        (b"q", b"y", b"x", 3.0),
    ]


def test_two_responses_may_be_a_pair_by_several_objectives_each_of_its_own_name() -> None:
    rows = examples(("set", "p", "x", 3.0, 1.0), ("set", "p", "y", 1.0, 2.0))
    pairs = derive_pairs(rows, settings(by={}, by_each=["a", "b"]))
    assert pairs["row"].to_list() == ["r0 > r1 by a", "r1 > r0 by b"]


def test_code_ultrafeedback_gives_pairs_of_all_its_prompts(tmp_path: Path, encoder: ConversationEncoder) -> None:
    # A row in five is rated on each preference: by one objective a fifth of the prompts would give pairs.
    kinds = ("complexity", "style", "explanation", "instruction-following", "readability")
    models = ("w", "x", "y", "z")
    rows = [
        {
            "instruction": f"Task {number}.",
            "preference": kinds[number % 5],
            "responses": [{"model": model, "response": f"Answer of {model}."} for model in models],
            "annotations": [{"model": model, "rating": str(1 + place)} for place, model in enumerate(models)],
        }
        for number in range(20)
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    objectives = [f"code-{kind}" for kind in kinds]
    source = SOURCES["code_ultrafeedback"]
    dataset = Dataset(
        DatasetSettings(source=source.name, path=path), source, tmp_path, (path,), dict.fromkeys(objectives, (1.0, 5.0))
    )
    derived = [
        PairSettings(source="derived", name="code", ratings=source.name, by_each=tuple(objectives), pick="all"),
        PairSettings(source="derived", name="one", ratings=source.name, by={objectives[0]: 1.0}, pick="all"),
    ]
    pairs = collect([dataset], derived, objectives, encoder, SplitSettings()).tables.pairs
    assert pairs.group_by("dataset").agg(pl.len(), pl.col("prompt_key").n_unique()).sort("dataset").rows() == [
        ("code", 20 * 6, 20),
        ("one", 4 * 6, 4),
    ]
