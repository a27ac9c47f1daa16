"""Help, examples, exit codes and one-sentence errors of the command line."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app, main
from pipelines.reference import commands, example_of
from tests.evaluation.scorers.tiny_reward_model import write_reward_model
from tests.pipelines.conftest import ROOT, Demo, armorm, small_recipe
from tests.pipelines.gates_pairs import as_lines, gates_pairs, turned

COMMANDS = {name.removeprefix("armorm "): command for name, command in commands()}
"""Every command of the app: a new one is tested without a line here."""

ENDLESS = ["serve"]
"""Commands that do not end by themselves; tests/export/test_server_lifecycle.py runs their example."""


def assert_refused(done: object, sentence: str) -> None:
    assert done.returncode == 2, done  # type: ignore[attr-defined]
    assert "Traceback" not in done.stderr  # type: ignore[attr-defined]
    assert re.search(sentence, done.stderr), done.stderr  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ENDLESS])
def test_the_example_that_ends_each_help_runs(demo: Demo, tmp_path: Path, command: str) -> None:
    example = example_of(COMMANDS[command])
    folder = tmp_path / "copy"
    shutil.copytree(demo.folder, folder)
    (folder / "recipes").mkdir()
    text = (folder / "demo.toml").read_text().replace('"data/demo"', '"../data/demo"')
    (folder / "recipes" / "demo.toml").write_text(text)
    arguments = shlex.split(example)[1:]
    if command == "demo-corpus":
        arguments += ["--scale", "0.2"]
    if command == "score-suite":
        write_reward_model(folder / "other-rm")
    if command in ("score", "personalise"):
        armorm(*shlex.split(example_of(COMMANDS["export"]))[1:], "--no-check", folder=folder)
        (folder / "rows.jsonl").write_text('{"prompt": "What is 2 + 2?", "responses": ["4", "5"]}\n')
    if command == "new":
        rows = [f"Question {number // 2},Answer {number},{number % 5}" for number in range(40)]
        (folder / "rated.csv").write_text("\n".join(["prompt,response,polite", *rows]))
    if command == "suggest":
        (folder / "rows.jsonl").write_text('{"prompt": "What is 2 + 2?", "responses": ["4", "5"]}\n')
    if command == "personalise":
        (folder / "mine.jsonl").write_text(as_lines(turned(gates_pairs(folder / "exported" / "demo"))))
    done = armorm(*arguments, folder=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_the_example(command: str) -> None:
    shown = CliRunner().invoke(app, [*command.split(), "--help"])
    assert shown.exit_code == 0
    assert example_of(COMMANDS[command]).replace(" ", "") in re.sub(r"\s", "", shown.output)


def test_the_command_lists_its_commands(tmp_path: Path) -> None:
    shown = armorm("--help", folder=tmp_path).stdout
    assert all(command.partition(" ")[0] in shown for command in COMMANDS)


WITH_A_RECIPE = [name for name, command in COMMANDS.items() if any("--recipe" in part.opts for part in command.params)]


@pytest.mark.parametrize("command", WITH_A_RECIPE)
def test_a_recipe_typo_ends_with_code_2_and_one_sentence(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = (ROOT / "recipes" / "demo.toml").read_text().replace("shard_rows", "shard_row")
    (tmp_path / "typo.toml").write_text(recipe)
    needed = {
        "explain": ["--prompt", "a", "--response", "b"],
        "score-suite": ["--scorer", "hf:x"],
        "export": ["--out", "x"],
        "suggest": ["--input", "x"],
        "personalise": ["--pairs", "rows.jsonl"],
    }.get(command, [])
    monkeypatch.setattr(sys, "argv", ["armorm", *command.split(), "--recipe", "typo.toml", *needed])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert re.match(r"error: typo\.toml:\d+: unknown key store\.shard_row.*\n$", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("fit-heads", r"there is no runs/demo/extract\.json: run `armorm extract` first"),
        ("train-gating", r"there is no runs/demo/extract\.json: run `armorm extract` first"),
        ("eval", r"there is no runs/demo/extract\.json: run `armorm extract` first"),
    ],
)
def test_a_step_before_its_time_names_the_one_that_is_missing(tmp_path: Path, command: str, sentence: str) -> None:
    (tmp_path / "demo.toml").write_text(small_recipe((ROOT / "recipes" / "demo.toml").read_text()))
    assert_refused(armorm(command, "--recipe", "demo.toml", folder=tmp_path), sentence)


def test_a_missing_data_set_is_named_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "demo.toml").write_text(small_recipe((ROOT / "recipes" / "demo.toml").read_text()))
    done = armorm("extract", "--recipe", "demo.toml", "--data-root", "nowhere", folder=tmp_path)
    assert done.returncode == 2
    assert re.search(r"^error: \d+ things stand in the way of this run:$", done.stderr, re.MULTILINE)
    assert re.search(
        r"^  demo\.toml:\d+: helpsteer: there is no folder nowhere/nvidia/HelpSteer", done.stderr, re.MULTILINE
    )
    assert "Traceback" not in done.stderr


def test_a_missing_data_set_is_skipped_by_name_where_the_recipe_says_so(demo: Demo, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    shutil.copytree(demo.folder / "data" / "demo" / "PKU-Alignment", mirror / "PKU-Alignment")
    recipe = small_recipe((ROOT / "recipes" / "local-sample.toml").read_text())
    (tmp_path / "local.toml").write_text(recipe)
    done = armorm("extract", "--recipe", "local.toml", "--data-root", "mirror", "--limit", "20", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "missing: helpsteer" in done.stdout
    assert "beavertails" in done.stdout


def test_an_unknown_backbone_is_named(tmp_path: Path) -> None:
    recipe = (ROOT / "recipes" / "demo.toml").read_text().replace("../backbones/tiny", "nowhere")
    (tmp_path / "demo.toml").write_text(recipe)
    done = armorm("extract", "--recipe", "demo.toml", "--no-check", folder=tmp_path)
    assert_refused(done, r"^error: backbone\.model: nowhere is neither")


def test_a_run_folder_of_another_backbone_is_refused_by_name(demo: Demo, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(demo.folder, folder)
    other = (folder / "demo.toml").read_text().replace("max_tokens = 2048", "max_tokens = 2048\nlayers = [-2]")
    (folder / "demo.toml").write_text(other)
    assert_refused(
        armorm("extract", "--recipe", "demo.toml", folder=folder), r"runs/demo belongs to features with the fingerprint"
    )
    assert_refused(
        armorm("fit-heads", "--recipe", "demo.toml", folder=folder),
        r"extract\.json is out of date \(backbone changed\): run `armorm extract` again",
    )


def test_damaged_artefacts_are_named(demo: Demo, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(demo.folder, folder)
    (folder / "runs" / "demo" / "heads.safetensors").write_bytes(b"not safetensors")
    assert_refused(armorm("eval", "--recipe", "demo.toml", folder=folder), r"heads\.safetensors is damaged")
    (folder / "runs" / "demo" / "extract.json").write_text("{")
    assert_refused(armorm("fit-heads", "--recipe", "demo.toml", folder=folder), r"extract\.json is damaged")


def test_wrong_arguments_end_with_code_2(tmp_path: Path) -> None:
    assert armorm("extract", folder=tmp_path).returncode == 2
    assert armorm("extract", "--recipe", "x.toml", "--limit", "0", folder=tmp_path).returncode == 2
    assert armorm("extract", "--recipe", "x.toml", "--engine", "steam", folder=tmp_path).returncode == 2
    assert armorm("nonsense", folder=tmp_path).returncode == 2
