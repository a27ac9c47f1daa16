"""Every engine gives the features of one sequence at a time, whatever shares a pack."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

from cache import UserError
from extract.backbone import Backbone, find_backbone
from extract.engines import ENGINES
from extract.engines.choice import choose_engine
from extract.engines.engine import Engine
from extract.engines.packed import PackedEngine
from extract.engines.sequential import SequentialEngine
from extract.packing import PackLayout, Request
from extract.settings import BackboneSettings, EngineName, ExtractSettings

CPU = torch.device("cpu")
EXTRACT = ExtractSettings()


def features_by_key(engine: Engine, request: Request, pack_tokens: int) -> dict[bytes, np.ndarray]:
    layouts = [request.layout(pack) for pack in request.plan({key.tobytes() for key in request.keys()}, pack_tokens)]
    return by_key(engine, layouts)


def by_key(engine: Engine, layouts: list[PackLayout]) -> dict[bytes, np.ndarray]:
    features = {}
    for layout, states in zip(layouts, engine.features(layouts), strict=True):
        features |= {key.tobytes(): row for key, row in zip(layout.keys, states, strict=True)}
    return features


def relative_difference(a: dict[bytes, np.ndarray], b: dict[bytes, np.ndarray]) -> float:
    assert a.keys() == b.keys()
    assert a
    return max(float(np.linalg.norm(a[key] - b[key]) / np.linalg.norm(b[key])) for key in b)


@pytest.fixture(scope="module")
def settings(tiny_settings: BackboneSettings) -> BackboneSettings:
    return tiny_settings.model_copy(update={"layers": (-1, -4, 0, 3)})


@pytest.mark.parametrize("pack_tokens", [256, 1000, 4096])
@pytest.mark.parametrize("engine", ["packed", "padded"])
def test_features_equal_one_at_a_time_in_float32(
    tiny: Backbone,
    settings: BackboneSettings,
    make_request: Callable[..., Request],
    pack_tokens: int,
    engine: EngineName,
) -> None:
    request = make_request(seed=1, prompts=25)
    extract = ExtractSettings(pack_tokens=pack_tokens)
    many = features_by_key(ENGINES[engine](tiny, settings, extract, CPU), request, pack_tokens)
    alone = features_by_key(SequentialEngine(tiny, settings, extract, CPU), request, pack_tokens)
    assert relative_difference(many, alone) < 1e-5


@pytest.mark.parametrize("name", ["packed", "padded"])
def test_random_packs_give_the_same_features(
    tiny: Backbone, settings: BackboneSettings, make_request: Callable[..., Request], name: EngineName
) -> None:
    engine = ENGINES[name](tiny, settings, EXTRACT, CPU)
    request = make_request(seed=2, prompts=12)
    first = features_by_key(engine, request, 2048)
    rng = np.random.default_rng(0)
    items = [item for pack in request.plan({key.tobytes() for key in request.keys()}, 2048) for item in pack]
    for _ in range(3):
        order = rng.permutation(len(items))
        cuts = np.sort(rng.choice(np.arange(1, len(items)), 4, replace=False))
        packs = [request.layout(tuple(items[number] for number in part)) for part in np.split(order, cuts)]
        again = by_key(engine, packs)
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
    (got,) = PackedEngine(tiny, settings, EXTRACT, CPU).features([layout])
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
    values = {key: value for key, value in (SMALL | more).items() if value is not None}
    config = AutoConfig.for_model(family, **values)
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
        ("gemma2", {"attn_logit_softcapping": 5.0, "sliding_window": 24}),
    ],
)
def test_other_families_pack_too(
    tmp_path: Path, tiny: Backbone, make_request: Callable[..., Request], family: str, more: dict[str, object]
) -> None:
    backbone = small_backbone(tmp_path, tiny, family, **more)
    settings = BackboneSettings(model=str(tmp_path), dtype="float32", max_tokens=512)
    request = make_request(seed=4, prompts=6, longest=60)
    packed = features_by_key(PackedEngine(backbone, settings, EXTRACT, CPU), request, 512)
    alone = features_by_key(SequentialEngine(backbone, settings, EXTRACT, CPU), request, 512)
    assert relative_difference(packed, alone) < 1e-5


def test_a_family_whose_attention_cannot_be_exchanged_runs_in_padded_batches(
    tmp_path: Path, tiny: Backbone, make_request: Callable[..., Request], caplog: pytest.LogCaptureFixture
) -> None:
    backbone = small_backbone(tmp_path, tiny, "falcon", alibi=False, head_dim=None)
    engine = choose_engine("packed", backbone)
    assert engine == "padded"
    assert "falcon has an attention of its own" in caplog.text
    settings = BackboneSettings(model=str(tmp_path), dtype="float32", max_tokens=512)
    request = make_request(seed=4, prompts=6, longest=60)
    padded = features_by_key(ENGINES[engine](backbone, settings, EXTRACT, CPU), request, 512)
    alone = features_by_key(SequentialEngine(backbone, settings, EXTRACT, CPU), request, 512)
    assert relative_difference(padded, alone) < 1e-5


def test_an_attention_with_sinks_is_refused_before_any_row(tmp_path: Path, tiny: Backbone) -> None:
    backbone = small_backbone(
        tmp_path,
        tiny,
        "gpt_oss",
        num_local_experts=4,
        num_experts_per_tok=2,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4},
    )
    settings = BackboneSettings(model=str(tmp_path), dtype="float32", max_tokens=512)
    with pytest.raises(UserError, match=r"packing changes the features of gpt_oss.*'padded'"):
        PackedEngine(backbone, settings, EXTRACT, CPU)
