"""`/v1/rewards` answers how sure each score is, or null where the model does not know; other protocols stay alike."""

from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest

from export.reward_model import RewardModel
from tests.export.server_process import Served
from tests.export.server_thread import client, listening
from tests.export.uncertain import ANSWERS, FAMILIAR, PROMPT, UNFAMILIAR

BODY = {"conversations": [{"prompt": PROMPT, "responses": [*ANSWERS, " "]}]}
ERRORS = {"std", "contribution_std", "leverage", "leverage_place", "interval"}


@pytest.fixture(scope="module")
def asking(uncertain: RewardModel) -> Iterator[httpx2.Client]:
    with listening(uncertain) as port, client(port) as made:
        yield made


def post(asking: httpx2.Client, path: str, body: Any) -> Any:
    answer = asking.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_rewards_say_how_sure_they_are(asking: httpx2.Client, uncertain: RewardModel) -> None:
    told = post(asking, "/v1/rewards", BODY)["conversations"][0]["responses"]
    assert told[2] == {"error": "the response is empty"}
    for reward, scored in zip(told[:2], uncertain.score([FAMILIAR, UNFAMILIAR]), strict=True):
        known = scored.uncertainty
        assert known is not None
        assert reward["score_std"] == pytest.approx(known.score_std, rel=1e-3)
        assert reward["unfamiliar"] is known.unfamiliar
        for key, values in (
            ("std", known.reward_std),
            ("contribution_std", known.contribution_std),
            ("leverage", known.leverage),
            ("leverage_place", known.leverage_place),
        ):
            np.testing.assert_allclose([term[key] for term in reward["objectives"]], values, rtol=1e-3, atol=1e-6)
        assert scored.intervals is not None
        assert reward["coverage"] == scored.intervals.coverage == 0.9
        *ends, last = (term["interval"] for term in reward["objectives"])
        assert last is None
        np.testing.assert_allclose(ends, scored.intervals.ends[:-1], rtol=1e-3)
    assert [reward["unfamiliar"] for reward in told[:2]] == [False, True]
    assert told[1]["score_std"] > told[0]["score_std"] > 0


def test_scores_without_terms_keep_their_errors(asking: httpx2.Client) -> None:
    (reward, *_) = post(asking, "/v1/rewards", {**BODY, "decomposition": False})["conversations"][0]["responses"]
    assert set(reward) == {"score", "score_std", "unfamiliar", "coverage", "tokens", "prompt_tokens"}
    assert reward["score_std"] > 0


def test_a_model_that_does_not_know_answers_null(served: Served) -> None:
    with served.client() as asking:
        (reward, *_) = post(asking, "/v1/rewards", BODY)["conversations"][0]["responses"]
    assert (reward["score_std"], reward["unfamiliar"], reward["coverage"]) == (None, None, None)
    assert all({term[key] for key in ERRORS} == {None} for term in reward["objectives"])
    assert sum(term["contribution"] for term in reward["objectives"]) == pytest.approx(reward["score"], rel=1e-12)


def test_other_protocols_answer_as_without_it(asking: httpx2.Client, served: Served, model: RewardModel) -> None:
    tokenizer: Any = model._encoder.tokenizer
    bodies = {
        "/classify": {"messages": FAMILIAR},
        "/score": {"text_1": PROMPT, "text_2": list(ANSWERS)},
        "/predict": {"inputs": [PROMPT, ANSWERS[0]], "raw_scores": True},
        "/get_reward": {"query": [tokenizer.apply_chat_template(FAMILIAR, tokenize=False)]},
    }
    with served.client() as without:
        for path, body in bodies.items():
            here, there = (flat(post(each, path, body)) for each in (asking, without))
            assert here.keys() == there.keys()
            for key, value in here.items():
                if isinstance(value, float):
                    assert value == pytest.approx(there[key], rel=1e-3, abs=1e-3), (path, key)


def test_the_schema_names_them(asking: httpx2.Client) -> None:
    schemas = asking.get("/openapi.json").json()["components"]["schemas"]
    assert {"score_std", "unfamiliar"} <= set(schemas["Reward"]["required"])
    assert set(schemas["ObjectiveTerm"]["properties"]) >= ERRORS
    assert "standard error" in schemas["ObjectiveTerm"]["properties"]["std"]["description"].lower()


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Path -> leaf of a JSON value."""
    if isinstance(value, dict):
        return {
            path: leaf for key, each in value.items() for path, leaf in flat(each, f"{name}.{key}".strip(".")).items()
        }
    if isinstance(value, list):
        return {path: leaf for place, each in enumerate(value) for path, leaf in flat(each, f"{name}.{place}").items()}
    return {name: value}
