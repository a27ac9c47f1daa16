"""`armorm score`, `explain`, `serve` and `export` with a profile, by file, by name and by single weights."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.reward_model import RewardModel
from gating.profile import Profile, write_profile
from pipelines.cli import main
from pipelines.fitted import reward_model
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.export.steering_profiles import CAREFUL
from tests.export.uncertain import ANSWERS, FAMILIAR, PROMPT
from tests.pipelines.conftest import Demo
from tests.pipelines.conftest import armorm as start

Captured = pytest.CaptureFixture[str]
TURN = ("--prompt", PROMPT, "--response", ANSWERS[0])


@pytest.fixture
def armorm(steerable_folder: Path, steerable: RewardModel, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Any:
    """Runs a command on the folder, which is loaded once for all; exit code, standard output and error."""
    monkeypatch.setattr(RewardModel, "load", lambda *_, **__: steerable)

    def run(command: str, *options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["armorm", command, str(steerable_folder), *options])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, told.out, told.err

    return run


def test_score_and_explain_give_the_numbers_of_the_class(armorm: Any, steerable: RewardModel, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    write_profile(file, CAREFUL)
    weights = {"helpsteer-verbosity": -0.3, "beavertails-is_safe": 2.0}
    single = [option for name, value in weights.items() for option in ("--weight", f"{name}={value}")]
    direction = {"code-style": 3.0, "code-complexity": -4.0}
    for options, profile in (
        (["--profile", "careful"], CAREFUL),
        (["--profile", str(file)], CAREFUL),
        (single, Profile(weights=weights)),
        (
            [*single, "--weight-mode", "multiply", "--no-renormalise"],
            Profile(weights=weights, mode="multiply", renormalise=False),
        ),
        (["--direction", "code-style=3, code-complexity=-4"], Profile(direction=direction)),
        (
            ["--direction", "code-style=3,code-complexity=-4", "--renormalise"],
            Profile(direction=direction, renormalise=True),
        ),
    ):
        (scored,) = steerable.score([FAMILIAR], profile=profile)
        assert scored.steered is not None
        code, out, _ = armorm("score", *TURN, *options, "--json", "--full", "--device", "cpu")
        told = json.loads(out)
        assert code == 0
        assert told["score"] == scored.score
        assert list(told["weights"].values()) == scored.coefficients.tolist()
        assert told["steering"]["gate_score"] == scored.steered.gate_score
        code, out, _ = armorm("explain", *TURN, *options, "--json")
        explained = json.loads(out)
        assert code == 0
        assert explained["score"] == scored.score
        assert explained["steering"] == told["steering"]


def test_explain_prints_before_and_after(armorm: Any, steerable: RewardModel) -> None:
    (scored,) = steerable.score([FAMILIAR], profile="careful")
    code, out, _ = armorm("explain", *TURN, "--profile", "careful")
    assert code == 0
    assert scored.steered is not None
    plain = " ".join(out.split())
    assert f"score {scored.steered.gate_score:.6f} under the gate, {scored.score:.6f} under it" in plain
    assert f"{scored.steered.veto:+.6f}" in plain
    assert "the veto caps the score; below their thresholds: beavertails-is_safe" in plain
    _, without, _ = armorm("explain", *TURN)
    assert "under the gate" not in without


def test_rows_of_a_file_and_its_settings(armorm: Any, steerable: RewardModel, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"prompt": PROMPT, "responses": list(ANSWERS)}) + "\n")
    files = ("--input", str(tmp_path / "rows.jsonl"), "--output", str(tmp_path / "out.jsonl"), "--device", "cpu")
    code, _, _ = armorm("score", *files, "--profile", "curious", "--full")
    assert code == 0
    row = json.loads((tmp_path / "out.jsonl").read_text())
    scored = steerable.score(
        [[*FAMILIAR[:1], {"role": "assistant", "content": answer}] for answer in ANSWERS], profile="curious"
    )
    assert row["scores"] == pytest.approx([one.score for one in scored], rel=1e-5)
    assert row["decompositions"][0]["steering"]["profile"] == "curious"
    code, _, error = armorm("score", *files, "--full")
    assert code == 2
    assert "was made with another profile" in error
    code, out, _ = armorm("score", *TURN, "--json", "--full", "--device", "cpu")
    assert code == 0
    assert "steering" not in json.loads(out)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--weight", "code-style"],
            "--weight: 'code-style' is no weight: write OBJECTIVE=VALUE, with a number as the value",
        ),
        (["--weight", "code-style=much"], "is no weight: write OBJECTIVE=VALUE"),
        (["--weight", "code-style=nan"], "--weight: weights.code-style: Input should be a finite number"),
        (["--weight", "a=1", "--weight", "a=2"], "--weight names 'a' twice: give it one value"),
        (["--weight", "a=1", "--direction", "a=1"], "weights and direction contradict each other"),
        (["--direction", ""], "--direction: '' is no weight: write OBJECTIVE=VALUE"),
        (["--direction", "a=0"], "--direction: every coordinate of the direction is 0"),
        (["--weight-mode", "add"], "--weight-mode says nothing without --weight: leave it out, or give weights"),
        (["--no-renormalise"], "--renormalise says nothing without --weight"),
        (["--profile", "careful", "--weight", "a=1"], "--profile and options of single weights contradict each other"),
        (["--profile", "missing.toml"], "missing.toml cannot be read (No such file or directory)"),
        (["--profile", "brisk"], "the model has no profile 'brisk': name one of careful, curious, helpful"),
        (["--weight", "nice=1"], "names 'nice', which is no objective of this model: choose from helpsteer-"),
    ],
)
def test_an_impossible_option_is_one_sentence(armorm: Any, options: list[str], sentence: str) -> None:
    code, out, error = armorm("explain", *TURN, *options)
    assert (code, out) == (2, "")
    assert sentence in " ".join(error.split())
    assert "Traceback" not in error


def test_a_server_cannot_start_with_an_unknown_profile(armorm: Any) -> None:
    code, _, error = armorm("serve", "--port", "0", "--device", "cpu", "--profile", "brisk")
    assert code == 2
    assert "the model has no profile 'brisk'" in error


@pytest.mark.slow  # four commands on the demo's run; what a folder refuses, test_steering.py tries quickly
def test_export_puts_profiles_into_the_folder(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = Profile(name="brief", weights={"helpsteer-verbosity": -0.5})
    write_profile(tmp_path / "brief.toml", profile)
    write_profile(tmp_path / "strange.toml", Profile(name="strange", weights={"nice": 1.0}))
    where = ("export", "--recipe", "demo.toml", "--out", str(tmp_path / "model"), "--weights", "link", "--no-check")
    for files, sentence in (
        (["strange.toml"], "profile 'strange' names 'nice', which is no objective of this model"),
        (["brief.toml", "brief.toml"], "would have two profiles of the name 'brief': rename one of them"),
    ):
        options = [option for file in files for option in ("--profile", str(tmp_path / file))]
        refused = start(*where, *options, folder=demo.folder)
        assert refused.returncode == 2
        assert sentence in " ".join(refused.stderr.split())
        assert not (tmp_path / "model").exists()
    done = start(*where, "--profile", str(tmp_path / "brief.toml"), "--json", folder=demo.folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["profiles"] == ["brief"]
    monkeypatch.chdir(demo.folder)
    (of_folder,) = RewardModel.load(tmp_path / "model", device="cpu").score([FAMILIAR], profile="brief")
    (of_run,) = reward_model(Run(read_recipe(Path("demo.toml")))).score([FAMILIAR], profile=profile)
    assert of_folder.score == pytest.approx(of_run.score, rel=1e-4, abs=1e-5)
    np.testing.assert_allclose(of_folder.coefficients, of_run.coefficients, rtol=1e-4, atol=1e-6)
