"""Under load: 64 clients at once, and every answer is that of its own question."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import numpy as np
import pytest

from export.reward_model import RewardModel
from tests.conftest import WORDS
from tests.export.server_process import Served

CLIENTS = 64
REQUESTS_EACH = 2
SHARED_PROMPTS = [f"Question {number}: why do owls count foxes?" for number in range(5)]


def questions(client: int) -> list[dict[str, Any]]:
    """Requests of one client; half of them about prompts that others ask about too."""
    draw = random.Random(client)
    made = []
    for number in range(REQUESTS_EACH):
        own = f"Client {client}, question {number}: {' '.join(draw.choices(WORDS, k=draw.randrange(1, 20)))}?"
        prompt = draw.choice(SHARED_PROMPTS) if draw.random() < 0.5 else own
        responses = [
            f"{client}.{number}.{place} " + " ".join(draw.choices(WORDS, k=draw.randrange(1, 30)))
            for place in range(draw.randrange(1, 4))
        ]
        made.append({"conversations": [{"prompt": prompt, "responses": responses}], "decomposition": False})
    return made


def test_no_answer_is_lost_or_swapped_with_64_clients(served: Served, model: RewardModel) -> None:
    asked = {client: questions(client) for client in range(CLIENTS)}

    def ask(client: int) -> list[list[float]]:
        scores = []
        with httpx2.Client(base_url=served.url, timeout=120, trust_env=False) as connection:
            for body in asked[client]:
                answer = connection.post("/v1/rewards", json=body)
                assert answer.status_code == 200, answer.text
                (one,) = answer.json()["conversations"]
                scores.append([reward["score"] for reward in one["responses"]])
        return scores

    with ThreadPoolExecutor(CLIENTS) as pool:
        told = list(pool.map(ask, range(CLIENTS)))
    flat = [score for client in told for request in client for score in request]
    conversations = [
        [{"role": "user", "content": one["prompt"]}, {"role": "assistant", "content": response}]
        for client in range(CLIENTS)
        for body in asked[client]
        for one in body["conversations"]
        for response in one["responses"]
    ]
    expected = [scored.score for scored in model.score(conversations)]
    assert len(flat) == len(expected)
    spread = np.std(expected)
    np.testing.assert_allclose(flat, expected, rtol=0, atol=1e-3 * spread)
    # A swapped answer would be seen: no two questions have scores as close as that.
    assert np.diff(np.unique(np.round(np.asarray(expected) / (2e-3 * spread)))).size > 0.5 * len(expected)

    with served.client() as client:
        metrics = dict(
            line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if not line.startswith("#")
        )
    assert float(metrics["armorm_scored_responses_total"]) >= len(expected)
    assert float(metrics["armorm_queue_tokens"]) == 0.0
    # They were put together: far fewer passes than requests.
    assert float(metrics["armorm_pass_seconds_count"]) < 0.7 * CLIENTS * REQUESTS_EACH


@pytest.mark.parametrize("path", ["/get_reward", "/classify"])
def test_a_request_with_many_texts_keeps_their_order(served: Served, model: RewardModel, path: str) -> None:
    tokenizer: Any = model._encoder.tokenizer
    conversations = [
        [{"role": "user", "content": SHARED_PROMPTS[number % 5]}, {"role": "assistant", "content": f"{number} owls."}]
        for number in range(200)
    ]
    texts = [tokenizer.apply_chat_template(turns, tokenize=False) for turns in conversations]
    with served.client() as client:
        answer = client.post(path, json={"query": texts} if path == "/get_reward" else {"input": texts}).json()
    scores = answer["rewards"] if path == "/get_reward" else [each["probs"][0] for each in answer["data"]]
    expected = [scored.score for scored in model.score(conversations)]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-3 * np.std(expected))
