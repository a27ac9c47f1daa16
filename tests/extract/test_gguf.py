"""A GGUF file is a backbone of the same states; whatever would be lost or is damaged is one sentence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cache import UserError
from extract.backbone import Backbone, find_backbone
from extract.check.backbone import look_at_backbone
from extract.engines import ENGINES
from extract.engines.loader import EngineLoader
from extract.gguf_file import open_gguf
from extract.settings import BackboneSettings, ExtractSettings
from tests.extract.gguf_writer import FILE, TEMPLATE, TOKENS, small_llama, write_gguf
from tests.extract.hub_server import Hub, serving, use

CPU = torch.device("cpu")
IDS = torch.tensor([[0, 17, 80, 262, 263, 40, 4]])


def settings_of(folder: Path | str, **others: Any) -> BackboneSettings:
    return BackboneSettings(model=str(folder), gguf_file=FILE, dtype="float32", max_tokens=256, **others)


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as error:
        find_backbone(settings_of(folder))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def backbone(whole: Path) -> Backbone:
    return find_backbone(settings_of(whole))


def states(backbone: Backbone) -> torch.Tensor:
    model = backbone.load(settings_of(backbone.folder), CPU, None)
    return model(IDS).last_hidden_state


def test_the_states_are_those_of_the_model_that_it_was_made_from(backbone: Backbone) -> None:
    with torch.no_grad():
        expected = small_llama()(IDS).last_hidden_state
    torch.testing.assert_close(states(backbone), expected, rtol=0, atol=2e-6)


def test_packed_weights_are_unpacked_to_the_dtype(tmp_path: Path) -> None:
    packed = find_backbone(settings_of(write_gguf(tmp_path, packed=True)))
    with torch.no_grad():
        expected = small_llama()(IDS).last_hidden_state
    difference = (states(packed) - expected).norm() / expected.norm()
    assert 1e-4 < difference < 0.02  # eight bits a weight
    loaded = packed.load(settings_of(tmp_path).model_copy(update={"dtype": "bfloat16"}), CPU, None)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}


def test_tokenizer_and_template_are_the_files_own(backbone: Backbone, whole: Path, tmp_path: Path) -> None:
    assert backbone.tokenizer.chat_template == TEMPLATE
    assert backbone.vocabulary == len(TOKENS)
    assert backbone.tokenizer("the 7", add_special_tokens=False).input_ids == [
        TOKENS.index(token) for token in ("the", "Ġ", "7")
    ]
    (tmp_path / FILE).write_bytes((whole / FILE).read_bytes())
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json", "model.safetensors"):
        (tmp_path / name).write_text("another model's")
    beside = find_backbone(settings_of(tmp_path))
    assert beside.identity == backbone.identity
    assert beside.tokenizer.get_vocab() == backbone.tokenizer.get_vocab()


def test_the_bytes_are_the_identity(backbone: Backbone, tmp_path: Path) -> None:
    def louder(tensors: dict[str, Any]) -> None:
        tensors["output_norm.weight"] = tensors["output_norm.weight"] * 2

    other = find_backbone(settings_of(write_gguf(tmp_path, tensors=louder)))
    assert backbone.identity.startswith("gguf:")
    assert other.identity != backbone.identity
    prints = [one.fingerprint(settings_of(one.folder), "float16", "packed").digest for one in (backbone, other)]
    assert prints[0] != prints[1]


@pytest.mark.parametrize(
    ("words", "pieces"),
    [
        ("llama-bpe", ["the", "ĊĊĊ", "19"]),
        ("smollm", ["the", "ĊĊĊ", "1", "9"]),
        ("gpt-2", ["the", "ĊĊ", "Ċ", "19"]),
        ("martian", ["the", "ĊĊ", "Ċ", "19"]),
    ],
)
def test_texts_are_split_into_the_words_that_the_file_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, words: str, pieces: list[str]
) -> None:
    def named(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_pre(words)

    tokenizer = find_backbone(settings_of(write_gguf(tmp_path, metadata=named))).tokenizer
    found = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("the\n\n\n19")
    assert [piece for piece, _ in found] == pieces
    assert ("as 'martian' does, which is not known here: they are split as GPT-2's" in caplog.text) == (
        words == "martian"
    )


def drop(name: str) -> Any:
    return lambda tensors: tensors.pop(name)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"architecture": "martian"}, "whose architecture is 'martian' (ValueError: GGUF model with architecture"),
        ({"blocks": 1}, "so features would be wrong: use the model's own repository"),
        ({"blocks": 3}, "so features would be wrong: use the model's own repository"),
        ({"blocks": 10**12}, "says that block_count is 1000000000000, and it holds 20 tensors: fetch it again"),
        ({"blocks": None}, "has no llama.block_count, so it is no language model"),
        ({"tensors": drop("blk.1.ffn_up.weight")}, "so features would be wrong: use the model's own repository"),
        ({"tensors": lambda t: t.update({"rope_freqs.weight": np.ones(8)})}, "(rope_freqs.weight among them)"),
        ({"metadata": lambda w: w.add_expert_count(2**31)}, "says that expert_count is 2147483648"),
        ({"metadata": lambda w: w.add_uint16("split.count", 3)}, "is one of 3 parts of a model: merge them"),
        (
            {
                "metadata": lambda w: (
                    w.add_rope_scaling_type(gguf.RopeScalingType.YARN),
                    w.add_rope_scaling_factor(4.0),
                )
            },
            "scales rotary positions (yarn, by 4.0), which transformers does not read from a GGUF",
        ),
        ({"metadata": lambda w: w.add_embedding_length(10**9)}, "so features would be wrong"),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_what_transformers_would_not_read_is_refused(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    assert sentence in refused(write_gguf(tmp_path, **changes))


def test_a_tensor_in_the_place_of_another_is_named(tmp_path: Path) -> None:
    def renamed(tensors: dict[str, Any]) -> None:
        tensors["blk.1.ffn_upper.weight"] = tensors.pop("blk.1.ffn_up.weight")

    found = find_backbone(settings_of(write_gguf(tmp_path, tensors=renamed)))  # as many weights as there should be
    with pytest.raises(UserError, match=r"have no layers\.1\.mlp\.up_proj\.weight: fetch them again"):
        found.load(settings_of(tmp_path), CPU, None)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"PK\x03\x04" * 9, b"GGUF\x00\x00\x00\x03" + b"\xff" * 40])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert "cannot be read as a GGUF file" in refused(tmp_path)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fraction=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused_before_a_row_is_read(whole: Path, tmp_path: Path, fraction: float) -> None:
    content = (whole / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(UserError, match=r"^backbone\.gguf_file: [^\n]*(cut|cannot be read as a GGUF file)[^\n]*$"):
        open_gguf(tmp_path / FILE)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_header_of_other_bytes_is_read_or_refused(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray((whole / FILE).read_bytes())
    header = len(content) - sum(values.nbytes for values in small_llama_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, header - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / FILE).write_bytes(content)
    said = "backbone.gguf_file"  # of a header that is read all the same
    try:
        open_gguf(tmp_path / FILE)
    except UserError as refusal:
        said = str(refusal)
    assert said.startswith("backbone.gguf_file")
    assert "\n" not in said


def small_llama_bytes() -> list[np.ndarray[Any, Any]]:
    return [tensor.numpy() for tensor in small_llama().state_dict().values()]


def test_a_library_that_is_missing_is_named(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.gguf_file.find_spec", lambda name: None if name == "gguf" else object())
    assert refused(whole) == (
        "backbone.gguf_file needs the package gguf, which is not installed: run `pip install -e '.[gguf]'`"
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert f"is neither a folder with a {FILE} nor org/name on the hub" in refused(tmp_path)


@pytest.mark.parametrize("name", ["../a.gguf", "/a.gguf", "a.safetensors", "a//b.gguf", ""])
def test_a_path_that_leaves_the_folder_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=r"is not the path of a \.gguf file inside a folder or repository"):
        BackboneSettings(model="a", gguf_file=name)


def test_vllm_is_refused_before_anything_is_loaded(backbone: Backbone) -> None:
    with pytest.raises(UserError, match=r"set extract\.engine to 'packed'"):
        ENGINES["vllm"](backbone, settings_of(backbone.folder), ExtractSettings(), CPU)


@pytest.fixture
def hub(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    model = tmp_path / "hub" / "models" / "org" / "model"
    model.mkdir(parents=True)
    (model / FILE).write_bytes((whole / FILE).read_bytes())
    (model / "small.Q2_K.gguf").write_bytes(b"smaller")
    (model / "config.json").write_text("{}")
    with serving(tmp_path / "hub") as server:
        use(server, tmp_path / "cache", monkeypatch)
        yield server


def test_of_a_repository_one_file_is_fetched(hub: Hub, backbone: Backbone) -> None:
    chosen = settings_of("org/model")
    looked, findings = look_at_backbone(chosen)
    assert not findings
    assert looked is not None
    assert looked.parameters == sum(parameter.numel() for parameter in small_llama().parameters())
    found = find_backbone(chosen)
    commit = hub.commit("models", "org/model")
    assert found.identity == f"org/model@{commit}/{FILE}"
    assert [path.name for path in found.folder.iterdir()] == [FILE]
    assert found.facts == backbone.facts
    elsewhere = EngineLoader.of("sequential", found, chosen, ExtractSettings(device="cpu"))
    assert (elsewhere.backbone.model, elsewhere.backbone.revision) == ("org/model", commit)
    assert elsewhere().features is not None


def test_a_repository_without_the_file_names_those_that_it_has(hub: Hub) -> None:
    with pytest.raises(UserError, match=r"org/model has no other\.gguf: name one of small\.Q2_K\.gguf and small\.Q8_0"):
        find_backbone(settings_of("org/model").model_copy(update={"gguf_file": "other.gguf"}))
