"""Large requests: refused before the work where that can be, done once where it must be, and nobody waits for them."""

import copy
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from export.reward_model import RewardModel
from export.server.encoding import TURN_CHARACTERS, RequestInputs
from export.server.inputs import Conversation, Templated, TokenIds, user_turn
from extract.records import Message
from tests.export.server_thread import client, listening

SMALL = {"text_1": "What is 2 + 2?", "text_2": "Four."}


class Watched:
    """A model that remembers what it was asked to encode, and can be held at its first long prompt."""

    def __init__(self, model: RewardModel, hold: Callable[[], None] = lambda: None) -> None:
        self.prompts: list[int] = []
        self.responses: list[str] = []
        self.model = copy.copy(model)

        def encode_prompt(prompt: Any) -> Any:
            self.prompts.append(sum(len(turn.content) for turn in prompt))
            if self.prompts[-1] > TURN_CHARACTERS:
                hold()
            return model.encode_prompt(prompt)

        def encode_response(prompt: Any, response: str) -> Any:
            self.responses.append(response)
            return model.encode_response(prompt, response)

        self.model.encode_prompt = encode_prompt  # type: ignore[method-assign]
        self.model.encode_response = encode_response  # type: ignore[method-assign]


def turns(number: int) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[place % 2], "content": "x"} for place in range(number)]


def test_half_a_megabyte_with_128_responses_is_tokenised_once(model: RewardModel) -> None:
    watched = Watched(model)
    with listening(watched.model) as port, client(port) as asking:
        answer = asking.post("/score", json={"text_1": "a" * 524_000, "text_2": ["x"] * 128})
        assert answer.status_code == 422
        assert "the prompt alone has " in answer.json()["error"]["message"]
        body = {"conversations": [{"prompt": "word " * 1000, "responses": ["x"] * 128}]}
        answer = asking.post("/v1/rewards", json=body)
        assert answer.json()["refused"] == 0
    assert watched.prompts == [524_000, 5000]
    assert len(watched.responses) == 128


def test_equal_prompts_of_a_request_are_encoded_once_wherever_they_stand(model: RewardModel) -> None:
    watched = Watched(model)
    body = {"text_1": ["a", "bb", "a", "a", "bb"], "text_2": ["1", "2", "3", "4", "5"]}
    with listening(watched.model) as port, client(port) as asking:
        scores = [each["score"] for each in asking.post("/score", json=body).json()["data"]]
    assert watched.prompts == [1, 2]
    expected = model.score(
        [
            [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
            for prompt, response in zip(body["text_1"], body["text_2"], strict=True)
        ]
    )
    assert scores == pytest.approx([one.score for one in expected], abs=1e-4)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/classify", {"messages": turns(60_000)}),
        ("/classify", {"messages": turns(3000)}),
        ("/v1/rewards", {"conversations": [{"messages": turns(60_000)}]}),
        ("/v1/rewards", {"conversations": [{"prompt": turns(2999), "responses": ["x"] * 100}]}),
        ("/v1/rewards", {"conversations": [{"messages": turns(4000)}] * 20}),
    ],
)
def test_more_turns_than_any_conversation_has_are_refused_before_one_is_rendered(
    model: RewardModel, path: str, body: dict[str, Any]
) -> None:
    watched = Watched(model)
    with listening(watched.model) as port, client(port) as asking:
        answer = asking.post(path, json=body)
    assert answer.status_code == 422
    assert " turns" in answer.json()["error"]["message"]
    assert watched.prompts == []


def test_a_request_for_more_tokens_than_may_wait_is_refused_before_anything_is_encoded(model: RewardModel) -> None:
    watched = Watched(model)
    body = {"conversations": [{"prompt": turns(299), "responses": ["x"] * 50}]}
    with listening(watched.model, queue_tokens=50_000) as port, client(port) as asking:
        answer = asking.post("/v1/rewards", json=body)
    assert answer.status_code == 413
    assert answer.json()["error"]["message"].startswith("at least 60,000 tokens, more than the 50,000 that may wait")
    assert watched.prompts == []


def test_a_small_request_is_answered_while_a_large_one_is_encoded(model: RewardModel) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert go_on.wait(30)

    watched = Watched(model, hold)
    with listening(watched.model) as port, ThreadPoolExecutor(2) as pool, client(port) as asking:
        body = {"text_1": " " * 20_000 + "a", "text_2": ["x"] * 3}
        large = [pool.submit(httpx2.post, f"http://127.0.0.1:{port}/score", json=body, timeout=60) for _ in range(2)]
        assert begun.wait(30)
        for _ in range(20):
            assert asking.post("/score", json=SMALL).status_code == 200
        assert not any(each.done() for each in large)
        go_on.set()
        assert [each.result().status_code for each in large] == [200, 200]


def test_a_client_that_leaves_while_its_request_is_encoded_ends_the_work(model: RewardModel) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert go_on.wait(30)

    watched = Watched(model, hold)
    body = json.dumps({"text_1": "word " * 4000, "text_2": [f"{n}" for n in range(128)]}).encode()
    head = f"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    with listening(watched.model) as port, client(port) as asking:
        leaving = socket.create_connection(("127.0.0.1", port), timeout=10)
        leaving.sendall(head.encode() + b"\r\n\r\n" + body)
        assert begun.wait(30)
        second = socket.create_connection(("127.0.0.1", port), timeout=10)  # waits behind it
        second.sendall(head.encode() + b"\r\n\r\n" + body)
        time.sleep(0.2)
        leaving.close()
        second.close()
        end = time.monotonic() + 20
        while 'path="/score",status="499"} 2.0' not in (told := asking.get("/metrics").text):
            assert time.monotonic() < end, told
            time.sleep(0.02)
        go_on.set()
        assert asking.post("/score", json=SMALL).status_code == 200
        assert "armorm_queue_tokens 0.0" in asking.get("/metrics").text
    assert watched.prompts == [20_000, len(SMALL["text_1"])]  # the second was never begun
    assert watched.responses == [SMALL["text_2"]]


def test_steps_cost_what_they_encode_and_the_longest_is_known_before(model: RewardModel) -> None:
    inputs = [
        Conversation(user_turn("a" * 3000), "b" * 50),
        Conversation(user_turn("a" * 3000), "c" * 10),
        Templated("d" * 900),
        TokenIds((1, 2, 3)),
        Conversation((Message("user", "e"),) * 600, "f"),
    ]
    made = RequestInputs(model, inputs)
    assert "601 turns, more than 2,048 tokens" in made.results[4].sentence  # type: ignore[union-attr]
    costs = list(made.steps(until_unusable=False))
    assert costs == [3128, 3178, 3138, 900, 3]
    assert made.longest_step == max(costs)
    assert None not in made.results
    stopped = RequestInputs(model, [Templated("no turns"), *inputs[:2]])
    assert len(list(stopped.steps(until_unusable=True))) == 1


def test_padding_in_front_of_a_text_takes_time_by_its_length(model: RewardModel) -> None:
    tokenizer: Any = model._encoder.tokenizer
    whole = tokenizer.apply_chat_template(turns(2), tokenize=False)
    padded = model.encode_text(tokenizer.pad_token * 20_000 + whole)
    assert padded.prompt.tolist() == model.encode_text(whole).prompt.tolist()


def test_two_threads_encode_as_one(model: RewardModel) -> None:
    conversations = [
        [
            {"role": "user", "content": f"{n} " * (n % 7 + 1)},
            {"role": "assistant", "content": f"naïve {n}猫 " * (n % 5 + 1)},
        ]
        for n in range(400)
    ]
    expected = [model.encode(each) for each in conversations]
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(model.encode, conversations))
    for one, other in zip(made, expected, strict=True):
        assert one.prompt.tolist() == other.prompt.tolist()
        assert one.responses[0].tolist() == other.responses[0].tolist()
