"""`armorm personalise`: a profile from pairs, none where they do not beat the gate, and bad pairs named."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from export.reward_model import RewardModel
from gating.profile import read_profile
from pipelines.cli import main
from tests.export.conftest import OBJECTIVES, write_random_folder
from tests.pipelines.conftest import Demo, demo
from tests.pipelines.gates_pairs import Row, as_lines, gates_pairs, talks, turned

__all__ = ["demo"]


class Answer:
    """The answer of a call of the command line."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, " ".join(out.split()), err

    @property
    def result(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_folder(tmp_path_factory.mktemp("personalise") / "model", weights="link")


@pytest.fixture(scope="module")
def pairs(folder: Path) -> list[Row]:
    """Pairs that the gate judges right."""
    return gates_pairs(folder)


@pytest.fixture
def call(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Callable[..., Answer]:
    """Calls the command in this process."""

    def run(*arguments: str | Path) -> Answer:
        monkeypatch.setattr("sys.argv", ["armorm", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capfd.readouterr()
        return Answer(code, out, err + caplog.text)  # the log, which the command line writes to standard error

    return run


@pytest.fixture
def personalise(call: Callable[..., Answer], folder: Path, tmp_path: Path) -> Callable[..., Answer]:
    """Calls the command on some rows, with `mine.toml` as the profile."""

    def run(rows: list[Any], *arguments: str) -> Answer:
        (tmp_path / "mine.jsonl").write_text(as_lines(rows))
        files = ("--pairs", tmp_path / "mine.jsonl", "--out", tmp_path / "mine.toml")
        return call("personalise", folder, *files, *arguments)

    return run


@pytest.mark.parametrize("mode", ["add", "replace"])
def test_a_user_against_the_gate_gets_a_profile_that_scores_their_pairs(
    personalise: Any, pairs: list[Row], folder: Path, tmp_path: Path, mode: str
) -> None:
    mine = turned(pairs)
    result = personalise(mine, "--mode", mode, "--name", "owls", "--json").result
    assert (result["better"], result["gate_accuracy"], result["pairs"]) == (True, 0.0, 12)
    assert result["gained"] == round(12 * result["accuracy"]) >= 4
    profile = read_profile(tmp_path / "mine.toml")
    assert (profile.name, profile.mode, profile.objectives) == ("owls", mode, OBJECTIVES)
    learned = {one["name"]: one["weight"] if mode == "replace" else one["learned"] for one in result["objectives"]}
    assert profile.weights == pytest.approx(learned)
    model = RewardModel.load(folder, device="cpu")
    right = 0
    for pair in mine:
        conversations = talks(pair["prompt"], pair["chosen"], pair["rejected"])
        chosen, rejected = model.score(conversations, profile=profile)
        right += chosen.score > rejected.score
    assert right >= 10


def test_what_is_printed_names_every_objective_and_the_verdict(personalise: Any, pairs: list[Row]) -> None:
    answer = personalise(turned(pairs))
    assert answer.code == 0
    assert all(name in answer.out for name in OBJECTIVES)
    assert "the gate 0.0%" in answer.out
    assert "your weights beat the gate with a probability of" in answer.out


def test_pairs_that_do_not_beat_the_gate_change_nothing(personalise: Any, pairs: list[Row], tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("# an earlier one\n")
    answer = personalise(pairs)
    assert answer.code == 1
    assert "too few pairs to beat the gate, which is wrong in 0 of them: no profile is written" in answer.out
    three = personalise(turned(pairs[:3]), "--json")
    assert (three.code, three.result["better"], three.result["profile"]) == (1, False, None)
    assert (tmp_path / "mine.toml").read_text() == "# an earlier one\n"


def test_repeated_contradicting_and_unusable_rows_are_counted_and_named(personalise: Any, pairs: list[Row]) -> None:
    one, other, third = pairs[:3]
    rows = [
        one,
        other,
        *turned([one]),
        other,
        third,
        {"prompt": "a", "chosen": "b"},
        {"prompt": "a", "chosen": "b", "rejected": "word " * 3000},
        "{not json",
    ]
    answer = personalise(rows, "--json")
    result = answer.result
    assert (result["rows"], result["pairs"], result["repeated"], result["contradicting"]) == (8, 2, [4], [[1, 3]])
    reasons = dict(result["skipped"])
    assert sorted(reasons) == [6, 7, 8]
    assert "column 'rejected' is missing" in reasons[6]
    assert "'rejected' cannot be scored: " in reasons[7]
    assert "rows 1 and 3 prefer either response of one pair" in answer.err
    assert "skipped: row 6: " in answer.err


PAIR = {"prompt": "a", "chosen": "b", "rejected": "c"}


@pytest.mark.parametrize(
    ("rows", "arguments", "sentence"),
    [
        ([], (), r"mine\.jsonl"),
        ([{"question": "a", "answer": "b"}], (), r"holds no pair .* row 1: column 'chosen' is missing; the row has"),
        ([PAIR | {"rejected": "b"}], (), "row 1: chosen and rejected are the same text"),
        ([PAIR | {"rejected": "c <|eot_id|>"}], (), "row 1: 'rejected' cannot be scored: the response spells"),
        ([PAIR, PAIR | {"chosen": "c", "rejected": "b"}], (), "prefers either response of every pair"),
        ([PAIR], ("--name", "my taste"), "the profile of these pairs: name: "),
        ([PAIR], ("--recipe", "x.toml"), "give either MODEL_DIR or --recipe"),
        ([PAIR], ("--pairs", "nowhere.jsonl"), r"there is no file nowhere\.jsonl: name one with --pairs"),
    ],
)
def test_a_mistake_is_one_sentence(
    personalise: Any, tmp_path: Path, rows: list[Row], arguments: tuple[str, ...], sentence: str
) -> None:
    answer = personalise(rows, *arguments)
    assert answer.code == 2
    error = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert re.search(sentence, error[0]), error[0]
    assert not (tmp_path / "mine.toml").exists()


def test_a_run_takes_the_place_of_a_folder(
    demo: Demo, call: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(demo.folder)
    rows = [{"prompt": f"What is {n} + 2?", "chosen": f"It is {n + 2}.", "rejected": "No."} for n in range(3)]
    (tmp_path / "mine.jsonl").write_text(as_lines(rows))
    answer = call("personalise", "--recipe", "demo.toml", "--pairs", tmp_path / "mine.jsonl", "--json")
    assert (answer.code, answer.result["pairs"], answer.result["better"]) == (1, 3, False)
    assert len(answer.result["objectives"]) > 3
