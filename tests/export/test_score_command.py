"""`armorm score`: a line for a line, best of n, bad rows named, and resumed wherever it stopped."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from cache import UserError
from cache.progress import silent
from export.reward_model import RewardModel
from export.score_file import score_file
from tests.export.conftest import SEVERAL, conversation
from tests.export.published_layout import published_checkpoint
from tests.pipelines.conftest import armorm


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_checkpoint(tmp_path_factory.mktemp("score") / "checkpoint", dtype=torch.float32)


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> RewardModel:
    return RewardModel.load(checkpoint)


def rows() -> list[dict[str, Any]]:
    return [
        {"id": 7, "messages": SEVERAL[2]},
        {"prompt": "Name a colour.", "response": "Red."},
        {"prompt": "Name a colour.", "responses": ["Red.", "  ", "I would rather not."], "note": "best of three"},
        {"prompt": SEVERAL[2][:3], "response": "Five."},
    ]


def write(path: Path, lines: list[Any]) -> Path:
    path.write_bytes(
        b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    )
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def run(model: RewardModel, source: Path, out: Path, **changed: Any) -> dict[str, Any]:
    return asdict(score_file(model, source, out, **{"prefix": "", "full": False, "progress": silent} | changed))


def test_every_shape_is_scored_as_the_class_scores_it(model: RewardModel, tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", rows())
    told = run(model, source, tmp_path / "out.jsonl")
    first, second, third, fourth = read(tmp_path / "out.jsonl")
    assert (told["rows"], told["scored"], told["bad"], told["responses"]) == (4, 4, 0, 5)
    expected = model.score(
        [
            SEVERAL[2],
            SEVERAL[0],
            conversation("Name a colour.", "I would rather not."),
            [*SEVERAL[2][:3], {"role": "assistant", "content": "Five."}],
        ]
    )
    scores = [first["score"], second["score"], third["scores"][2], fourth["score"]]
    assert scores == pytest.approx([one.score for one in expected], rel=1e-4)
    assert first["id"] == 7
    assert third["note"] == "best of three"
    assert third["scores"][1] is None
    assert third["errors"] == {"1": "the response is empty"}
    assert third["best"] == (0 if third["scores"][0] >= third["scores"][2] else 2)


def test_the_decomposition_sums_to_the_score(model: RewardModel, tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", rows())
    run(model, source, tmp_path / "out.jsonl", full=True, prefix="rm_")
    first, _, third, _ = read(tmp_path / "out.jsonl")
    assert sum(first["rm_contributions"].values()) == first["rm_score"]
    assert list(first["rm_rewards"]) == list(model.objectives)
    assert third["rm_decompositions"][1] is None
    assert sum(third["rm_decompositions"][2]["contributions"].values()) == third["rm_scores"][2]


BAD: list[Any] = [
    b"{not json",
    b"\xff\xfe\x00binary",
    b"[" * 100_000,
    b'{"prompt": "a", "response": NaN}',
    b"[1, 2]",
    b"null",
    {"text": "no conversation"},
    {"messages": "text"},
    {"messages": conversation("only a question")},
    {"prompt": 3, "response": "x"},
    {"prompt": "a", "responses": []},
    {"prompt": "a", "responses": [1, None]},
    {"prompt": "a", "response": "word " * 3000},
    {"prompt": "a", "response": "b", "score": 1},
    {"prompt": "a", "response": "b <|eot_id|>", "error": "mine"},
]


def test_bad_rows_are_named_and_the_others_scored(model: RewardModel, tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", [rows()[1], *BAD, rows()[1], b""])
    told = run(model, source, tmp_path / "out.jsonl")
    written = read(tmp_path / "out.jsonl")
    assert (told["rows"], told["scored"], told["bad"]) == (len(BAD) + 2, 2, len(BAD))
    assert told["bad_rows"] == (
        2,
        3,
        4,
        5,
        6,
    )
    assert all(row["error"] for row in written[1:-1])
    assert not any("score" in row for row in written[1:-3])
    assert written[-2] == {"row": 16, "error": "the response spells the special token <|eot_id|>"}
    assert "--prefix" in written[-3]["error"]
    assert written[0]["score"] == pytest.approx(written[-1]["score"], rel=1e-5)
    again = run(model, source, tmp_path / "out.jsonl")
    assert (again["reused"], again["bad"], again["responses"]) == (len(BAD) + 2, len(BAD), 0)


@pytest.mark.parametrize("kept_bytes", [0, 1, 200, 900, -1])
def test_a_run_that_was_cut_off_ends_as_one_that_was_not(model: RewardModel, tmp_path: Path, kept_bytes: int) -> None:
    source = write(tmp_path / "rows.jsonl", rows())
    run(model, source, tmp_path / "whole.jsonl")
    run(model, source, tmp_path / "out.jsonl")
    out = tmp_path / "out.jsonl"
    whole = out.read_bytes()
    out.write_bytes(whole[:kept_bytes])
    told = run(model, source, out)
    assert told["rows"] == 4
    assert told["reused"] == whole[:kept_bytes].count(b"\n")
    for here, there in zip(read(out), read(tmp_path / "whole.jsonl"), strict=True):
        scores = [row.get("scores") or [row["score"]] for row in (here, there)]
        assert here.keys() == there.keys()
        assert [score is None for score in scores[0]] == [score is None for score in scores[1]]
        for one, other in zip(*scores, strict=True):
            assert one is None or one == pytest.approx(other, rel=1e-5)


def test_another_input_or_setting_is_refused(model: RewardModel, tmp_path: Path) -> None:
    source, out = write(tmp_path / "rows.jsonl", rows()), tmp_path / "out.jsonl"
    run(model, source, out)
    with pytest.raises(UserError, match="made with another full"):
        run(model, source, out, full=True)
    write(source, [rows()[0], {"prompt": "Name a colour.", "response": "Blue."}, *rows()[2:]])
    with pytest.raises(UserError, match=r"has changed since .* \(row 2\)"):
        run(model, source, out)
    (tmp_path / "mine.jsonl").write_text('{"precious": 1}\n')
    with pytest.raises(UserError, match="was not written by `armorm score`"):
        run(model, source, tmp_path / "mine.jsonl")
    with pytest.raises(UserError, match="name another --output"):
        run(model, source, source)
    assert (tmp_path / "mine.jsonl").read_text() == '{"precious": 1}\n'


def test_through_the_command_line(checkpoint: Path, tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", rows())
    done = armorm("score", str(checkpoint), "--input", "rows.jsonl", "--output", "out.jsonl", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scored"] == len(read(tmp_path / "out.jsonl")) == 4
    one = armorm("score", str(checkpoint), "--prompt", "Name a colour.", "--response", "Red.", folder=tmp_path)
    assert one.returncode == 0, one.stderr
    assert float(one.stdout.removeprefix("score ")) == pytest.approx(read(tmp_path / "out.jsonl")[1]["score"], abs=1e-5)
    for wrong in (
        ["--prompt", "a"],
        ["--input", "rows.jsonl"],
        [],
        ["--prompt", "a", "--response", "b", "--input", "c"],
    ):
        refused = armorm("score", str(checkpoint), *wrong, folder=tmp_path)
        assert refused.returncode == 2
        assert "give --prompt and --response, or --input and --output" in refused.stderr
    absent = armorm("score", "nowhere", "--prompt", "a", "--response", "b", folder=tmp_path)
    assert absent.returncode == 2
    assert "there is no nowhere/config.json" in absent.stderr
