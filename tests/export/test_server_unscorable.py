"""`serve --unscorable SCORE`: an answer of a policy that cannot be scored gets a number, and ends no training run."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from export.not_scorable import NotFiniteError
from export.reward_model import RewardModel
from export.server.settings import ServerSettings
from tests.export.conftest import conversation
from tests.export.server_thread import client, listening

NUMBER = -25.0
BAD = ["", " \n", "word " * 3000, "\ud83d"]


@pytest.fixture(scope="module")
def asking(model: RewardModel) -> Iterator[httpx2.Client]:
    with listening(model, unscorable=NUMBER) as port, client(port) as made:
        yield made


def templated(model: RewardModel, response: str) -> str:
    tokenizer: Any = model._encoder.tokenizer
    text: str = tokenizer.apply_chat_template(conversation("Hi", "ANSWER"), tokenize=False)
    return text.replace("ANSWER", response)


def counted(asking: httpx2.Client, metric: str) -> float:
    found = [line.split()[1] for line in asking.get("/metrics").text.splitlines() if line.startswith(f"{metric} ")]
    return float(found[0])


def post(asking: httpx2.Client, path: str, body: Any) -> Any:
    import json

    answer = asking.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_openrlhf(model: RewardModel, asking: httpx2.Client) -> None:
    good = templated(model, "Hello!")
    bad = [templated(model, text) for text in BAD] + ["no turn at all", ""]
    before = counted(asking, "armorm_unscorable_conversations_total")
    answer = post(asking, "/get_reward", {"query": [good, *bad, good]})
    (scored,) = model.score([conversation("Hi", "Hello!")])
    assert answer["rewards"] == answer["scores"]
    assert answer["rewards"] == pytest.approx([scored.score, *[NUMBER] * len(bad), scored.score], rel=1e-4)
    marks = answer["extra_logs"].pop("unscorable")
    assert marks == [0, *[1] * len(bad), 0]
    assert list(answer["extra_logs"]) == list(model.objectives)
    for values in answer["extra_logs"].values():
        assert values[1:-1] == [NUMBER] * len(bad)
    assert counted(asking, "armorm_unscorable_conversations_total") - before == len(bad)


def test_the_other_protocols(model: RewardModel, asking: httpx2.Client) -> None:
    (scored,) = model.score([conversation("Hi", "Hello!")])
    both = pytest.approx([scored.score, NUMBER], rel=1e-4)
    for bad in BAD:
        texts = [templated(model, "Hello!"), templated(model, bad)]
        told = post(asking, "/classify", {"input": texts})
        assert [each["probs"][0] for each in told["data"]] == both
        assert told["usage"]["total_tokens"] == scored.tokens
        told = post(asking, "/score", {"text_1": "Hi", "text_2": ["Hello!", bad]})
        assert [each["score"] for each in told["data"]] == both
        told = post(asking, "/predict", {"inputs": [["Hi", "Hello!"], ["Hi", bad]], "raw_scores": True})
        assert [each[0]["score"] for each in told] == both
        told = post(asking, "/classify", {"text": texts})
        assert [each["embedding"][0] for each in told] == both
        assert [each["meta_info"]["prompt_tokens"] for each in told] == [scored.tokens, 0]
        told = post(asking, "/v1/embeddings", {"input": texts})
        assert [each["embedding"][0] for each in told["data"]] == both
        assert post(asking, "/v1/score/evaluation", {"model": "model", "messages": texts})["scores"] == both
        (told,) = post(asking, "/predict", {"inputs": ["Hi", bad]})
        assert told["score"] == pytest.approx(1.4e-11, rel=0.1)  # the logistic function of -25
    told = post(asking, "/classify", {"messages": conversation("Hi", "spelt <|eot_id|>")})
    assert told["data"][0]["probs"] == [NUMBER]
    ids = [[1, 2, 3], [-1]]
    assert [each["probs"] for each in post(asking, "/classify", {"input": ids})["data"]] == [[NUMBER]] * 2


def test_a_protocol_that_knows_errors_still_gives_them(asking: httpx2.Client) -> None:
    body = {"conversations": [{"prompt": "Hi", "responses": ["Hello!", ""]}]}
    told = post(asking, "/v1/rewards", body)
    assert told["conversations"][0]["responses"][1] == {"error": "the response is empty"}


def test_a_fault_of_the_model_or_of_the_request_is_still_an_error(
    model: RewardModel, asking: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asking.post("/get_reward", json={"query": []}).status_code == 422
    assert asking.post("/get_reward", json={"query": [3]}).status_code == 422
    fault = NotFiniteError("a value that is not finite is its score")
    with monkeypatch.context() as patched:
        patched.setattr(model, "score_encoded", lambda encoded: [fault for _ in encoded])
        with listening(model, unscorable=NUMBER) as port, client(port) as broken:
            answer = broken.post("/get_reward", json={"query": [templated(model, "Hello!")]})
            assert answer.status_code == 500


@pytest.mark.parametrize("number", [float("nan"), float("-inf"), -1e300])
def test_the_number_is_one_that_trainers_can_hold(number: float) -> None:
    with pytest.raises(ValidationError):
        ServerSettings(unscorable=number)


def test_by_itself_the_request_is_refused(model: RewardModel) -> None:
    with listening(model) as port, client(port) as asking:
        texts = [templated(model, "Hello!"), templated(model, " ")]
        answer = asking.post("/get_reward", json={"query": texts})
        assert answer.status_code == 422
        assert answer.json()["error"]["message"] == "query[1]: the response is empty"
