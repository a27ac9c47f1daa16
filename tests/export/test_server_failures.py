"""When requests fail by the server's own fault: the client gets a sentence, and /health says so until one succeeds."""

import copy
import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from export.reward_model import RewardModel
from export.server import probe
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


class Sick:
    """A model that fails, or waits, until it is cured; it counts its passes."""

    def __init__(self, model: RewardModel, wait: threading.Event | None = None) -> None:
        self.model = copy.copy(model)
        self.passes, self.cured = 0, False
        score = model.score_encoded

        def score_encoded(encoded: Sequence[Encoded]) -> Any:
            self.passes += 1
            if self.passes > 1 and wait is not None:
                wait.wait(30)
            if not self.cured:
                raise RuntimeError("out of order")
            return score(encoded)

        self.model.score_encoded = score_encoded  # type: ignore[method-assign]


def status_within(asking: Any, status: int, seconds: float = 20.0) -> bool:
    """Whether a load balancer that asks for the health alone reads this status in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if asking.get("/health").status_code == status:
            return True
        time.sleep(0.02)
    return False


def test_the_health_recovers_without_requests_when_the_model_does(
    model: RewardModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "SECONDS", 0.05)
    sick = Sick(model)
    with listening(sick.model) as port, client(port) as asking:
        assert asking.get("/health").status_code == 200
        assert sick.passes == 0, "a good model is not probed"
        assert asking.post("/score", json=BODY).status_code == 500
        since = asking.get("/health").json()["since"]
        while sick.passes < 3:
            assert asking.get("/health").json()["since"] == since
        sick.cured = True
        assert status_within(asking, 200)
        passes = sick.passes
        assert asking.get("/health").status_code == 200
        assert sick.passes == passes


def test_probes_are_some_time_apart_however_often_the_health_is_asked_for(
    model: RewardModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "SECONDS", 0.5)
    sick = Sick(model)
    with listening(sick.model) as port, client(port) as asking:
        asking.post("/score", json=BODY)
        began = time.monotonic()
        while time.monotonic() - began < 1.2:
            assert asking.get("/health").status_code == 503
        assert 2 <= sick.passes <= 1 + (time.monotonic() - began) / 0.5


def test_a_probe_that_hangs_is_the_only_one_and_does_not_keep_the_health_waiting(
    model: RewardModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "SECONDS", 0.0)
    go_on = threading.Event()
    sick = Sick(model, go_on)
    with listening(sick.model) as port, client(port) as asking:
        asking.post("/score", json=BODY)
        for _ in range(20):
            assert asking.get("/health").status_code == 503
        assert sick.passes == 2
        go_on.set()


def test_a_probe_that_finds_no_room_leaves_the_health_as_it_is(
    model: RewardModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(probe, "SECONDS", 0.0)
    caplog.set_level(logging.INFO, logger="export.server.probe")
    sick = Sick(model)
    short = {"text_1": "a", "text_2": "b"}
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    encoded = model.encode(turns)
    room = len(encoded.prompt) + len(encoded.responses[0])
    with listening(sick.model, queue_tokens=room) as port, client(port) as asking:
        assert asking.post("/score", json=short).status_code == 500
        reason = asking.get("/health").json()["reason"]
        sick.cured = True
        while caplog.text.count("no probe of the model: ") < 3:
            assert asking.get("/health").json()["reason"] == reason
        assert asking.post("/score", json=short).status_code == 200
        assert asking.get("/health").status_code == 200
