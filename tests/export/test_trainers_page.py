"""The code, settings and commands of docs/trainers.md are run as they stand, on the demo's folder."""

import importlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from export.reward_model import RewardModel
from gating.reward_scales import SCALES
from tests.conftest import ROOT
from tests.export.conftest import SEVERAL
from tests.export.server_thread import listening

PAGE = (ROOT / "docs" / "trainers.md").read_text()
PROMPTS, COMPLETIONS = [turns[:-1] for turns in SEVERAL], [turns[-1:] for turns in SEVERAL]


def block(kind: str) -> str:
    (lines,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(lines)


def run(kind: str, folder: Path, **names: Any) -> dict[str, Any]:
    exec(block(kind).replace("exported/demo", str(folder)), names)  # noqa: S102
    return names


def test_trl(exported: Path) -> None:
    rewards = run("python trl", exported)["rewards"]
    expected = RewardModel.load(exported, device="cpu").rewards(
        SEVERAL, [one.__name__ for one in rewards], scale="standardised"
    )
    for column, function in zip(expected.T, rewards, strict=True):
        assert function(prompts=PROMPTS, completions=COMPLETIONS) == pytest.approx(column.tolist(), abs=1e-4)


def test_nemo(exported: Path) -> None:
    rewards = run("python nemo", exported, message_log_batch=SEVERAL, metadata=[{}] * 3)["rewards"]
    assert list(rewards) == ["reward/helpsteer-helpfulness", "reward/beavertails-is_safe"]
    assert all(torch.isfinite(column).all() and column.shape == (3,) for column in rewards.values())


def test_verl(exported: Path) -> None:
    settings = yaml.safe_load(block("yaml verl").replace("exported/demo", str(exported)))
    custom = settings["reward"]["custom_reward_function"]
    function = getattr(importlib.import_module(custom["path"].removeprefix("pkg://")), custom["name"])
    told = function(
        data_source="own",
        solution_str="It is four.",
        ground_truth="4",
        extra_info={"question": "What is two plus two?"},
        **custom["reward_kwargs"],
    )
    first, second = (told[key] for key in settings["algorithm"]["gdpo_reward_keys"])
    assert told["score"] == pytest.approx(0.7 * first + 0.3 * second)
    assert 0 <= min(first, second) <= max(first, second) <= 1


@pytest.fixture(scope="module")
def address(exported: Path) -> Iterator[str]:
    with listening(RewardModel.load(exported, device="cpu")) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("number", [0, 1])
def test_the_commands_are_answered(address: str, number: int) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    commands = re.findall(r"^curl .*?}'$", block("sh"), re.M | re.S)
    here = commands[number].replace("http://127.0.0.1:8000", address)
    done = subprocess.run(["bash", "-c", here], capture_output=True, text=True, timeout=60, check=True)
    told = json.loads(done.stdout)
    assert "error" not in told, told
    assert "rewards" in (told if number == 0 else told["conversations"][0]["responses"][0])


def test_the_table_of_scales_is_that_of_the_program() -> None:
    table = PAGE.partition("## Scales")[2].partition("- **")[0]
    assert tuple(re.findall(r"^\| `(\w+)`", table, re.M)) == SCALES
