"""When the model itself fails: the question gets a sentence, the log the traceback, and /health says so."""

import copy
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from export.reward_model import RewardModel
from extract.templating import Encoded
from tests.export.server_thread import client, listening

BODY = {"text_1": "What is 2 + 2?", "text_2": "Four."}


def test_a_model_that_breaks_and_recovers(model: RewardModel, caplog: pytest.LogCaptureFixture) -> None:
    broken = copy.copy(model)

    def score_encoded(_encoded: Sequence[Encoded]) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access at /secret/path")

    broken.score_encoded = score_encoded  # type: ignore[method-assign]
    with listening(broken) as port, client(port) as asking:
        assert asking.get("/health").status_code == 200
        with caplog.at_level(logging.ERROR):
            answer = asking.post("/score", json=BODY)
        assert answer.status_code == 500
        sentence = answer.json()["error"]["message"]
        assert sentence == "text_2[0]: the model failed at this conversation; the server's log says why"
        assert "illegal memory access" in caplog.text
        assert asking.get("/health").status_code == 503


def test_values_that_are_not_finite_never_reach_an_answer(model: RewardModel) -> None:
    sick = copy.copy(model)
    weight = model.parts.weight.copy()
    weight[3] = np.nan
    sick.parts = copy.copy(model.parts)
    object.__setattr__(sick.parts, "weight", weight)
    questions = [
        ("/score", BODY),
        ("/v1/rewards", {"conversations": [{"prompt": "a", "responses": ["b", "c"]}]}),
        ("/classify", {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}),
    ]
    with listening(sick) as port, client(port) as asking:
        for path, body in questions:
            answer = asking.post(path, json=body)
            assert answer.status_code == 422
            assert "NaN" not in answer.text
            assert "not finite" in answer.json()["error"]["message"]
        assert asking.get("/health").status_code == 200
