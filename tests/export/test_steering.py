"""Steered scores of an exported folder: by its profiles' names, by files and by weights, here and over HTTP."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from cache import UserError
from export.explanation import explanation
from export.named_profiles import NamedProfiles
from export.results import SteeringEffect
from export.reward_config import read_config
from export.reward_model import RewardModel
from gating.profile import Profile, write_profile
from gating.reward import Scored
from gating.steering import Steering, steer
from tests.conftest import ROOT
from tests.export.server_thread import client, listening
from tests.export.steering_profiles import CAREFUL, CURIOUS, PROFILES, write_with_profiles
from tests.export.uncertain import ANSWERS, FAMILIAR, PROMPT, UNFAMILIAR

PAIR = [FAMILIAR, UNFAMILIAR]
BODY = {"conversations": [{"prompt": PROMPT, "responses": [*ANSWERS, " "]}]}
WEIGHTS = {"helpsteer-complexity": 0.75, "helpsteer-coherence": -0.5}


@pytest.fixture(scope="module")
def asking(steerable: RewardModel) -> Iterator[httpx2.Client]:
    with listening(steerable) as port, client(port) as made:
        yield made


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_name_file_class_parts_and_server_give_the_same_numbers(
    steerable: RewardModel, asking: httpx2.Client, tmp_path: Path, profile: Profile
) -> None:
    by_name = steerable.score(PAIR, profile=profile.name)
    write_profile(tmp_path / "mine.toml", profile)
    steering = Steering.of(profile, steerable.objectives, steerable.config.scales)
    ways = (
        steerable.score(PAIR, profile=profile),
        steerable.score(PAIR, profile=tmp_path / "mine.toml"),
        [steer(steerable.parts, one, steering) for one in steerable.score(PAIR)],
    )
    for way in ways:
        for one, other in zip(by_name, way, strict=True):
            assert one.score == other.score
            assert one.contributions.tolist() == other.contributions.tolist()
    told = responses(asking, BODY | {"profile": profile.name})
    assert told == responses(asking, BODY | {"profile": profile.model_dump(mode="json", exclude_none=True)})
    for one, reward in zip(by_name, told[:2], strict=True):
        check_reward(one, reward, steerable.objectives)
    assert told[2] == {"error": "the response is empty"}


def check_reward(one: Scored, reward: dict[str, Any], objectives: tuple[str, ...]) -> None:
    """Compare the answer of the server with a score of the class; passes of other sizes round otherwise."""
    effect, known = SteeringEffect.of(one, objectives), one.uncertainty
    assert effect is not None
    assert known is not None
    terms = reward["objectives"]
    total = 0.0
    for term in terms:
        total += term["contribution"]
    assert reward["score"] == total + reward["steering"]["veto"]
    assert reward["score"] == pytest.approx(one.score, rel=1e-4, abs=1e-5)
    assert reward["score_std"] == pytest.approx(known.score_std, rel=1e-3)
    np.testing.assert_allclose([term["coefficient"] for term in terms], one.coefficients, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose([term["contribution"] for term in terms], one.contributions, rtol=1e-4, atol=1e-5)
    steering = reward["steering"]
    assert set(steering) == {field.name for field in dataclasses.fields(SteeringEffect)}
    assert steering["gate_score"] == pytest.approx(effect.gate_score, rel=1e-4, abs=1e-5)
    assert steering["gate_weights"] == pytest.approx(effect.gate_weights, rel=1e-4)
    assert sum(steering["gate_contributions"].values()) == pytest.approx(steering["gate_score"], rel=1e-9)
    assert (steering["profile"], tuple(steering["vetoed"])) == (effect.profile, effect.vetoed)


def test_rewards_and_gate_of_the_folders_own_class_steer_alike(steerable_folder: Path, steerable: RewardModel) -> None:
    model: Any = AutoModelForSequenceClassification.from_pretrained(
        steerable_folder, trust_remote_code=True, dtype=torch.float32
    ).eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(steerable_folder)
    ids = tokenizer.apply_chat_template(FAMILIAR, return_tensors="pt", return_dict=True)["input_ids"]
    with torch.inference_mode():
        output = model(ids)
    adjusted = (output.rewards @ model.reward_transform_matrix).double().numpy()[0]  # (k,)
    for profile in PROFILES:
        (ours,) = steerable.score([FAMILIAR], profile=profile)
        steering = Steering.of(profile, steerable.objectives, steerable.config.scales)
        total = float(steering.coefficients(output.gating_output.numpy()[0]) @ adjusted)
        cap = profile.vetoes.cap if profile.vetoes else np.inf
        assert min(total, cap) == pytest.approx(ours.score, rel=1e-4, abs=1e-4)


def test_a_veto_caps_what_would_be_above(steerable: RewardModel) -> None:
    (plain,), (careful,) = steerable.score([FAMILIAR]), steerable.score([FAMILIAR], profile="careful")
    assert careful.steered is not None
    assert careful.steered.vetoed == ("beavertails-is_safe",)
    assert careful.score == pytest.approx(-25.0, rel=1e-12)
    assert careful.score <= -25.0 < plain.score == careful.steered.gate_score
    assert careful.steered.veto == pytest.approx(-25.0 - careful.contributions.sum(), rel=1e-12)


def test_weights_are_a_profile_without_a_name(steerable: RewardModel, asking: httpx2.Client) -> None:
    for mode in ("add", "multiply", "replace"):
        scored = steerable.score(PAIR, weights=WEIGHTS, mode=mode)
        assert [one.score for one in scored] == [
            one.score for one in steerable.score(PAIR, profile=Profile(mode=mode, weights=WEIGHTS))
        ]
        told = responses(asking, BODY | {"weights": WEIGHTS, "weight_mode": mode})
        for one, reward in zip(scored, told[:2], strict=True):
            check_reward(one, reward, steerable.objectives)
    curious = steerable.score(PAIR, profile="curious")
    assert [one.score for one in steerable.score(PAIR, weights=WEIGHTS)] == [one.score for one in curious]


def test_without_a_profile_all_is_as_it_was(steerable: RewardModel, uncertain: RewardModel, asking: Any) -> None:
    assert [one.score for one in steerable.score(PAIR)] == [one.score for one in uncertain.score(PAIR)]
    assert all(one.steered is None for one in steerable.score(PAIR, profile="gate"))
    plain = responses(asking, BODY)
    assert plain == responses(asking, BODY | {"profile": "gate"})
    assert not any("steering" in reward for reward in plain)
    (short, *_) = responses(asking, BODY | {"profile": "curious", "decomposition": False})
    assert set(short) == {"score", "score_std", "unfamiliar", "coverage", "tokens", "prompt_tokens"}
    assert short["score"] == pytest.approx(steerable.score([FAMILIAR], profile="curious")[0].score, rel=1e-4, abs=1e-5)


def test_a_server_with_a_profile_gives_it_to_every_protocol(steerable: RewardModel) -> None:
    tokenizer: Any = steerable._encoder.tokenizer
    templated = tokenizer.apply_chat_template(FAMILIAR, tokenize=False)
    bodies: dict[str, Any] = {
        "/classify": {"messages": FAMILIAR, "use_activation": False},
        "/score": {"text_1": PROMPT, "text_2": list(ANSWERS), "use_activation": False},
        "/predict": {"inputs": [PROMPT, ANSWERS[0]], "raw_scores": True},
        "/get_reward": {"query": [templated]},
        "/v1/embeddings": {"input": templated},
        "/v1/score/evaluation": {"messages": [templated]},
    }
    (steered,), (plain,) = steerable.score([FAMILIAR], profile="curious"), steerable.score([FAMILIAR])
    assert abs(steered.score - plain.score) > 0.01
    with listening(steerable, profile="curious") as port, client(port) as asking:
        for path, body in bodies.items():
            answer = asking.post(path, json=body)
            assert answer.status_code == 200, answer.text
            assert _first_number(answer.json()) == pytest.approx(steered.score, rel=1e-4, abs=1e-4), path
        assert responses(asking, BODY)[0]["steering"]["profile"] == "curious"
        assert responses(asking, BODY | {"profile": "gate"})[0]["score"] == pytest.approx(plain.score, rel=1e-4)
        assert responses(asking, BODY | {"profile": "helpful"})[0]["steering"]["profile"] == "helpful"
    with pytest.raises(UserError, match="the model has no profile 'brisk'"), listening(steerable, profile="brisk"):
        pass


def _first_number(answer: Any) -> float:
    """The first score in a protocol's answer."""
    if isinstance(answer, list):
        return float(answer[0]["score"])
    if "rewards" in answer:
        return float(answer["rewards"][0])
    if "scores" in answer:
        return float(answer["scores"][0])
    first = answer["data"][0]
    value = next(first[key] for key in ("probs", "score", "data", "embedding") if key in first)
    while isinstance(value, list):
        value = value[0]
    return float(value)


def test_an_explanation_shows_what_changed(steerable: RewardModel) -> None:
    (scored,) = steerable.score([FAMILIAR], profile="careful")
    told = explanation(steerable.parts, scored, PROMPT, ANSWERS[0])
    effect = told.steering
    assert effect is not None
    total = 0.0
    for term in told.objectives:
        total += term.contribution
    assert told.score == total + effect.veto
    by_name = {term.name: term for term in told.objectives}
    assert by_name["helpsteer-verbosity"].coefficient == 0.0
    assert effect.gate_weights["helpsteer-verbosity"] > 0.0
    safe = by_name["beavertails-is_safe"].coefficient / effect.gate_weights["beavertails-is_safe"]
    other = by_name["code-style"].coefficient / effect.gate_weights["code-style"]
    assert safe == pytest.approx(4.0 * other, rel=1e-9)
    (plain,) = steerable.score([FAMILIAR])
    assert effect.gate_score == plain.score
    assert list(effect.gate_contributions.values()) == plain.contributions.tolist()
    assert explanation(steerable.parts, plain, PROMPT, ANSWERS[0]).steering is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"profile": "brisk"}, "the model has no profile 'brisk': name one of careful, curious, helpful"),
        ({"profile": {"weights": {"nice": 1}}}, "names 'nice', which is no objective of this model"),
        (
            {"profile": {"weights": {"code-style": "much"}}},
            "profile.weights.code-style: Input should be a valid number",
        ),
        ({"profile": {}}, "profile: the profile changes nothing: give weights, a direction or vetoes"),
        ({"profile": 3}, "profile: Input should be"),
        ({"profile": "curious", "weights": WEIGHTS}, "weights and a profile contradict each other: give one of them"),
        ({"weights": {"code-style": 1e30}}, "weights.code-style: 1e+30 is neither 0 nor between"),
        ({"weights": {}}, "weights: the profile changes nothing"),
        ({"weights": {str(number): 1 for number in range(5000)}}, "5,000 objectives, more than the 1,024"),
        ({"weight_mode": "add"}, "mode 'add' says nothing without weights: leave it out"),
        ({"weights": WEIGHTS, "weight_mode": "scale"}, "weight_mode: Input should be 'add', 'multiply' or 'replace'"),
        ({"profile": CURIOUS.model_dump() | {"objectives": ["x"]}}, "was made for another model"),
    ],
)
def test_a_request_that_asks_for_the_impossible(asking: httpx2.Client, body: dict[str, Any], sentence: str) -> None:
    answer = asking.post("/v1/rewards", json=BODY | body)
    assert answer.status_code == 422
    message = answer.json()["error"]["message"]
    assert sentence in message
    assert "\n" not in message
    assert len(message) < 1000


def test_not_a_number_in_a_request(asking: httpx2.Client) -> None:
    body = json.dumps(BODY | {"weights": {"code-style": float("nan")}})
    answer = asking.post("/v1/rewards", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "weights.code-style: " in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("profiles", "sentence"),
    [
        ([{"name": "a", "weights": {"nice": 1}}], "profile 'a' names 'nice', which is no objective of this model"),
        ([{"name": "a", "weights": {"code-style": 1}}] * 2, "two profiles of the name 'a'"),
        ([{"weights": {"code-style": 1}}], "a profile without a name"),
        ([{"name": "a", "weights": {"code-style": None}}], "profiles.0.weights.code-style: Input should be"),
        ([{"name": "a", "weights": {"code-style": 1}}] * 65, "profiles: Tuple should have at most 64 items"),
    ],
)
def test_a_folder_with_an_impossible_profile(
    uncertain_folder: Path, tmp_path: Path, profiles: list[dict[str, Any]], sentence: str
) -> None:
    folder = write_with_profiles(uncertain_folder, tmp_path / "model", profiles)
    with pytest.raises(UserError) as refused:
        NamedProfiles.of(read_config(folder)[0], folder)
    assert sentence in str(refused.value)
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"weights": WEIGHTS, "profile": CAREFUL}, "weights and a profile contradict each other"),
        ({"mode": "add"}, "mode 'add' says nothing without weights"),
        ({"weights": {"code-style": float("nan")}}, "weights: weights.code-style: Input should be a finite number"),
        ({"profile": "brisk"}, "the model has no profile 'brisk'"),
        ({"profile": Path("nowhere.toml")}, "nowhere.toml cannot be read"),
    ],
)
def test_a_call_that_asks_for_the_impossible(steerable: RewardModel, given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        steerable.score([FAMILIAR], **given)
    assert sentence in str(refused.value)


def responses(asking: httpx2.Client, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = asking.post("/v1/rewards", json=body)
    assert answer.status_code == 200, answer.text
    told: list[dict[str, Any]] = answer.json()["conversations"][0]["responses"]
    return told


def test_the_page_is_run(steerable: RewardModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "steering.md").read_text()
    (profile,), (lines,) = (
        re.findall(rf"```{kind}\n(.*?)```", page, flags=re.DOTALL) for kind in ("toml", "python steering")
    )
    (tmp_path / "careful.toml").write_text(profile)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"model": steerable, "conversations": PAIR, "Path": Path}
    exec(lines, names)  # noqa: S102
    assert [one.steered.profile for one in names["scored"]] == ["careful", "careful"]
