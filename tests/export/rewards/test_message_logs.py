"""Named rewards for NeMo-RL: as an environment's step returns them and a rollout takes them in."""

from typing import Any

import numpy as np
import pytest
import torch

from cache import UserError
from export.reward_model import RewardModel
from export.rewards import reward_dictionary
from tests.export.conftest import SEVERAL
from tests.export.rewards.counting import counted_passes

NAMES = ["true", "kind", "score"]


def message_logs() -> list[list[dict[str, Any]]]:
    """Logs as a rollout keeps them, with token ids beside the texts."""
    return [[turn | {"token_ids": torch.arange(3)} for turn in turns] for turns in SEVERAL]


def test_the_dictionary_is_what_gdpo_takes(on_scale: RewardModel) -> None:
    rewards_of = reward_dictionary(on_scale, NAMES, scale="standardised")
    with counted_passes(on_scale) as passes:
        rewards = rewards_of(message_logs(), [{"ground_truth": "4"}] * 3)
    assert len(passes) == 1
    # By NeMo-RL's rollout: a component is a key of this prefix with one number a sample, and the total is their sum.
    assert list(rewards) == [f"reward/{name}" for name in NAMES]
    assert all(column.shape == (3,) and column.dtype == torch.float32 for column in rewards.values())
    total = torch.stack(list(rewards.values())).sum(dim=0)
    batch = {"total_reward": total, **rewards}
    assert sorted(key for key in batch if key.startswith("reward/")) == [f"reward/{name}" for name in sorted(NAMES)]
    expected = on_scale.rewards(SEVERAL, NAMES, scale="standardised")
    np.testing.assert_allclose(torch.stack(list(rewards.values()), dim=-1), expected, rtol=1e-5, atol=1e-6)


def test_the_prompt_of_a_templated_log_is_read_from_its_metadata(on_scale: RewardModel) -> None:
    log = [{"role": "user", "content": "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"}]
    log.append({"role": "assistant", "content": "Hello!"})
    plain = reward_dictionary(on_scale, ["kind"])
    with pytest.raises(UserError, match="special token"):
        plain([log], [{}])
    keyed = reward_dictionary(on_scale, ["kind"], prompt_key="problem")
    expected = plain([[{"role": "user", "content": "Hi"}, log[1]]], [{}])
    for problem in ("Hi", [{"role": "user", "content": "Hi"}]):
        torch.testing.assert_close(keyed([log], [{"problem": problem}]), expected)
    for known in ({}, None):
        with pytest.raises(UserError, match="no 'problem': put the prompt there"):
            keyed([log], [known])  # type: ignore[list-item]


def test_a_log_without_a_score(on_scale: RewardModel) -> None:
    logs = [SEVERAL[0], [*SEVERAL[0], {"role": "environment", "content": "42"}], []]
    told = reward_dictionary(on_scale, ["kind", "true"], unscorable=-9.0)(logs, [{}] * 3)
    assert told["reward/kind"][1:].tolist() == told["reward/true"][1:].tolist() == [-9.0, -9.0]
    with pytest.raises(UserError, match="conversation 1 cannot be scored"):
        reward_dictionary(on_scale, ["kind"])(logs, [{}] * 3)
