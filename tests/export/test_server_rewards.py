"""Requests that name rewards and a scale: the class's numbers, in the request's order, or one sentence."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export.reward_model import RewardModel
from export.rewards import reward_functions
from export.server.protocols.openrlhf import GetRewardResponse
from gating.profile import Profile
from gating.reward_scales import OF_RATINGS, SCALES
from tests.export.conftest import OBJECTIVES, SEVERAL
from tests.export.on_scale import write_with_moments
from tests.export.server_thread import client, listening

NAMES = ["true", "score", "kind"]
QUERY = {"query": ["text"]}
BODY = {"conversations": [{"messages": turns} for turns in SEVERAL]}


@pytest.fixture(scope="module")
def asking(on_scale: RewardModel) -> Iterator[httpx2.Client]:
    with listening(on_scale) as port, client(port) as made:
        yield made


def templated(model: RewardModel) -> list[str]:
    tokenizer: Any = model._encoder.tokenizer
    return [tokenizer.apply_chat_template(turns, tokenize=False) for turns in SEVERAL]


def openrlhf(asking: httpx2.Client, query: list[str], url: str = "/get_reward", **more: Any) -> GetRewardResponse:
    """A request as OpenRLHF posts it, with further keys; `url` is that of --remote_rm_url."""
    body = {"query": query, "prompts": query, "labels": [""] * len(query)} | more
    answer = asking.post(url, json=body)
    assert answer.status_code == 200, answer.text
    return GetRewardResponse.model_validate(answer.json())


@pytest.mark.parametrize(
    ("scale", "debiased"),
    [(scale, debiased) for scale in SCALES for debiased in (False, True) if not (debiased and scale in OF_RATINGS)],
)
def test_class_functions_and_both_protocols_give_the_same_numbers(
    on_scale: RewardModel, asking: httpx2.Client, scale: str, debiased: bool
) -> None:
    names = ["true", "kind"] if scale in OF_RATINGS else NAMES
    expected = on_scale.rewards(SEVERAL, names, scale=scale, debiased=debiased)  # (n, m)
    close = {"rtol": 1e-4, "atol": 1e-5}
    functions = reward_functions(on_scale, names, scale=scale, debiased=debiased)
    prompts, completions = [turns[:-1] for turns in SEVERAL], [turns[-1:] for turns in SEVERAL]
    for column, function in zip(expected.T, functions, strict=True):
        np.testing.assert_allclose(function(prompts=prompts, completions=completions), column, **close)
    asked = {"objectives": names, "scale": scale, "debiased": debiased}
    told = asking.post("/v1/rewards", json=BODY | asked).json()
    rewards = [one["responses"][0]["rewards"] for one in told["conversations"]]
    assert [list(one) for one in rewards] == [names] * 3
    np.testing.assert_allclose([list(one.values()) for one in rewards], expected, **close)
    answer = openrlhf(asking, templated(on_scale), **asked)
    np.testing.assert_allclose(answer.rewards, expected.mean(axis=-1), **close)
    for name, column in zip(names, expected.T, strict=True):
        np.testing.assert_allclose(answer.extra_logs[name], column, **close)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations([*OBJECTIVES, "score"]), st.integers(1, 4), st.data())
def test_any_choice_keeps_its_order_and_weights_add_up(
    on_scale: RewardModel, asking: httpx2.Client, order: list[str], count: int, data: st.DataObject
) -> None:
    names = order[:count]
    weights = data.draw(st.lists(st.floats(-10, 10), min_size=count, max_size=count))
    answer = openrlhf(asking, templated(on_scale), objectives=names, weights=weights, scale="standardised")
    assert list(answer.extra_logs)[:count] == names
    assert set(answer.extra_logs) == {*names, *OBJECTIVES}
    assert answer.rewards == answer.scores
    total = sum(weight * np.array(answer.extra_logs[name]) for weight, name in zip(weights, names, strict=True))
    np.testing.assert_allclose(answer.rewards, total, rtol=1e-9, atol=1e-9)


def test_a_client_with_a_fixed_body_says_it_in_its_url(on_scale: RewardModel, asking: httpx2.Client) -> None:
    url = "/get_reward?objectives=true&scale=unit"
    answer = openrlhf(asking, templated(on_scale), url)
    assert answer == openrlhf(asking, templated(on_scale), objectives=["true"], scale="unit")
    assert answer.rewards == answer.extra_logs["true"]
    assert list(answer.extra_logs) == ["true", "kind", "long"]
    weighted = openrlhf(asking, templated(on_scale), "/get_reward?objectives=true&objectives=kind&weights=2&weights=-1")
    logs = weighted.extra_logs
    np.testing.assert_allclose(weighted.rewards, 2 * np.array(logs["true"]) - np.array(logs["kind"]))


def test_without_objectives_the_score_is_the_reward_and_a_scale_is_that_of_all(
    on_scale: RewardModel, asking: httpx2.Client
) -> None:
    plain = openrlhf(asking, templated(on_scale))
    assert plain.rewards == pytest.approx([one.score for one in on_scale.score(SEVERAL)], rel=1e-4)
    assert list(plain.extra_logs) == list(OBJECTIVES)
    raw = on_scale.rewards(SEVERAL, OBJECTIVES)
    np.testing.assert_allclose(list(plain.extra_logs.values()), raw.T, rtol=1e-4, atol=1e-5)
    bounded = openrlhf(asking, templated(on_scale), scale="sigmoid")
    np.testing.assert_allclose(bounded.rewards, on_scale.rewards(SEVERAL, ["score"], scale="sigmoid")[:, 0], rtol=1e-4)
    debiased = openrlhf(asking, templated(on_scale), scale="sigmoid", debiased=True)
    assert list(debiased.extra_logs) == ["kind", "true"]  # nothing is left of 'long'


def test_terms_are_left_out_where_rewards_are_named_unless_they_are_asked_for(asking: httpx2.Client) -> None:
    named = BODY | {"objectives": ["kind"]}
    (first, *_) = asking.post("/v1/rewards", json=named).json()["conversations"]
    assert "objectives" not in first["responses"][0]
    (first, *_) = asking.post("/v1/rewards", json=named | {"decomposition": True}).json()["conversations"]
    reward = first["responses"][0]
    (kind,) = [term for term in reward["objectives"] if term["name"] == "kind"]
    assert reward["rewards"] == {"kind": kind["reward"]}
    (first, *_) = asking.post("/v1/rewards", json=BODY).json()["conversations"]
    assert "rewards" not in first["responses"][0]
    mixed = {"conversations": [{"prompt": "Hi", "responses": ["", "Yes."]}], "objectives": ["kind"]}
    told = asking.post("/v1/rewards", json=mixed).json()["conversations"][0]["responses"]
    assert told[0] == {"error": "the response is empty"}
    assert list(told[1]["rewards"]) == ["kind"]


BAD = [
    ({"objectives": ["nice"]}, "'nice' is no objective of this model: choose from kind, true, long, score"),
    ({"objectives": []}, "objectives names nothing: choose from kind, true, long, score"),
    ({"objectives": ["kind", "kind"]}, "'kind' is named twice among the objectives: name it once"),
    ({"objectives": "kind"}, "objectives: Input should be a valid list"),
    ({"objectives": ["kind"], "scale": "percent"}, "scale: Input should be 'raw', 'rating', 'unit', 'centred',"),
    ({"objectives": ["kind", "score"], "scale": "unit"}, "the score is no rating and has no scale 'unit'"),
    ({"objectives": ["kind"], "scale": "unit", "debiased": True}, "a debiased reward is no rating"),
    ({"objectives": ["long"], "scale": "sigmoid", "debiased": True}, "'long' does not vary on the reference set"),
]


@pytest.mark.parametrize(("asked", "sentence"), BAD)
@pytest.mark.parametrize(("path", "body"), [("/v1/rewards", BODY), ("/get_reward", QUERY)])
def test_a_request_for_the_impossible(
    asking: httpx2.Client, path: str, body: dict[str, Any], asked: dict[str, Any], sentence: str
) -> None:
    assert sentence in refusal(asking.post(path, json=body | asked))


def refusal(answer: httpx2.Response) -> str:
    """The one sentence of a request that is refused."""
    assert answer.status_code == 422, answer.text
    message: str = answer.json()["error"]["message"]
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("/v1/rewards", BODY | {"scale": "unit"}, "scale says nothing without objectives: name these too"),
        ("/v1/rewards", BODY | {"debiased": True}, "debiased says nothing without objectives: name these too"),
        ("/get_reward", QUERY | {"weights": [1]}, "weights say nothing without objectives: name these too"),
        (
            "/get_reward",
            QUERY | {"objectives": ["kind"], "weights": [1, 2]},
            "there are 2 weights and 1 objectives: give one weight for each, or none",
        ),
        ("/get_reward", QUERY | {"objectives": ["kind"], "weights": [1e300]}, "weights[0]: Input should be less than"),
        ("/get_reward?scale=percent", QUERY, "scale: Input should be 'raw', 'rating', 'unit'"),
        ("/get_reward?objective=kind", QUERY, "objective: Extra inputs are not permitted"),
        ("/get_reward?scale=raw", QUERY | {"objectives": ["kind"]}, "body and URL both say which rewards are wanted"),
    ],
)
def test_a_request_that_contradicts_itself(
    asking: httpx2.Client, path: str, body: dict[str, Any], sentence: str
) -> None:
    assert sentence in refusal(asking.post(path, json=body))


def test_not_a_number_as_a_weight(asking: httpx2.Client) -> None:
    body = json.dumps(QUERY | {"objectives": ["kind"], "weights": [float("nan")]})
    answer = asking.post("/get_reward", content=body, headers={"Content-Type": "application/json"})
    assert "weights[0]" in refusal(answer)


def test_a_folder_of_an_earlier_version_refuses_what_it_cannot_give(small_export: Any) -> None:
    model = RewardModel.load(small_export, device="cpu")
    with listening(model) as port, client(port) as asking:
        for scale in ("centred", "standardised", "sigmoid"):
            asked = {"objectives": ["kind"], "scale": scale}
            for path, body in (("/v1/rewards", BODY), ("/get_reward", QUERY)):
                told = refusal(asking.post(path, json=body | asked))
                assert "the model holds no mean of 'kind' on a reference set" in told
        assert openrlhf(asking, templated(model), objectives=["kind"], scale="unit").rewards


def test_a_profile_has_no_mean_of_its_score(on_scale: RewardModel, small_export: Any, tmp_path: Any) -> None:
    profile = Profile(name="kinder", weights={"kind": 1.0})
    model = RewardModel.load(
        write_with_moments(small_export, tmp_path / "model", profiles=[profile.model_dump(mode="json")]), device="cpu"
    )
    with listening(model, profile="kinder") as port, client(port) as asking:
        sentence = refusal(asking.post("/get_reward", json=QUERY | {"scale": "sigmoid"}))
        assert "the gate's own weights alone" in sentence
        asked = {"objectives": ["score", "kind"]}
        told = asking.post("/v1/rewards", json=BODY | asked).json()["conversations"]
        steered = [one.score for one in model.score(SEVERAL, profile="kinder")]
        assert [one["responses"][0]["rewards"]["score"] for one in told] == pytest.approx(steered, rel=1e-4)
        plain = asking.post("/v1/rewards", json=BODY | asked | {"profile": "gate", "scale": "sigmoid"})
        assert plain.status_code == 200


def test_the_number_for_what_has_no_score_is_on_no_scale(on_scale: RewardModel) -> None:
    asked = {"objectives": ["true", "kind"], "weights": [3.0, 4.0], "scale": "standardised"}
    with listening(on_scale, unscorable=-2.5) as port, client(port) as asking:
        answer = openrlhf(asking, [*templated(on_scale), "no turn"], **asked)
    assert answer.rewards[-1] == -2.5
    assert {name: values[-1] for name, values in answer.extra_logs.items()} == {
        "unscorable": 1.0,
        "true": -2.5,
        "kind": -2.5,
        "long": -2.5,
    }
    expected = on_scale.rewards(SEVERAL, ["true", "kind"], scale="standardised") @ [3.0, 4.0]
    np.testing.assert_allclose(answer.rewards[:-1], expected, rtol=1e-4)
