"""When requests fail by the server's own fault: the client gets a sentence, and /health says so until one succeeds."""

import copy
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from export.reward_model import RewardModel
from export.server.protocols import vllm
from extract.encoded import Encoded
from tests.export.server_thread import client, listening

BODY = {"text_1": "What is 2 + 2?", "text_2": "Four."}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/score", BODY),
    ("/v1/rewards", {"conversations": [{"prompt": "a", "responses": ["b", "c"]}]}),
    ("/classify", {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}),
]


def with_parts(model: RewardModel, change: Callable[[Any], None]) -> RewardModel:
    """The model with other arrays."""
    sick = copy.copy(model)
    sick.parts = copy.deepcopy(model.parts)
    change(sick.parts)
    return sick


def spoil_head(parts: Any) -> None:
    parts.weight[3] = np.nan


def spoil_transform(parts: Any) -> None:
    parts.transform.on_rewards[2] = np.nan


def overflow_transform(parts: Any) -> None:
    parts.transform.on_rewards[:] = 1e308


def test_a_model_that_breaks_and_recovers(model: RewardModel, caplog: pytest.LogCaptureFixture) -> None:
    broken = copy.copy(model)
    failing = True

    def score_encoded(encoded: Sequence[Encoded]) -> Any:
        if failing:
            raise RuntimeError("CUDA error: an illegal memory access at /secret/path")
        return model.score_encoded(encoded)

    broken.score_encoded = score_encoded  # type: ignore[method-assign]
    with listening(broken) as port, client(port) as asking:
        assert asking.get("/health").json() == {"status": "ok", "model": model.folder.name}
        with caplog.at_level(logging.ERROR):
            answer = asking.post("/score", json=BODY)
        assert answer.status_code == 500
        sentence = answer.json()["error"]["message"]
        assert sentence == "text_2[0]: the model failed at this conversation; the server's log says why"
        assert "illegal memory access" in caplog.text
        told = asking.get("/health")
        assert told.status_code == 503
        assert told.json()["reason"] == "the model failed at this conversation; the server's log says why"
        assert abs((datetime.now(UTC) - datetime.fromisoformat(told.json()["since"])).total_seconds()) < 60
        failing = False
        assert asking.post("/score", json=BODY).status_code == 200
        assert asking.get("/health").status_code == 200


@pytest.mark.parametrize("spoil", [spoil_head, spoil_transform, overflow_transform])
def test_values_that_are_not_finite_never_reach_an_answer(model: RewardModel, spoil: Callable[[Any], None]) -> None:
    with listening(with_parts(model, spoil)) as port, client(port) as asking:
        for path, body in REQUESTS:
            answer = asking.post(path, json=body)
            assert answer.status_code == 500
            assert "NaN" not in answer.text
            assert "not finite" in answer.json()["error"]["message"]
            told = asking.get("/health")
            assert told.status_code == 503
            assert "not finite" in told.json()["reason"]


def test_an_error_of_the_program_shows_in_the_health_until_a_request_succeeds(
    model: RewardModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(model) as port, client(port) as asking:
        with monkeypatch.context() as patched:
            patched.setattr(vllm, "_numbers", lambda *_: 1 / 0)
            answer = asking.post("/score", json=BODY)
            assert answer.status_code == 500
            assert answer.json()["error"]["message"] == "the server failed at this request; its log says why"
            told = asking.get("/health")
            assert told.status_code == 503
            assert told.json()["reason"] == "ZeroDivisionError in answering /score; the server's log says more"
        since = told.json()["since"]
        assert asking.post("/score", json={**BODY, "text_2": " "}).status_code == 422  # says nothing of the server
        assert asking.get("/health").json()["since"] == since
        assert asking.post("/score", json=BODY).status_code == 200
        assert asking.get("/health").status_code == 200
