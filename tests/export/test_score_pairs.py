"""`armorm score` on pairs: the scores of both responses, the verdict, and how often the chosen response wins."""

import copy
import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from cache import UserError
from cache.progress import silent
from export.reward_model import RewardModel
from export.score_file import score_file
from pipelines.cli import main
from tests.export.uncertain import ANSWERS, FAMILIAR, PROMPT, UNFAMILIAR

GOOD, BAD = ANSWERS
QUESTION, GOOD_TURN, BAD_TURN = FAMILIAR[0], FAMILIAR[1], UNFAMILIAR[1]
FORMS: dict[str, dict[str, Any]] = {
    "texts": {"prompt": PROMPT, "chosen": GOOD, "rejected": BAD},
    "explicit turns": {"prompt": [QUESTION], "chosen": [GOOD_TURN], "rejected": [BAD_TURN]},
    "implicit prompt": {"chosen": FAMILIAR, "rejected": UNFAMILIAR},
    "LLaMA-Factory": {
        "conversations": [{"from": "human", "value": PROMPT}],
        "chosen": {"from": "gpt", "value": GOOD},
        "rejected": {"from": "gpt", "value": BAD},
    },
    "a whole conversation beside": {"messages": FAMILIAR, "chosen": FAMILIAR, "rejected": UNFAMILIAR},
    "HH-RLHF": {
        "chosen": f"\n\nHuman: {PROMPT}\n\nAssistant: {GOOD}",
        "rejected": f"\n\nHuman: {PROMPT}\n\nAssistant: {BAD}",
    },
    "Alpaca": {"instruction": PROMPT, "input": "", "chosen": GOOD, "rejected": BAD},
    "ranked": {"prompt": PROMPT, "answers": [{"answer": BAD, "rank": 2}, {"answer": GOOD, "rank": 1}]},
}


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    source = folder / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return source


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_every_form_is_scored_as_the_class_compares(uncertain: RewardModel, tmp_path: Path) -> None:
    source, out = written(tmp_path, list(FORMS.values())), tmp_path / "out.jsonl"
    told = score_file(uncertain, source, out, prefix="", full=False, progress=silent)
    found = uncertain.compare([QUESTION], GOOD, BAD)
    for form, row in zip(FORMS, lines(out), strict=True):
        assert "error" not in row, form
        assert row["chosen_score"] == pytest.approx(found.first.score, rel=1e-4), form
        assert row["rejected_score"] == pytest.approx(found.second.score, rel=1e-4), form
        assert row["margin"] == row["chosen_score"] - row["rejected_score"]
        assert row["prefers"] == ("chosen" if found.margin > 0 else "rejected")
        assert row["probability"] == pytest.approx(found.probability, abs=1e-4), form
        assert row.get("compared") == ({"chosen": GOOD, "rejected": BAD} if form == "ranked" else None)
    wins = len(FORMS) if found.margin > 0 else 0
    assert (told.pairs, told.chosen_wins, told.ties, told.accuracy) == (len(FORMS), wins, 0, wins / len(FORMS))
    assert told.responses == 2 * len(FORMS)


def test_accuracy_counts_pairs_alone(model: RewardModel, tmp_path: Path) -> None:
    rows = [FORMS["texts"], {"prompt": PROMPT, "chosen": BAD, "rejected": GOOD}]
    rows += [{"prompt": PROMPT, "response": GOOD}, {"prompt": PROMPT, "chosen": GOOD}]
    rows += [{"prompt": PROMPT, "chosen": GOOD, "rejected": " "}, {"chosen": GOOD, "rejected": BAD}]
    out = tmp_path / "out.jsonl"
    told = score_file(model, written(tmp_path, rows), out, prefix="", full=False, progress=silent)
    assert (told.rows, told.scored, told.bad, told.pairs, told.chosen_wins) == (6, 3, 3, 2, 1)
    assert told.accuracy == 0.5
    one, turned, alone, *bad = lines(out)
    assert {one["prefers"], turned["prefers"]} == {"chosen", "rejected"}
    assert turned["margin"] == pytest.approx(-one["margin"], rel=1e-4)
    assert "probability" not in one
    assert alone["score"] == pytest.approx(one["chosen_score"], rel=1e-4)
    assert "prefers" not in alone
    reasons = [row["error"] for row in bad]
    assert reasons[0].startswith("column 'rejected' is missing")
    assert "column 'rejected'" in reasons[1]
    assert "column 'prompt' is missing" in reasons[2]


def test_labels_beside_a_conversation_make_no_pair(model: RewardModel, tmp_path: Path) -> None:
    rows = [
        {"messages": FAMILIAR, "chosen": True, "rejected": False},
        {"prompt": PROMPT, "response": GOOD, "chosen": GOOD, "rejected": BAD},
        {"prompt": PROMPT, "responses": [GOOD, BAD], "chosen": 0, "rejected": 1},
    ]
    out = tmp_path / "out.jsonl"
    told = score_file(model, written(tmp_path, rows), out, prefix="", full=False, progress=silent)
    assert (told.scored, told.pairs, told.accuracy) == (3, 0, None)
    first, second, several = lines(out)
    assert [second["score"], several["scores"][0]] == pytest.approx([first["score"]] * 2, rel=1e-4)


def test_equal_scores_are_a_tie_and_no_win(model: RewardModel, tmp_path: Path) -> None:
    blind = copy.copy(model)
    blind.parts = replace(model.parts, weight=np.zeros_like(model.parts.weight))
    source, out = written(tmp_path, [FORMS["texts"]]), tmp_path / "out.jsonl"
    told = score_file(blind, source, out, prefix="", full=False, progress=silent)
    assert (lines(out)[0]["margin"], lines(out)[0]["prefers"]) == (0.0, "tie")
    assert (told.pairs, told.chosen_wins, told.ties, told.accuracy) == (1, 0, 1, 0.0)


def test_full_rows_have_both_decompositions(uncertain: RewardModel, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    score_file(uncertain, written(tmp_path, [FORMS["texts"]]), out, prefix="rm_", full=True, progress=silent)
    (row,) = lines(out)
    found = uncertain.compare([QUESTION], GOOD, BAD)
    assert row["rm_margin_std"] == pytest.approx(found.margin_std, rel=1e-3)
    for side in ("chosen", "rejected"):
        terms = row[f"rm_{side}_decomposition"]
        assert sum(terms["contributions"].values()) == pytest.approx(row[f"rm_{side}_score"], rel=1e-9)
        assert terms["score_std"] > 0


def test_a_profile_steers_the_verdict(steerable: RewardModel, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    steering = steerable.profiles.by_name("curious")
    source = written(tmp_path, [FORMS["texts"]])
    score_file(steerable, source, out, prefix="", full=False, progress=silent, steering=steering)
    (row,) = lines(out)
    good, bad = steerable.score([FAMILIAR, UNFAMILIAR], profile="curious")
    assert row["chosen_score"] == pytest.approx(good.score, rel=1e-4)
    assert row["margin"] == pytest.approx(good.score - bad.score, rel=1e-3)
    assert 0.0 <= row["probability"] <= 1.0


def test_a_row_with_a_verdict_of_its_own_needs_a_prefix(model: RewardModel, tmp_path: Path) -> None:
    source = written(tmp_path, [FORMS["texts"] | {"margin": 1.0, "prefers": "tie"}])
    told = score_file(model, source, tmp_path / "out.jsonl", prefix="", full=False, progress=silent)
    assert (told.scored, told.pairs) == (0, 0)
    assert "it has a key 'margin' already, which --prefix can keep apart" in lines(tmp_path / "out.jsonl")[0]["error"]
    again = score_file(model, source, tmp_path / "kept.jsonl", prefix="rm_", full=False, progress=silent)
    assert (again.scored, again.pairs, again.ties) == (1, 1, 0)


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet", "out.csv"])
def test_a_run_that_was_cut_off_goes_on_and_counts_all_pairs(model: RewardModel, tmp_path: Path, name: str) -> None:
    rows = [FORMS["texts"] | {"n": number} for number in range(300)]
    source, out = written(tmp_path, rows), tmp_path / name
    whole = tmp_path / ("whole." + name)
    first = score_file(model, source, whole, prefix="", full=False, progress=silent)

    def cut(_what: str, done: int, _total: int | None, _unit: str) -> None:
        if done == 256:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_file(model, source, out, prefix="", full=False, progress=cut)
    assert out.exists() == (name == "out.jsonl")  # a table is there at once or not at all
    told = score_file(model, source, out, prefix="", full=False, progress=silent)
    assert (told.reused, told.rows) == (256, 300)
    assert (told.pairs, told.chosen_wins, told.accuracy) == (300, first.chosen_wins, first.accuracy)
    assert out.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(name)} == {name, f"{name}.run.json"}


def test_a_table_holds_what_the_lines_hold(uncertain: RewardModel, tmp_path: Path) -> None:
    rows = [*FORMS.values(), {"prompt": PROMPT, "response": GOOD, "id": 2**60}, {"id": 1, "prompt": 3}]
    source = written(tmp_path, [row | {"note": note} for row, note in zip(rows, [1, 0.5, None] * 4, strict=False)])
    for name in ("out.jsonl", "out.parquet", "out.csv"):
        score_file(uncertain, source, tmp_path / name, prefix="", full=True, progress=silent)
    expected = lines(tmp_path / "out.jsonl")
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.schema.field("margin").type == table.schema.field("note").type == pyarrow.float64()
    assert table.schema.field("id").type == pyarrow.int64()
    assert table.schema.field("chosen").type == table.schema.field("prompt").type == pyarrow.string()
    for line, row in zip(expected, table.to_pylist(), strict=True):
        for key, value in row.items():
            mixed = key in ("chosen", "rejected", "prompt") and value is not None
            assert without_nulls(json.loads(value) if mixed else value) == without_nulls(line.get(key)), key
    with (tmp_path / "out.csv").open(newline="") as file:
        for line, cells in zip(expected, csv.DictReader(file), strict=True):
            assert float(cells["margin"] or "nan") == line.get("margin", pytest.approx(float("nan"), nan_ok=True))
            assert cells["error"] == line.get("error", "")
            assert cells["chosen"] == (
                line["chosen"] if isinstance(line.get("chosen"), str) else text_of(line.get("chosen"))
            )


def text_of(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def without_nulls(value: Any) -> Any:
    """A structure of Parquet has all keys, with nulls."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def test_what_is_no_table_of_this_command_stays(model: RewardModel, tmp_path: Path) -> None:
    source = written(tmp_path, [FORMS["texts"]])
    (tmp_path / "mine.parquet").write_text("precious")
    refused = {"mine.parquet": "was not written by", "out.csv.gz": "ends in .csv.gz, which is not written"}
    refused |= {"out.tsv": "ends in .tsv", "out.arrow": "ends in .arrow"}
    for name, sentence in refused.items():
        with pytest.raises(UserError, match=sentence):
            score_file(model, source, tmp_path / name, prefix="", full=False, progress=silent)
    assert (tmp_path / "mine.parquet").read_text() == "precious"
    out = tmp_path / "out.parquet"
    for _ in range(2):  # a finished table is made again
        told = score_file(model, source, out, prefix="", full=False, progress=silent)
        assert (told.reused, pyarrow.parquet.read_table(out).num_rows) == (0, 1)


def test_the_command_prints_the_accuracy(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = written(tmp_path, [FORMS["texts"], {"prompt": PROMPT, "chosen": BAD, "rejected": GOOD}])
    arguments = ["armorm", "score", str(model_folder), "--input", str(source), "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--output", str(tmp_path / "out.parquet")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "accuracy 0.5000: the chosen response wins in 1 of 2 pairs, 0 tied" in shown
