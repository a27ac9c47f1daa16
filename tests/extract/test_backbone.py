"""A backbone's facts, whatever its family calls them; what does not load is refused by one sentence."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel

from cache import UserError
from extract.backbone import Backbone, find_backbone
from extract.engines.sequential import SequentialEngine
from extract.settings import BackboneSettings, ExtractSettings
from extract.special_tokens import padding_token
from tests.conftest import TINY

TOKENS = {"vocab_size": 8192, "pad_token_id": 5, "bos_token_id": 0, "eos_token_id": 4}
FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def family(folder: Path, name: str, max_tokens: int = 128, **sizes: Any) -> Backbone:
    """A small random backbone, as its family stores it."""
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(name, **TOKENS, **sizes)).save_pretrained(folder)
    for file in FILES:
        shutil.copy(TINY / file, folder)
    return find_backbone(BackboneSettings(model=str(folder), dtype="float32", max_tokens=max_tokens))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the bundled backbone that a test may damage."""
    folder = tmp_path / "copy"
    shutil.copytree(TINY, folder)
    return folder


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def load(folder: Path) -> Any:
    settings = BackboneSettings(model=str(folder), dtype="float32", max_tokens=512)
    return find_backbone(settings).load(settings, torch.device("cpu"), None)


def test_the_facts_of_the_bundled_backbone(tiny: Backbone) -> None:
    facts = tiny.facts
    assert (facts.family, facts.hidden_size, facts.hidden_layers, facts.vocabulary) == ("llama", 256, 8, 8192)
    assert (facts.positions, facts.steady_positions) == (2048, None)
    assert facts.attention_exchangeable


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
        ("mamba", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}),
        ("recurrent_gemma", {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "lru_width": 32}),
    ],
)
def test_a_family_without_positions_has_no_limit(
    tmp_path: Path, name: str, sizes: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    backbone = family(tmp_path, name, max_tokens=100_000, **sizes)
    facts = backbone.facts
    assert (facts.positions, facts.hidden_size, facts.hidden_layers) == (None, 32, 2)
    assert not facts.attention_exchangeable
    assert "positions" not in caplog.text
    SequentialEngine(backbone, BackboneSettings(model=str(tmp_path)), ExtractSettings(), torch.device("cpu"))


def test_an_encoder_with_a_decoder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"encoder with a decoder \(t5\).*use a decoder-only model"):
        family(tmp_path, "t5", d_model=32, num_layers=1, num_heads=2, d_ff=32)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("gpt2", {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64}),
        ("opt", {"hidden_size": 32, "ffn_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2}),
        ("gptj", {"n_embd": 32, "n_layer": 1, "n_head": 2, "rotary_dim": 4, "n_positions": 64}),
    ],
)
def test_a_table_of_positions_is_the_limit(tmp_path: Path, name: str, sizes: dict[str, int]) -> None:
    if name == "opt":
        sizes = {**sizes, "max_position_embeddings": 64}
    with pytest.raises(UserError, match=r"backbone\.max_tokens is 65.*table of 64 positions: set .* to 64"):
        family(tmp_path, name, max_tokens=65, **sizes)
    assert find_backbone(BackboneSettings(model=str(tmp_path), max_tokens=64)).facts.positions == 64


def test_positions_that_are_computed_only_warn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    family(tmp_path, "gpt_neox", max_tokens=65, max_position_embeddings=64, **sizes)
    assert "was made for 64 positions" in caplog.text


def test_a_library_that_is_missing_is_named(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_library(*_: object, **__: object) -> None:
        raise ImportError("this quantization needs squeezebits: `pip install squeezebits`\nmore")

    monkeypatch.setattr(AutoModel, "from_pretrained", without_library)
    with pytest.raises(UserError, match=r"needs a library that is not installed \(.*pip install squeezebits`\): "):
        load(copy)


def test_a_quantised_checkpoint_is_one_sentence(copy: Path) -> None:
    change(copy / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(UserError, match=r"^backbone\.model: [^\n]*$"):
        load(copy)


def test_cut_weights_are_refused_before_a_row_is_read(copy: Path) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"model\.safetensors is cut or damaged.*fetch it again"):
        find_backbone(BackboneSettings(model=str(copy), max_tokens=512))


def test_weights_of_another_shape_are_named(copy: Path) -> None:
    change(copy / "config.json", intermediate_size=512)
    with pytest.raises(UserError, match=r"has the shape 256 × 768, and config\.json there asks for 256 × 512: fetch"):
        load(copy)


@pytest.mark.parametrize("content", ["{}", "", "[1]", '{"version": "1.0", "added_tokens": []}'])
def test_a_damaged_tokenizer_is_named(copy: Path, content: str) -> None:
    (copy / "tokenizer.json").write_text(content)
    with pytest.raises(UserError, match=r"^backbone\.model: the tokenizer in [^\n]* cannot be read .*fetch"):
        find_backbone(BackboneSettings(model=str(copy), max_tokens=512))


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"model_type": "llama", "num_hidden_layers": "many"}'])
def test_a_damaged_configuration_is_named(copy: Path, content: str) -> None:
    (copy / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"^backbone\.model: [^\n]*$"):
        find_backbone(BackboneSettings(model=str(copy), max_tokens=512))


@pytest.mark.parametrize("name", ["llama", "qwen2", "gpt2"])
@pytest.mark.parametrize("key", ["num_hidden_layers", "n_layer"])
def test_no_loop_runs_for_a_number_of_layers_that_the_weights_do_not_have(copy: Path, name: str, key: str) -> None:
    """Without the comparison, transformers makes a list of 10**12 kinds of layers, or as many modules."""
    change(copy / "config.json", model_type=name, **{key: 10**12})
    with pytest.raises(UserError, match=rf"says that {key} is 1,000,000,000,000, and the weights beside it are \d+"):
        find_backbone(BackboneSettings(model=str(copy), max_tokens=512))
    (copy / "model.safetensors").unlink()
    with pytest.raises(UserError, match=rf"says that {key} is 1,000,000,000,000"):
        find_backbone(BackboneSettings(model=str(copy), max_tokens=512))


def test_a_number_of_layers_that_none_are_made_of_may_exceed_them(copy: Path) -> None:
    change(copy / "config.json", model_type="qwen2", max_window_layers=200)
    assert find_backbone(BackboneSettings(model=str(copy), max_tokens=512)).hidden_size == 256


def test_nothing_is_allocated_that_the_weights_do_not_fill(copy: Path) -> None:
    change(copy / "config.json", intermediate_size=10**12)
    with pytest.raises(UserError, match=r"asks for [\d,]+ weights, and its files hold [\d,]+: fetch"):
        load(copy)


def test_attention_that_a_configuration_names_is_not_used(copy: Path) -> None:
    change(copy / "config.json", _attn_implementation="evil/kernel", _experts_implementation="evil/kernel")
    assert load(copy).config._attn_implementation == "sdpa"


def test_a_padding_token_without_an_embedding_does_not_stop_the_load(copy: Path) -> None:
    change(copy / "config.json", pad_token_id=8192)
    assert load(copy).config.vocab_size == 8192


def test_of_several_templates_the_default_one_is_used(copy: Path) -> None:
    template = (copy / "chat_template.jinja").read_text()
    (copy / "chat_template.jinja").unlink()
    several = [{"name": "default", "template": template}, {"name": "tool_use", "template": "{{ tools | length }}"}]
    change(copy / "tokenizer_config.json", chat_template=several)
    found = find_backbone(BackboneSettings(model=str(copy), max_tokens=512))
    assert found.tokenizer.chat_template == template


def test_the_tokenizer_of_the_bundled_backbone_pads_with_its_own_token(tiny: Backbone) -> None:
    tokenizer: Any = tiny.tokenizer
    assert padding_token(tokenizer, 8192) == "<|pad|>"
    assert padding_token(tokenizer, 8192, avoid=(5,)) == "<|eot_id|>"
    assert padding_token(tokenizer, 5) == "<|eot_id|>"
    assert padding_token(tokenizer, 4) == "<|end_of_text|>"
    assert padding_token(tokenizer, 1) == "<|begin_of_text|>"
    assert padding_token(tokenizer, 0) is None


def test_fingerprints_of_earlier_versions_stay(tiny: Backbone, tiny_settings: BackboneSettings) -> None:
    """The digest of a template without a date is that of its text."""
    import hashlib

    template = (TINY / "chat_template.jinja").read_text()
    fingerprint = tiny.fingerprint(tiny_settings, "float16", "packed")
    assert fingerprint.template == hashlib.sha256(template.encode()).hexdigest()


def test_a_dated_templates_fingerprint_holds_the_date(tmp_path: Path, tiny_settings: BackboneSettings) -> None:
    path = tmp_path / "dated.jinja"
    path.write_text("{{ bos_token + strftime_now('%Y') }}" + (TINY / "chat_template.jinja").read_text())
    settings = tiny_settings.model_copy(update={"chat_template": path})
    assert "2024" in str(find_backbone(settings).tokenizer.chat_template)


def test_a_template_file_that_is_no_text_is_refused(tmp_path: Path, tiny_settings: BackboneSettings) -> None:
    path = tmp_path / "bytes.jinja"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"backbone\.chat_template: .* cannot be read .* in UTF-8"):
        find_backbone(tiny_settings.model_copy(update={"chat_template": path}))
