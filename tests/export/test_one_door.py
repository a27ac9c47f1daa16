"""The checks of texts and lengths are the same, in the same words, wherever a text comes in."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch

from cache import UserError
from cache.progress import silent
from evaluation.scorers.sequence_classifier import SequenceClassifier
from export.not_scorable import NotScorableError
from export.one_turn import score_turn
from export.reward_model import RewardModel
from export.score_file import score_file
from extract.records import Skipped
from tests.evaluation.scorers.tiny_reward_model import write_reward_model
from tests.export.conftest import conversation
from tests.export.server_thread import client, listening
from tests.extract.rows import records

WHITE = ("", " ", "\n\t \n", "\u3000\u00a0\x1d")
FAULTS = {
    **dict.fromkeys(WHITE, "is empty"),
    "lone \ud83d": "holds half of a surrogate pair, which is not text",
    "\udc80": "holds half of a surrogate pair, which is not text",  # a byte of a terminal that is not UTF-8
    "a <|eot_id|> b": "spells the special token <|eot_id|>",
    "word " * 3000: "tokens, more than max_tokens = 2048",
}
"""Response -> the words with which it is refused."""

Door = Callable[[str], str]


@pytest.fixture(scope="module")
def asking(model: RewardModel) -> Iterator[httpx2.Client]:
    with listening(model) as port, client(port) as made:
        yield made


def in_python(model: RewardModel, text: str) -> str:
    (reason,) = model.score_each([conversation("Hi", text)])
    return str(reason)


def alone(model: RewardModel, text: str) -> str:
    """The door of `explain` and of `score --response`."""
    with pytest.raises(UserError) as refused:
        score_turn(model, "Hi", text)
    return str(refused.value).partition(";")[0]


def in_a_file(model: RewardModel, folder: Path, text: str) -> str:
    source, out = folder / "rows.jsonl", folder / "out.jsonl"
    source.write_text(json.dumps({"prompt": "Hi", "response": text}) + "\n")
    told = score_file(model, source, out, prefix="", full=False, progress=silent)
    assert (told.rows, told.scored) == (1, 0)
    return str(json.loads(out.read_text())["error"])


def served(asking: httpx2.Client, path: str, body: Any) -> str:
    answer = asking.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    return str(answer.json()["error"]["message"])


@pytest.mark.parametrize(("text", "words"), FAULTS.items(), ids=[repr(text[:16]) for text in FAULTS])
def test_every_door_refuses_a_response_in_the_same_words(
    model: RewardModel, asking: httpx2.Client, tmp_path: Path, text: str, words: str
) -> None:
    doors: dict[str, Door] = {
        "Python": lambda text: in_python(model, text),
        "explain": lambda text: alone(model, text),
        "score": lambda text: in_a_file(model, tmp_path, text),
        "/score": lambda text: served(asking, "/score", {"text_1": "Hi", "text_2": [text]}),
        "/classify": lambda text: served(asking, "/classify", {"messages": conversation("Hi", text)}),
        "/predict": lambda text: served(asking, "/predict", {"inputs": ["Hi", text]}),
        "/v1/rewards": lambda text: served(
            asking, "/v1/rewards", {"conversations": [{"prompt": "Hi", "responses": [text]}]}
        ),
    }
    for name, door in doors.items():
        assert door(text).endswith(words), name


@pytest.mark.parametrize("text", [text for text, words in FAULTS.items() if "empty" in words or "half" in words])
def test_extraction_refuses_it_in_these_words_too(text: str) -> None:
    row = {"prompt": "Hi", "response": text, "helpfulness": 1, "correctness": 1, "coherence": 1, "complexity": 1}
    (skipped,) = records("helpsteer", row | {"verbosity": 1})
    assert isinstance(skipped, Skipped)
    assert skipped.reason == f"column 'response' {FAULTS[text]}"


@pytest.mark.parametrize("white", WHITE)
def test_templated_white_space_is_empty_as_text_and_as_token_ids(
    model: RewardModel, asking: httpx2.Client, white: str
) -> None:
    tokenizer: Any = model._encoder.tokenizer
    text = tokenizer.apply_chat_template(conversation("Hi", "ANSWER"), tokenize=False).replace("ANSWER", white)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    requests = [
        ("/get_reward", {"query": [text]}),
        ("/classify", {"input": text}),
        ("/classify", {"input": [ids]}),
        ("/classify", {"text": text}),
        ("/classify", {"input_ids": ids}),
        ("/v1/embeddings", {"input": [text]}),
        ("/v1/score/evaluation", {"messages": [text]}),
        ("/predict", {"inputs": text}),
    ]
    for path, body in requests:
        assert served(asking, path, body).endswith("the response is empty")


def test_a_templated_text_that_is_none_never_reaches_the_tokenizer(model: RewardModel) -> None:
    for text, words in (("\ud83d", "surrogate"), ("  ", "it is empty")):
        with pytest.raises(NotScorableError, match=words):
            model.encode_text(text)


def test_a_scorer_of_suites_refuses_half_a_character_and_scores_an_empty_text(
    model: RewardModel, tmp_path: Path
) -> None:
    classifier = SequenceClassifier(write_reward_model(tmp_path / "model"), torch.device("cpu"))
    assert classifier.encode(conversation("Hi", "\ud83d")) == f"the assistant turn {FAULTS['lone ' + chr(0xD83D)]}"
    assert isinstance(classifier.encode(conversation("Hi", "")), list)
    encoded = model.encode(conversation("Hi", "", "And now?", ""), empty=True)
    (scored,) = model.score_encoded([encoded])
    assert not isinstance(scored, NotScorableError)
