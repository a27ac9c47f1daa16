"""Every protocol, asked as its clients ask, gives the scores of `RewardModel.score`."""

import base64
import math
from typing import Any

import numpy as np
import pytest
from openai import OpenAI, UnprocessableEntityError

from export.reward_model import RewardModel
from extract.records import Message
from tests.export.server_process import Served

PROMPT = "How do I bake bread?"
RESPONSES = [
    "Mix flour, water, salt and yeast, let it rise, and bake it for 40 minutes.",
    "No.",
    "Buy some \U0001f35e — naïvely.\n\n```\nbread = 1\n```",
]
CLOSE = 1e-4
"""Relative to the largest score: packs of other sizes round otherwise, in float32."""


def turns(response: str, prompt: str = PROMPT) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]


@pytest.fixture(scope="module")
def expected(model: RewardModel) -> list[float]:
    return [scored.score for scored in model.score([turns(response) for response in RESPONSES])]


@pytest.fixture(scope="module")
def texts(model: RewardModel) -> list[str]:
    """The conversations as a client with the model's tokenizer templates them."""
    tokenizer: Any = model._encoder.tokenizer
    return [tokenizer.apply_chat_template(turns(response), tokenize=False) for response in RESPONSES]


def post(served: Served, path: str, body: Any) -> Any:
    with served.client() as client:
        answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def assert_close(numbers: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(numbers, expected, rtol=0, atol=CLOSE * np.abs(expected).max())


def test_rewards_come_apart_and_sum_to_the_score(served: Served, model: RewardModel, expected: list[float]) -> None:
    (one,) = post(served, "/v1/rewards", {"conversations": [{"prompt": PROMPT, "responses": RESPONSES}]})[
        "conversations"
    ]
    assert_close([reward["score"] for reward in one["responses"]], expected)
    for reward, scored in zip(one["responses"], model.score([turns(each) for each in RESPONSES]), strict=True):
        terms = reward["objectives"]
        assert tuple(term["name"] for term in terms) == model.objectives
        assert sum(term["contribution"] for term in terms) == pytest.approx(reward["score"], rel=1e-12)
        for term in terms:
            assert term["contribution"] == pytest.approx(term["gain"] - term["verbosity_penalty"], abs=1e-12)
            assert term["gain"] == pytest.approx(term["coefficient"] * term["reward"], rel=1e-12)
        np.testing.assert_allclose([term["reward"] for term in terms], scored.rewards, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose([term["coefficient"] for term in terms], scored.weights, rtol=1e-3, atol=1e-5)
        assert (reward["tokens"], reward["prompt_tokens"]) == (scored.tokens, scored.prompt_tokens)


def test_conversations_of_several_turns_keep_their_turns(served: Served, model: RewardModel) -> None:
    conversation = [*turns("Four.", "What is 2 + 2?"), *turns("Six.", "And 3 + 3?")]
    (scored,) = model.score([conversation])
    bodies = [
        {"conversations": [{"messages": conversation}], "decomposition": False},
        {"conversations": [{"prompt": conversation[:-1], "responses": ["Six."]}], "decomposition": False},
    ]
    for body in bodies:
        (reward,) = post(served, "/v1/rewards", body)["conversations"][0]["responses"]
        assert_close([reward["score"]], [scored.score])
        assert "objectives" not in reward


def test_one_bad_response_does_not_spoil_the_others(served: Served, expected: list[float]) -> None:
    told = post(
        served, "/v1/rewards", {"conversations": [{"prompt": PROMPT, "responses": [RESPONSES[0], " ", RESPONSES[1]]}]}
    )
    first, bad, last = told["conversations"][0]["responses"]
    assert_close([first["score"], last["score"]], expected[:2])
    assert bad == {"error": "the response is empty"}
    assert told["refused"] == 1


def test_openrlhf_reads_its_rewards(
    served: Served, texts: list[str], expected: list[float], model: RewardModel
) -> None:
    """As openrlhf.utils.remote_rm_utils does: older clients send `query` alone and read `rewards`."""
    older = post(served, "/get_reward", {"query": texts})
    newer = post(served, "/get_reward", {"query": texts, "prompts": [PROMPT] * 3, "labels": [None, "4", 1]})
    for told in (older, newer):
        assert_close(told["rewards"], expected)
        assert told["scores"] == told["rewards"]
        assert tuple(told["extra_logs"]) == model.objectives
        assert {len(values) for values in told["extra_logs"].values()} == {3}


def test_openrlhf_may_leave_padding_around_its_texts(served: Served, model: RewardModel, texts: list[str]) -> None:
    pad = model._encoder.tokenizer.pad_token
    plain = post(served, "/get_reward", {"query": texts})["rewards"]
    padded = post(served, "/get_reward", {"query": [pad * 3 + text + pad * 5 for text in texts]})["rewards"]
    assert_close(padded, plain)


def test_verl_reads_its_reward(served: Served, model: RewardModel, texts: list[str], expected: list[float]) -> None:
    """As verl's reward loop: the BOS is cut off, the activation is not wanted, `data[-1].probs[-1]` is read."""
    bos = model._encoder.tokenizer.bos_token
    for text, score in zip(texts, expected, strict=True):
        for activation in ("use_activation", "activation"):
            body = {"model": "model", "input": text.removeprefix(bos or "\0"), activation: False}
            told = post(served, "/classify", body)
            assert_close([told["data"][-1]["probs"][-1]], [score])


def test_classify_takes_texts_token_ids_and_messages(
    served: Served, model: RewardModel, texts: list[str], expected: list[float]
) -> None:
    tokenizer: Any = model._encoder.tokenizer
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    for given in (texts, ids):
        told = post(served, "/classify", {"input": given})
        assert_close([each["probs"][0] for each in told["data"]], expected)
        assert [each["index"] for each in told["data"]] == [0, 1, 2]
        assert {each["num_classes"] for each in told["data"]} == {1}
    assert (told["object"], told["model"]) == ("list", "model")
    assert told["usage"]["total_tokens"] == sum(scored.tokens for scored in model.score([turns(r) for r in RESPONSES]))
    for body in ({"input": ids[1]}, {"messages": turns(RESPONSES[1])}):
        assert_close([post(served, "/classify", body)["data"][0]["probs"][0]], expected[1:2])
    (squashed,) = post(served, "/classify", {"input": texts[1], "use_activation": True})["data"][0]["probs"]
    assert squashed == pytest.approx(1 / (1 + math.exp(-expected[1])), abs=CLOSE)


def test_sglang_classifies_one_text_or_many(
    served: Served, model: RewardModel, texts: list[str], expected: list[float]
) -> None:
    """As SGLang's clients of reward models: `text` or `input_ids`, and `embedding[0]` of each answer is read."""
    tokenizer: Any = model._encoder.tokenizer
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    tokens = [scored.tokens for scored in model.score([turns(response) for response in RESPONSES])]
    for body in ({"text": texts}, {"input_ids": ids}):
        told = post(served, "/classify", body | {"model": "anything", "sampling_params": {"max_new_tokens": 0}})
        assert_close([each["embedding"][0] for each in told], expected)
        assert {len(each["embedding"]) for each in told} == {1}
        assert [each["meta_info"]["prompt_tokens"] for each in told] == tokens
        assert len({each["meta_info"]["id"] for each in told}) == 3
    for one in ({"text": texts[1], "rid": "mine"}, {"input_ids": ids[1], "rid": "mine"}):
        told = post(served, "/classify", one)
        assert_close(told["embedding"], expected[1:2])
        assert told["meta_info"]["id"] == "mine"
    for rid, named in (("mine", ["mine_0", "mine_1", "mine_2"]), (["a", "b", "c"], ["a", "b", "c"])):
        told = post(served, "/classify", {"text": texts, "rid": rid})
        assert [each["meta_info"]["id"] for each in told] == named


def test_verl_reads_its_reward_from_sglang(
    served: Served, model: RewardModel, texts: list[str], expected: list[float]
) -> None:
    """As verl's reward loop with the engine sglang: the path of its model is the name, one text, one number is read."""
    bos = model._encoder.tokenizer.bos_token
    for text, score in zip(texts, expected, strict=True):
        body = {"model": "/models/org/reward-model", "input": text.removeprefix(bos or "\0")}
        told = post(served, "/v1/embeddings", body)
        assert_close([told["data"][-1]["embedding"][-1]], [score])
        assert told["usage"]["total_tokens"] == told["usage"]["prompt_tokens"] > 0


def test_openais_client_reads_scores_as_embeddings(
    served: Served, model: RewardModel, texts: list[str], expected: list[float]
) -> None:
    """Its client asks for base64 by itself, and decodes it as float32."""
    tokenizer: Any = model._encoder.tokenizer
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    with OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        for given in (texts, ids):
            for asked in ({}, {"encoding_format": "float", "dimensions": 1}, {"encoding_format": "base64"}):
                told = client.embeddings.create(model="model", input=given, **asked)  # type: ignore[arg-type]
                assert (told.object, told.model) == ("list", "model")
                assert [each.index for each in told.data] == [0, 1, 2]
                numbers = [each.embedding for each in told.data]
                if asked.get("encoding_format") == "base64":
                    packed = b"".join(base64.b64decode(each) for each in numbers)  # type: ignore[arg-type]
                    numbers = np.frombuffer(packed, dtype="<f4")[:, None].tolist()
                assert_close([number for (number,) in numbers], expected)
        for one, score in ((texts[1], expected[1]), (ids[2], expected[2])):
            assert_close(client.embeddings.create(model="model", input=one).data[0].embedding, [score])
        with pytest.raises(UnprocessableEntityError, match="dimensions"):
            client.embeddings.create(model="model", input=texts, dimensions=2)


def test_llama_factory_reads_its_scores(served: Served, texts: list[str], expected: list[float]) -> None:
    """As its PPO trainer: the name is "model" whatever is served, and `scores` is read."""
    told = post(served, "/v1/score/evaluation", {"model": "model", "messages": texts, "max_length": None})
    assert_close(told["scores"], expected)
    assert (told["object"], told["model"]) == ("score.evaluation", "model")
    assert told["id"].startswith("scoreval-")


@pytest.mark.parametrize(
    "names", [("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2")]
)
def test_score_takes_one_prompt_with_many_responses_or_as_many_of_both(
    served: Served, expected: list[float], names: tuple[str, str]
) -> None:
    for prompts in (PROMPT, [PROMPT], [PROMPT] * 3):
        for path in ("/score", "/v1/score"):
            told = post(served, path, dict(zip(names, (prompts, RESPONSES), strict=True)))
            assert_close([each["score"] for each in told["data"]], expected)
            assert {each["object"] for each in told["data"]} == {"score"}


def test_predict_as_text_embeddings_inference_answers(served: Served, texts: list[str], expected: list[float]) -> None:
    assert_close([post(served, "/predict", {"inputs": texts[0], "raw_scores": True})[0]["score"]], expected[:1])
    pair = [PROMPT, RESPONSES[1]]
    assert_close([post(served, "/predict", {"inputs": pair, "raw_scores": True})[0]["score"]], expected[1:2])
    many = post(served, "/predict", {"inputs": [[texts[0]], pair, [texts[2]]], "raw_scores": True})
    assert_close([each[0]["score"] for each in many], expected)
    (plain,) = post(served, "/predict", {"inputs": texts[1]})
    assert plain["score"] == pytest.approx(1 / (1 + math.exp(-expected[1])), abs=CLOSE)


def test_the_model_is_listed_and_another_is_not_found(served: Served, model: RewardModel, texts: list[str]) -> None:
    with served.client() as client:
        (listed,) = client.get("/v1/models").json()["data"]
        assert (listed["id"], listed["max_model_len"]) == ("model", model.max_tokens)
        answer = client.post("/classify", json={"model": "another", "input": texts[0]})
    assert answer.status_code == 404
    assert "'model'" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("/v1/rewards", {"conversations": []}, "conversations"),
        (
            "/v1/rewards",
            {"conversations": [{"prompt": "a"}]},
            "conversations[0]: give prompt and responses, or messages",
        ),
        ("/v1/rewards", {"conversations": [{"messages": turns("b")[:1]}]}, "the last turn must be the assistant's"),
        ("/v1/rewards", {"conversations": [{"prompt": "a", "responses": [" "]}]}, "the response is empty"),
        ("/v1/rewards", {"conversations": [{"prompt": "a", "responses": ["b"]}], "decompose": True}, "decompose"),
        ("/v1/rewards", {"conversations": [{"prompt": "a", "responses": ["x " * 9000]}]}, "tokens, more than"),
        ("/get_reward", {"query": []}, "query"),
        ("/get_reward", {"query": ["no turn in it"]}, "query[0]: there is no assistant turn"),
        ("/get_reward", {"query": [1]}, "query[0]"),
        ("/classify", {}, "give either input or messages"),
        ("/classify", {"input": []}, "input is empty"),
        ("/classify", {"input": [[1, 2, 99_999_999]]}, "input[0]: a token id is not one of the"),
        ("/classify", {"input": [[-1]]}, "input[0]: a token id is not one of the"),
        ("/classify", {"input": [2**70]}, "input"),
        ("/classify", {"input": "a", "truncate_prompt_tokens": 10}, "truncate_prompt_tokens"),
        ("/classify", {"messages": turns("b"), "chat_template": "{{ 1 }}"}, "chat_template"),
        ("/classify", {"messages": turns("b"), "add_generation_prompt": True}, "add_generation_prompt"),
        ("/classify", {"text": "a", "input_ids": [1]}, "give either text or input_ids"),
        ("/classify", {"text": []}, "it is empty"),
        ("/classify", {"input_ids": [[]]}, "it is empty"),
        ("/classify", {"text": "no turn in it"}, "text: there is no assistant turn"),
        ("/classify", {"text": ["no turn in it"]}, "text[0]: there is no assistant turn"),
        ("/classify", {"input_ids": [1, 99_999_999]}, "input_ids: a token id is not one of the"),
        ("/classify", {"text": "a", "image_data": "x.png"}, "image_data"),
        ("/classify", {"text": ["a", "b"], "rid": ["x"]}, "rid: give one text, or 2 different ones"),
        ("/classify", {"text": [["a", "b"]]}, "text[0]"),
        ("/v1/embeddings", {"input": []}, "input is empty"),
        ("/v1/embeddings", {"input": "a", "dimensions": 4}, "dimensions"),
        ("/v1/embeddings", {"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ("/v1/embeddings", {"input": ["no turn in it"]}, "input[0]: there is no assistant turn"),
        ("/v1/score/evaluation", {"model": "model", "messages": []}, "messages"),
        ("/v1/score/evaluation", {"model": "model", "messages": ["no turn"]}, "messages[0]: there is no assistant"),
        ("/v1/score/evaluation", {"model": "model", "messages": ["a"], "max_length": 9}, "max_length"),
        ("/score", {"text_1": ["a", "b"], "text_2": ["a", "b", "c"]}, "text_1 has 2 texts and text_2 3"),
        ("/score", {"text_1": "a", "text_2": []}, "a text each"),
        ("/predict", {"inputs": []}, "inputs"),
        ("/predict", {"inputs": ["a", "b", "c"]}, "inputs"),
        ("/predict", {"inputs": "a", "truncate": True}, "truncate"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_sentence_that_names_it(
    served: Served, path: str, body: Any, sentence: str
) -> None:
    with served.client() as client:
        answer = client.post(path, json=body)
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert sentence in error["message"]
    assert error["code"] == 422


def test_a_message_that_spells_a_special_token_is_refused_by_name(served: Served, model: RewardModel) -> None:
    special = model._encoder.tokenizer.eos_token
    with served.client() as client:
        answer = client.post("/score", json={"text_1": PROMPT, "text_2": [RESPONSES[0], f"before {special} behind"]})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == f"text_2[1]: the response spells the special token {special}"


def test_messages_are_as_good_as_records(served: Served, model: RewardModel) -> None:
    system = [Message("system", "Be brief."), Message("user", PROMPT), Message("assistant", "No.")]
    (scored,) = model.score([system])
    body = {"messages": [{"role": message.role, "content": message.content} for message in system]}
    assert_close([post(served, "/classify", body)["data"][0]["probs"][0]], [scored.score])


def test_a_role_that_the_template_does_not_know_is_refused_by_name(served: Served) -> None:
    result = {"role": "tool", "content": "It is 4."}
    with served.client() as client:
        answer = client.post("/classify", json={"messages": [*turns("Add.")[:1], result, *turns("Four.")[1:]]})
        unknown = client.post("/classify", json={"messages": [{"role": "narrator", "content": "x"}, *turns("b")]})
    assert answer.status_code == unknown.status_code == 422
    assert "the chat template does not know the role 'tool'" in answer.json()["error"]["message"]
    assert "role" in unknown.json()["error"]["message"]


def test_a_developers_turn_is_the_systems_where_the_template_has_no_other(served: Served) -> None:
    def score(role: str) -> float:
        body = {"messages": [{"role": role, "content": "Be brief."}, *turns("No.")]}
        number: float = post(served, "/classify", body)["data"][0]["probs"][0]
        return number

    assert_close([score("developer")], [score("system")])
