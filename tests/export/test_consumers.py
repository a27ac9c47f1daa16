"""Packages that people use reward models in take an exported folder: rewardbench and TRL, in other environments."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from export.reward_model import RewardModel
from tests.conftest import ROOT
from tests.export.conftest import SEVERAL
from tests.export.families import small_backbone

PYTHON = ROOT / ".venv-consumers" / "bin" / "python"
TRAINERS = ROOT / ".venv-trainers" / "bin" / "python"


@pytest.mark.skipif(not PYTHON.exists(), reason="rewardbench and TRL are not installed: run `make test-consumers`")
def test_rewardbench_and_trl_read_its_scores(random_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = random_folder()
    policy = small_backbone(tmp_path / "policy", "llama")
    AutoTokenizer.from_pretrained(folder).save_pretrained(policy)
    command = [str(PYTHON), str(Path(__file__).with_name("in_consumers.py")), str(folder), str(policy)]
    told = told_by(command, tmp_path, json.dumps(SEVERAL))
    assert told["transformers"].startswith("4.")
    expected = [scored.score for scored in RewardModel.load(folder).score(SEVERAL)]
    for scores in told["rewardbench"]:
        np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)
    assert len(told["grpo"]) == 2
    assert np.isfinite(told["grpo"]).all()


@pytest.mark.skipif(not TRAINERS.exists(), reason="a current TRL is not installed: run `make test-consumers`")
def test_five_objectives_of_the_demo_are_five_rewards_of_trl_and_one_pass_a_batch(
    exported: Path, tmp_path: Path
) -> None:
    policy = small_backbone(tmp_path / "policy", "llama")
    AutoTokenizer.from_pretrained(exported).save_pretrained(policy)
    model = RewardModel.load(exported, device="cpu")
    names = list(model.objectives[:5])
    asked = {"objectives": names, "scale": "standardised", "unscorable": -4.0}
    command = [str(TRAINERS), "-m", "tests.export.in_trl", str(exported), str(policy), json.dumps(asked)]
    told = told_by(command, tmp_path)
    assert int(told["trl"].partition(".")[0]) >= 1
    for kind in ("turns", "texts"):
        run = told[kind]
        assert len(run["batches"]) == len(run["means"]) == 2
        assert len(run["passes"]) == 2  # five functions, two batches
        assert np.isfinite(run["rewards"]).all()
        for batch, means in zip(run["batches"], run["means"], strict=True):
            expected = model.rewards(conversations_of(**batch), **asked).mean(axis=0)
            np.testing.assert_allclose([means[name] for name in names], expected, rtol=1e-3, atol=1e-3)


def conversations_of(prompts: list[Any], completions: list[Any]) -> list[list[dict[str, str]]]:
    """A batch in either of TRL's formats as turns."""
    if isinstance(prompts[0], str):
        prompts = [[{"role": "user", "content": text}] for text in prompts]
        completions = [[{"role": "assistant", "content": text}] for text in completions]
    return [prompt + completion for prompt, completion in zip(prompts, completions, strict=True)]


def told_by(command: list[str], home: Path, given: str | None = None) -> Any:
    """Output of a script of the tests in another environment."""
    done = subprocess.run(
        command,
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("told ")]
    return json.loads(line.removeprefix("told "))
