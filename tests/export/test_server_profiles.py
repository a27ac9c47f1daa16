"""The server names its profiles, with all that it takes to steer a score elsewhere by them."""

import httpx2
import numpy as np
import pytest

from export.reward_model import RewardModel
from gating.profile import Profile
from gating.steering import Steering
from tests.export.server_process import Served
from tests.export.server_thread import client, listening
from tests.export.steering_profiles import PROFILES
from tests.export.uncertain import ANSWERS, PROMPT

BODY = {"conversations": [{"prompt": PROMPT, "responses": list(ANSWERS)}]}


def test_the_profiles_of_the_folder_are_told(steerable: RewardModel) -> None:
    with listening(steerable) as port, client(port) as asking:
        told = asking.get("/v1/profiles").json()
    assert told["default"] == "gate"
    assert tuple(Profile.model_validate(each["profile"]) for each in told["profiles"]) == PROFILES
    for each, profile in zip(told["profiles"], PROFILES, strict=True):
        steering = Steering.of(profile, steerable.objectives, steerable.config.scales)
        bound = {name: each["thresholds"].get(name, -np.inf) for name in steerable.objectives}
        assert tuple(bound.values()) == tuple(steering.thresholds)


def test_the_one_that_counts_is_told(steerable: RewardModel) -> None:
    with listening(steerable, profile="curious") as port, client(port) as asking:
        assert asking.get("/v1/profiles").json()["default"] == "curious"


def test_a_folder_without_profiles_has_none(served: Served) -> None:
    with served.client() as asking:
        assert asking.get("/v1/profiles").json() == {"default": "gate", "profiles": []}


def test_a_token_is_needed(model: RewardModel) -> None:
    with listening(model, b"0123456789abcdef") as port, client(port) as asking:
        assert asking.get("/v1/profiles").status_code == 401


@pytest.mark.parametrize("profile", ["gate", "careful", "helpful"])
def test_adjusted_rewards_are_those_of_any_weights(steerable: RewardModel, profile: str) -> None:
    with listening(steerable) as port, client(port) as asking:
        told, plain = (responses(asking, {**BODY, "profile": name}) for name in (profile, "gate"))
    for steered, own in zip(told, plain, strict=True):
        for term, other in zip(steered["objectives"], own["objectives"], strict=True):
            assert term["adjusted"] == other["adjusted"]
            assert term["coefficient"] * term["adjusted"] == pytest.approx(term["contribution"], rel=1e-9, abs=1e-12)


def responses(asking: httpx2.Client, body: dict[str, object]) -> list[dict[str, list[dict[str, float]]]]:
    answer = asking.post("/v1/rewards", json=body)
    assert answer.status_code == 200
    found: list[dict[str, list[dict[str, float]]]] = answer.json()["conversations"][0]["responses"]
    return found
