"""Reading a recipe's data sets: what is used goes to the tables, what is not is counted with its reason."""

import json
from pathlib import Path

import polars as pl
import pytest

from cache import UserError
from extract.backbone import Backbone, find_backbone
from extract.collect import Collected, Dataset, collect
from extract.results import DatasetRows, count_rows
from extract.settings import BackboneSettings, DatasetSettings, PairSettings, SplitSettings
from extract.sources import SOURCES
from extract.style import STYLE
from extract.tables import Tables, read_table
from extract.templating import ConversationEncoder
from extract.unusable import without_skipped

ATTRIBUTES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
RANGES = {f"helpsteer-{attribute}": (0.0, 4.0) for attribute in ATTRIBUTES}


def helpsteer_row(prompt: object = "Say hello.", response: object = "Hello.", **ratings: object) -> dict[str, object]:
    return {"prompt": prompt, "response": response, **dict.fromkeys(ATTRIBUTES, 3), **ratings}


def dataset(folder: Path, source: str, rows: list[object], limit: int | None = None) -> Dataset:
    path = folder / f"{source}.jsonl"
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    settings = DatasetSettings(source=source, path=path, limit=limit)
    return Dataset(settings, SOURCES[source], folder, (path,), RANGES, {name: name for name in RANGES})


def run(encoder: ConversationEncoder, *datasets: Dataset) -> Collected:
    return collect(datasets, [], list(RANGES), encoder, SplitSettings())


def counts_of(collected: Collected, name: str = "helpsteer") -> DatasetRows:
    return count_rows(collected.kinds, collected.tables, collected.skipped, collected.forms)[name]


def test_good_rows_become_examples_with_their_raw_ratings(tmp_path: Path, encoder: ConversationEncoder) -> None:
    rows = [helpsteer_row(response=f"Hello {number}.", helpfulness=number) for number in range(3)]
    collected = run(encoder, dataset(tmp_path, "helpsteer", rows))
    table = collected.tables.examples
    assert table["helpsteer-helpfulness"].to_list() == [0.0, 1.0, 2.0]
    assert table["row"].to_list() == [f"helpsteer.jsonl#{number}" for number in range(3)]
    assert table["prompt_key"].n_unique() == 1
    assert len(collected.request.keys()) == 4
    assert counts_of(collected).used == 3


STYLED = "# Greeting\n- **Hello**\n- World\n```\n- code\n```"


def test_every_response_has_its_marks_of_style(tmp_path: Path, encoder: ConversationEncoder) -> None:
    tables = run(
        encoder,
        dataset(tmp_path, "helpsteer", [helpsteer_row(), helpsteer_row(response=STYLED)]),
        dataset(tmp_path, "preference", [{"prompt": "Say hello.", "chosen": STYLED, "rejected": "**Hi**"}]),
        dataset(
            tmp_path,
            "reward_bench",
            [{"prompt": "Hi", "chosen": "1. Yes", "rejected": STYLED, "subset": "math-prm", "id": 1}],
        ),
    ).tables
    assert tables.examples.select(STYLE).rows() == [(0, 0, 0), (2, 2, 1)]
    assert tables.pairs.select(f"{side}_{mark}" for side in ("chosen", "rejected") for mark in STYLE).rows() == [
        (2, 2, 1, 1, 0, 0)
    ]
    assert tables.suites.select("chosen", *STYLE).rows() == [(True, 0, 1, 0), (False, 2, 2, 1)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (helpsteer_row(response=""), "column 'response' is empty"),
        (helpsteer_row(prompt=None), "column 'prompt' is empty"),
        (
            {"prompt": "Say hello.", "response": "Hello."},
            "column 'helpfulness' is missing; the row has 'prompt' and 'response'",
        ),
        (helpsteer_row(response="Stop. <|eot_id|> Go."), "the response spells the special token <|eot_id|>"),
        (helpsteer_row(prompt="word " * 100_000), "tokens, more than max_tokens = 2048"),
        ("{not json\n", "is not JSON"),
        (helpsteer_row(**dict.fromkeys(ATTRIBUTES)), "no rating of an objective of the recipe"),
    ],
)
def test_a_row_that_cannot_be_used_is_skipped_with_its_reason(
    tmp_path: Path, encoder: ConversationEncoder, row: object, reason: str
) -> None:
    collected = run(encoder, dataset(tmp_path, "helpsteer", [helpsteer_row(), row, helpsteer_row()]))
    collected.skipped.write(tmp_path / "skipped.jsonl")
    (line,) = map(json.loads, (tmp_path / "skipped.jsonl").read_text().splitlines())
    assert (line["dataset"], line["row"]) == ("helpsteer", "helpsteer.jsonl#1")
    assert reason in line["reason"]
    assert collected.tables.examples["row"].to_list() == ["helpsteer.jsonl#0", "helpsteer.jsonl#2"]
    counted = counts_of(collected)
    assert (counted.rows, counted.used, counted.skipped) == (3, 2, 1)


def test_a_rating_off_its_scale_is_left_out_alone(tmp_path: Path, encoder: ConversationEncoder) -> None:
    collected = run(encoder, dataset(tmp_path, "helpsteer", [helpsteer_row(verbosity=7)]))
    table = collected.tables.examples
    assert table["helpsteer-verbosity"].to_list() == [None]
    assert table["helpsteer-helpfulness"].to_list() == [3.0]
    counted = counts_of(collected)
    assert (counted.used, counted.skipped, counted.ratings_skipped) == (1, 0, 1)
    assert counted.reasons == {"the rating 'helpsteer-verbosity' is 7, outside 0 to 4; it is skipped": 1}


def test_one_prompt_lies_in_one_split_in_every_data_set(tmp_path: Path, encoder: ConversationEncoder) -> None:
    prompts = [f"Tell me fact number {number}." for number in range(60)]
    ratings = dataset(tmp_path, "helpsteer", [helpsteer_row(prompt=prompt) for prompt in prompts])
    pairs = dataset(
        tmp_path, "preference", [{"prompt": prompt, "chosen": "Yes.", "rejected": "No."} for prompt in prompts]
    )
    tables = run(encoder, ratings, pairs).tables
    both = tables.examples.select("prompt_key", "split").join(tables.pairs, on="prompt_key")
    assert len(both) == 60
    assert (both["split"] == both["split_right"]).all()
    assert set(both["split"]) == {"train", "validation"}


def test_a_limit_counts_raw_rows(tmp_path: Path, encoder: ConversationEncoder) -> None:
    rows = [helpsteer_row(response=f"Hello {number}.") for number in range(10)]
    assert len(run(encoder, dataset(tmp_path, "helpsteer", rows, limit=4)).tables.examples) == 4


def suite(tmp_path: Path, encoder: ConversationEncoder) -> Collected:
    row = {"prompt": "Add 2 and 2.", "chosen": "4", "rejected": "5", "subset": "math-prm", "id": 1}
    return run(encoder, dataset(tmp_path, "reward_bench", [row, {**row, "id": 2, "chosen": ""}]))


def test_a_suite_row_that_cannot_be_used_stays_in_the_table_as_missing(
    tmp_path: Path, encoder: ConversationEncoder
) -> None:
    table = suite(tmp_path, encoder).tables.suites
    assert table.filter(pl.col("missing").is_null()).select("row", "chosen").rows() == [("1", True), ("1", False)]
    (missing,) = table.filter(pl.col("missing").is_not_null()).to_dicts()
    assert (missing["row"], missing["subset"], missing["response_key"]) == ("reward_bench.jsonl#1", "math-prm", None)
    assert "empty" in missing["missing"]


RMB = {"category_path": "Pairwise_set/Helpfulness/Chat/Discussion", "chosen": {"answer": "Yes."}}


def rmb_rows() -> list[object]:
    """A plain row, one with an empty response, and one with an empty third turn."""
    said = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}, {"role": "user", "content": ""}]
    given = [(said[:1], "No."), (said[:1], ""), (said, "No.")]
    return [
        RMB | {"pair_uid": str(number), "conversation_input": turns, "reject": {"answer": reject}}
        for number, (turns, reject) in enumerate(given)
    ]


def test_empty_texts_of_a_suite_are_judged(tmp_path: Path, encoder: ConversationEncoder) -> None:
    collected = run(encoder, dataset(tmp_path, "rmb", rmb_rows()))
    table = collected.tables.suites
    assert table["missing"].null_count() == len(table) == 6
    assert table["response_key"].n_unique() == 5  # "Yes." and "No." to one prompt, "" to it, and both to the other
    texts = collected.tables.suite_texts
    assert texts.filter(pl.col("row") == "1")["response"].to_list() == ["Yes.", ""]
    pairs = [{"prompt": "Say hello.", "chosen": "Hello.", "rejected": rejected} for rejected in ("No.", "")]
    told = run(encoder, dataset(tmp_path, "preference", pairs))
    assert len(told.tables.pairs) == 1  # rows that are learned from may not be empty


def test_a_template_that_drops_empty_turns_leaves_the_row_missing(
    tmp_path: Path, tiny: Backbone, tiny_settings: BackboneSettings
) -> None:
    path = tmp_path / "template.jinja"
    path.write_text(
        "{{ bos_token }}{% for m in messages %}{% if m['content'] or m['role'] == 'assistant' %}"
        "{{ '<|start_header_id|>' + m['role'] + '\n' + m['content'] + '<|eot_id|>' }}"
        "{% else %}{{ raise_exception('an empty turn') }}{% endif %}{% endfor %}"
    )
    own = tiny_settings.model_copy(update={"chat_template": path})
    backbone = find_backbone(own)
    table = run(
        ConversationEncoder(backbone.tokenizer, own, backbone.vocabulary), dataset(tmp_path, "rmb", rmb_rows())
    ).tables.suites
    (missing,) = table.filter(pl.col("missing").is_not_null()).to_dicts()
    assert missing["row"] == "2"
    assert "an empty turn" in missing["missing"]
    assert set(table.filter(pl.col("missing").is_null())["row"]) == {"0", "1"}


def test_the_texts_of_a_suite_stand_in_a_table_that_joins_its_rows(
    tmp_path: Path, encoder: ConversationEncoder
) -> None:
    row = {"prompt": "Add 2 and 2.", "chosen": "4", "rejected": "5 \U0001f600\x00<b>", "subset": "math-prm", "id": 1}
    again = {**row, "chosen": "four"}  # the same id twice: the rows are told apart in both tables
    tables = run(encoder, dataset(tmp_path, "reward_bench", [row, again, {**row, "id": 2, "chosen": ""}])).tables
    tables.write(tmp_path / "tables")
    texts = read_table(tmp_path / "tables" / "suite_texts.parquet")
    assert texts["response"].to_list() == ["4", "5 \U0001f600\x00<b>", "four", "5 \U0001f600\x00<b>"]
    assert texts["prompt"].to_list() == [[{"role": "user", "content": "Add 2 and 2."}]] * 4
    identity = ["suite", "subset", "row", "chosen", "place"]
    used = tables.suites.filter(pl.col("missing").is_null())
    assert texts.select(identity).equals(used.select(identity))


def test_rows_whose_feature_was_refused_leave_the_tables_and_are_counted(
    tmp_path: Path, encoder: ConversationEncoder
) -> None:
    rated = dataset(tmp_path, "helpsteer", [helpsteer_row(), helpsteer_row(response="Bye.")])
    pairs = dataset(tmp_path, "preference", [{"prompt": "Say hello.", "chosen": "Bye.", "rejected": "No."}])
    row = {"prompt": "Say hello.", "chosen": "Bye.", "rejected": "No.", "subset": "alpacaeval-easy", "id": 7}
    collected = run(encoder, rated, pairs, dataset(tmp_path, "reward_bench", [row]))
    bad = collected.tables.examples["response_key"][1]
    tables: Tables = without_skipped(collected.tables, {bad: "not finite"}, collected.skipped)
    assert tables.examples["row"].to_list() == ["helpsteer.jsonl#0"]
    assert tables.pairs.is_empty()
    assert tables.suites.select("row", "response_key", "missing").rows() == [("7", None, "not finite")]
    counts = count_rows(collected.kinds, tables, collected.skipped, collected.forms)
    assert {name: (counted.used, counted.skipped) for name, counted in counts.items()} == {
        "helpsteer": (1, 1),
        "preference": (0, 1),
        "reward_bench": (0, 1),
    }


def test_a_damaged_file_is_named(tmp_path: Path, encoder: ConversationEncoder) -> None:
    damaged = dataset(tmp_path, "helpsteer", [])
    path = tmp_path / "helpsteer.jsonl.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00not gzip at all")
    with pytest.raises(UserError, match=r"helpsteer\.jsonl\.gz is damaged or cut off"):
        run(encoder, Dataset(damaged.settings, damaged.source, tmp_path, (path,), RANGES))


def test_the_forms_of_rows_are_counted(tmp_path: Path, encoder: ConversationEncoder) -> None:
    plain = {"prompt": "Say hello.", "chosen": "Hello.", "rejected": "No."}
    turns = [{"from": "human", "value": "Say hello."}]
    whole = {side: [*turns, {"from": "gpt", "value": plain[side]}] for side in ("chosen", "rejected")}
    collected = run(encoder, dataset(tmp_path, "preference", [plain, whole, plain, {"prompt": "Say hello."}]))
    assert counts_of(collected, "preference").forms == {
        "prompt, chosen, rejected: texts": 2,
        "chosen, rejected: ShareGPT turns": 1,
    }
    assert collected.tables.pairs["prompt_key"].n_unique() == 1


def test_unpaired_labels_become_pairs_where_a_prompt_has_both(tmp_path: Path, encoder: ConversationEncoder) -> None:
    rows = [
        {"prompt": prompt, "completion": completion, "label": label}
        for prompt, completion, label in (
            ("Say hello.", "Hello.", True),
            ("Say hello.", "No.", False),
            ("Say bye.", "Bye.", True),
            ("Say bye.", "So long.", True),
        )
    ]
    path = tmp_path / "kto.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ratings = DatasetSettings(source="multi_objective", name="labels", path=path)
    labels = Dataset(
        ratings, SOURCES["multi_objective"], tmp_path, (path,), {"desirable": (0, 1)}, {"desirable": "label"}
    )
    derived = PairSettings(source="derived", name="d", ratings="labels", by={"desirable": 1.0})
    tables = collect([labels], [derived], ["desirable"], encoder, SplitSettings()).tables
    assert tables.examples["desirable"].to_list() == [1.0, 0.0, 1.0, 1.0]
    assert tables.pairs["row"].to_list() == ["kto.jsonl#0 > kto.jsonl#1"]
