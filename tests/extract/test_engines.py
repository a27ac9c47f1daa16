"""Every engine gives the features of one sequence at a time, whatever shares a pack."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

from cache import UserError
from extract.backbone import Backbone, find_backbone
from extract.engines.packed import PackedEngine
from extract.engines.sequential import SequentialEngine
from extract.packing import Request
from extract.settings import BackboneSettings

CPU = torch.device("cpu")


def features_by_key(
    engine: PackedEngine | SequentialEngine, request: Request, pack_tokens: int
) -> dict[bytes, np.ndarray]:
    features = {}
    for pack in request.plan({key.tobytes() for key in request.keys()}, pack_tokens):
        layout = request.layout(pack)
        for key, feature in zip(layout.keys, engine.features(layout), strict=True):
            features[key.tobytes()] = feature
    return features


def relative_difference(a: dict[bytes, np.ndarray], b: dict[bytes, np.ndarray]) -> float:
    assert a.keys() == b.keys()
    assert a
    return max(float(np.linalg.norm(a[key] - b[key]) / np.linalg.norm(b[key])) for key in b)


@pytest.fixture(scope="module")
def settings(tiny_settings: BackboneSettings) -> BackboneSettings:
    return tiny_settings.model_copy(update={"layers": (-1, -4, 0, 3)})


@pytest.mark.parametrize("pack_tokens", [256, 1000, 4096])
def test_packed_features_equal_one_at_a_time_in_float32(
    tiny: Backbone, settings: BackboneSettings, make_request: Callable[..., Request], pack_tokens: int
) -> None:
    request = make_request(seed=1, prompts=25)
    packed = features_by_key(PackedEngine(tiny, settings, CPU), request, pack_tokens)
    alone = features_by_key(SequentialEngine(tiny, settings, CPU), request, pack_tokens)
    assert relative_difference(packed, alone) < 1e-5


def test_random_packs_give_the_same_features(
    tiny: Backbone, settings: BackboneSettings, make_request: Callable[..., Request]
) -> None:
    engine = PackedEngine(tiny, settings, CPU)
    request = make_request(seed=2, prompts=12)
    first = features_by_key(engine, request, 2048)
    rng = np.random.default_rng(0)
    items = [item for pack in request.plan({key.tobytes() for key in request.keys()}, 2048) for item in pack]
    for _ in range(3):
        order = rng.permutation(len(items))
        cuts = np.sort(rng.choice(np.arange(1, len(items)), 4, replace=False))
        again = {}
        for part in np.split(order, cuts):
            layout = request.layout(tuple(items[number] for number in part))
            again |= {key.tobytes(): row for key, row in zip(layout.keys, engine.features(layout), strict=True)}
        assert relative_difference(again, first) < 1e-5


def test_layers_are_those_transformers_numbers(
    tiny: Backbone, settings: BackboneSettings, make_request: Callable[..., Request]
) -> None:
    request = make_request(seed=3, prompts=1, most_responses=1)
    layout = request.layout(request.plan({key.tobytes() for key in request.keys()}, 2048)[0])
    model = AutoModel.from_pretrained(tiny.folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        states = model(input_ids=torch.from_numpy(layout.token_ids)[None], output_hidden_states=True).hidden_states
    expected = np.stack([states[layer][0, layout.rows].numpy() for layer in settings.layers], axis=1)
    got = PackedEngine(tiny, settings, CPU).features(layout)
    assert np.linalg.norm(got - expected) / np.linalg.norm(expected) < 1e-5


SMALL = {
    "vocab_size": 8192,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "pad_token_id": 5,
    "bos_token_id": 0,
    "eos_token_id": 4,
}


def small_backbone(folder: Path, tiny: Backbone, family: str, **more: object) -> Backbone:
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **(SMALL | more))
    AutoModel.from_config(config).save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    return find_backbone(BackboneSettings(model=str(folder)))


@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("llama", {}),
        ("qwen2", {}),
        ("qwen3", {}),
        ("mistral", {"sliding_window": 24}),
        (
            "gemma3_text",
            {"sliding_window": 24, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
        ),
    ],
)
def test_other_families_pack_too(
    tmp_path: Path, tiny: Backbone, make_request: Callable[..., Request], family: str, more: dict[str, object]
) -> None:
    backbone = small_backbone(tmp_path, tiny, family, **more)
    settings = BackboneSettings(model=str(tmp_path), dtype="float32", max_tokens=512)
    request = make_request(seed=4, prompts=6, longest=60)
    packed = features_by_key(PackedEngine(backbone, settings, CPU), request, 512)
    alone = features_by_key(SequentialEngine(backbone, settings, CPU), request, 512)
    assert relative_difference(packed, alone) < 1e-5


def test_capped_attention_is_refused_by_name_and_runs_sequentially(
    tmp_path: Path, tiny: Backbone, make_request: Callable[..., Request]
) -> None:
    backbone = small_backbone(tmp_path, tiny, "gemma2", attn_logit_softcapping=50.0)
    settings = BackboneSettings(model=str(tmp_path), dtype="float32", max_tokens=512)
    request = make_request(seed=5, prompts=2)
    with pytest.raises(UserError, match=r"Gemma2Attention caps attention scores.*'sequential'"):
        features_by_key(PackedEngine(backbone, settings, CPU), request, 512)
    alone = features_by_key(SequentialEngine(backbone, settings, CPU), request, 512)
    assert len(alone) == len(request.keys())
