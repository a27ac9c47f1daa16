"""A reward model of transformers scores as it would score each conversation alone."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from cache import UserError
from evaluation.scorers.sequence_classifier import SequenceClassifier
from tests.evaluation.scorers.tiny_reward_model import write_reward_model

CPU = torch.device("cpu")
CONVERSATIONS = [
    [{"role": "user", "content": "Name a bird."}, {"role": "assistant", "content": answer}]
    for answer in ("An owl.", "A very long answer about owls " * 9, "Robin", "no " * 30, "An owl.")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reward_model(tmp_path_factory.mktemp("models") / "reward")


@pytest.fixture(scope="module")
def alone(folder: Path) -> list[float]:
    """Each conversation scored by itself, by transformers' own calls."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    scores = []
    for messages in CONVERSATIONS:
        encoded = tokenizer.apply_chat_template(messages, return_tensors="pt", return_dict=True)
        with torch.inference_mode():
            scores.append(float(model(**encoded).logits[0, 0]))
    return scores


def scored(classifier: SequenceClassifier, batch_tokens: int) -> list[float]:
    sequences = [classifier.encode(messages) for messages in CONVERSATIONS]
    assert all(isinstance(ids, list) for ids in sequences)
    scores = [0.0] * len(sequences)
    for places, values in classifier.scores(sequences, batch_tokens):  # type: ignore[arg-type]
        for place, value in zip(places, values, strict=True):
            scores[place] = value
    return scores


@pytest.mark.parametrize("batch_tokens", [1, 100, 100_000])
def test_batches_do_not_change_scores(folder: Path, alone: list[float], batch_tokens: int) -> None:
    assert scored(SequenceClassifier(folder, CPU), batch_tokens) == pytest.approx(alone, abs=1e-5)
    assert len(set(alone)) == 4  # the scores do differ


def test_a_pad_token_that_ends_conversations_does_not_move_the_place_that_is_read(
    folder: Path, alone: list[float], tmp_path: Path
) -> None:
    """Pad = end of turn: transformers would read one token too early (transformers issue 35352)."""
    write_reward_model(tmp_path / "eos")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "eos")
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(tmp_path / "eos")
    classifier = SequenceClassifier(tmp_path / "eos", CPU)
    ids = classifier.encode(CONVERSATIONS[0])
    assert ids[-1] == tokenizer.pad_token_id  # the case is the one that is meant
    assert scored(classifier, 100_000) == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("bos_in_template", [0, 1, 2])
def test_there_is_exactly_one_bos(tmp_path: Path, bos_in_template: int) -> None:
    write_reward_model(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    tokenizer.chat_template = (
        "{{ bos_token }}" * bos_in_template + "{% for m in messages %}{{ m.content }} {% endfor %}"
    )
    tokenizer.save_pretrained(tmp_path / "model")
    ids = SequenceClassifier(tmp_path / "model", CPU).encode(CONVERSATIONS[0])
    adds_its_own = tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
    expected = 1 if bos_in_template or adds_its_own else 0
    assert isinstance(ids, list)
    assert ids.count(tokenizer.bos_token_id) == expected


def test_a_conversation_that_cannot_be_scored_says_why(tmp_path: Path) -> None:
    classifier = SequenceClassifier(write_reward_model(tmp_path / "short", max_position_embeddings=20), CPU)
    reason = classifier.encode(CONVERSATIONS[1])
    assert isinstance(reason, str)
    assert reason.endswith("tokens, more than max_tokens = 20")


def test_a_model_without_a_trained_output_layer_is_refused(folder: Path, tmp_path: Path) -> None:
    """Transformers fills it with random numbers, and would score."""
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    model.model.save_pretrained(tmp_path / "base")
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "base")
    config = json.loads((tmp_path / "base" / "config.json").read_text())
    (tmp_path / "base" / "config.json").write_text(json.dumps({**config, "id2label": {"0": "LABEL_0"}}))
    with pytest.raises(UserError, match=r"has no weights for score\.weight"):
        SequenceClassifier(tmp_path / "base", CPU)


def test_a_model_of_several_outputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has 3 outputs"):
        SequenceClassifier(write_reward_model(tmp_path / "three", num_labels=3), CPU)


def test_a_tokenizer_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    write_reward_model(tmp_path / "model")
    (tmp_path / "model" / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="no chat template"):
        SequenceClassifier(tmp_path / "model", CPU)


def test_weights_that_would_be_unpickled_are_refused(folder: Path, tmp_path: Path) -> None:
    write_reward_model(tmp_path / "model")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    torch.save(model.state_dict(), tmp_path / "model" / "pytorch_model.bin")
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(UserError, match="cannot be loaded"):
        SequenceClassifier(tmp_path / "model", CPU)


def test_code_in_the_folder_is_never_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_reward_model(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    ran = tmp_path / "ran"
    (tmp_path / "model" / "trap.py").write_text(f"open({str(ran)!r}, 'w')\nclass Trap: pass\n")
    auto_map = {"AutoModelForSequenceClassification": "trap.Trap", "AutoConfig": "trap.Trap"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "auto_map": auto_map}))
    with caplog.at_level(logging.WARNING):
        SequenceClassifier(tmp_path / "model", CPU)
    assert "code of its own, which is not run" in caplog.text
    assert not ran.exists()


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read as a model"):
        SequenceClassifier(tmp_path, CPU)


@pytest.mark.parametrize(
    "values",
    [
        {"hidden_size": -1},
        {"num_attention_heads": 0},
        {"num_hidden_layers": 10**12},
        {"vocab_size": 2**40},
        {"intermediate_size": 3},
        {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
    ],
)
def test_a_configuration_that_does_not_fit_is_one_sentence(tmp_path: Path, values: dict[str, Any]) -> None:
    write_reward_model(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    with pytest.raises(UserError, match=r"^[^\n]+$"):
        SequenceClassifier(tmp_path / "model", CPU)


def test_when_memory_runs_out_batches_become_smaller(
    folder: Path, alone: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = SequenceClassifier(folder, CPU)
    whole = classifier._score

    def little_memory(batch: list[list[int]]) -> list[float]:
        if len(batch) > 1:
            raise torch.OutOfMemoryError("no room")
        return whole(batch)

    monkeypatch.setattr(classifier, "_score", little_memory)
    assert scored(classifier, 100_000) == pytest.approx(alone, abs=1e-5)

    def no_memory(batch: list[list[int]]) -> list[float]:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(classifier, "_score", no_memory)
    with pytest.raises(UserError, match="does not fit the memory"):
        scored(classifier, 100_000)


def test_a_template_with_the_date_gives_the_same_tokens_on_every_day(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reward_model(tmp_path)
    path = tmp_path / "chat_template.jinja"
    path.write_text("{{ bos_token + strftime_now('%d %b %Y') }}" + path.read_text().replace("{{ bos_token }}", ""))
    before = SequenceClassifier(tmp_path, CPU).encode(CONVERSATIONS[0])
    monkeypatch.setattr("transformers.utils.chat_template_utils.datetime", None)  # nobody asks what time it is
    assert SequenceClassifier(tmp_path, CPU).encode(CONVERSATIONS[0]) == before
    assert before != SequenceClassifier(folder, CPU).encode(CONVERSATIONS[0])


def test_any_exception_of_a_template_is_the_reason(tmp_path: Path) -> None:
    write_reward_model(tmp_path)
    path = tmp_path / "chat_template.jinja"
    path.write_text("{% if '.' in messages[0]['content'] %}{{ 1 // 0 }}{% endif %}" + path.read_text())
    reason = SequenceClassifier(tmp_path, CPU).encode(CONVERSATIONS[0])
    assert isinstance(reason, str)
    assert reason.startswith("the chat template refuses it: ")
