"""Products computed together are those computed one by one, in every family, and leave one copy of the weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from extract.backbone import Backbone
from extract.engines import packed
from extract.engines.joined_products import join_products
from extract.engines.packed import PackedEngine
from extract.packing import Request
from extract.settings import BackboneSettings
from tests.extract.test_engines import CPU, EXTRACT, features_by_key, relative_difference, small_backbone


class JoinedEngine(PackedEngine):
    """As on a GPU."""

    def __init__(self, backbone: Backbone, settings: BackboneSettings) -> None:
        super().__init__(backbone, settings, EXTRACT, CPU)
        for layer in self._reader.layers[:-1]:
            join_products(layer)


@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("llama", {}),
        ("llama", {"attention_bias": True, "mlp_bias": True}),
        ("qwen2", {}),
        ("qwen3", {}),
        ("mistral", {"sliding_window": 24}),
        ("gemma2", {"attn_logit_softcapping": 5.0, "sliding_window": 24}),
        ("gemma3_text", {"sliding_window": 24, "layer_types": ["sliding_attention", "full_attention"] * 2}),
        ("phi3", {}),
    ],
)
def test_features_are_those_of_single_products(
    tmp_path: Path, tiny: Backbone, make_request: Callable[..., Request], family: str, more: dict[str, object]
) -> None:
    layers = {"num_hidden_layers": 4}
    backbone = small_backbone(tmp_path, tiny, family, **layers, **more)
    settings = BackboneSettings(model=str(tmp_path), dtype="float32", max_tokens=512)
    request = make_request(seed=4, prompts=6, longest=60)
    single = features_by_key(PackedEngine(backbone, settings, EXTRACT, CPU), request, 512)
    joined = features_by_key(JoinedEngine(backbone, settings), request, 512)
    assert relative_difference(joined, single) < 1e-5


def products(dimension: int, *names: str) -> nn.Module:
    module = nn.Module()
    for number, name in enumerate(names, start=1):
        setattr(module, name, nn.Linear(dimension, 4 * number, bias=False))
    return module


def layer_of(attention: nn.Module) -> nn.Module:
    layer = nn.Module()
    layer.self_attn = attention
    return layer


def test_weights_are_moved_and_not_doubled_whoever_joins_them() -> None:
    attention = products(8, "q_proj", "k_proj", "v_proj")
    again = nn.Module()
    for name, linear in attention.named_children():
        other = nn.Linear(8, linear.out_features, bias=False)
        other.weight = linear.weight
        setattr(again, name, other)
    weights = {name: linear.weight for name, linear in attention.named_children()}
    before = {name: weight.clone() for name, weight in weights.items()}
    join_products(layer_of(attention))
    joined = attention.q_proj.joined.weight
    assert torch.equal(joined, torch.cat(list(before.values())))
    assert {weight.untyped_storage().data_ptr() for weight in weights.values()} == {joined.untyped_storage().data_ptr()}
    assert all(torch.equal(weights[name], before[name]) for name in before)
    join_products(layer_of(again))
    assert again.q_proj.joined.weight.data_ptr() == joined.data_ptr()


def test_parts_may_be_taken_in_any_order_and_nothing_is_kept() -> None:
    attention = products(8, "q_proj", "k_proj", "v_proj")
    linears = dict(attention.named_children())
    one, other = torch.randn(1, 5, 8), torch.randn(1, 5, 8)
    expected = {name: (linear(one), linear(other)) for name, linear in linears.items()}
    join_products(layer_of(attention))
    for name in ("v_proj", "q_proj", "k_proj"):
        assert torch.allclose(getattr(attention, name)(one), expected[name][0], atol=1e-6)
    assert attention.q_proj.joined._inputs is None
    assert torch.allclose(attention.q_proj(one), expected["q_proj"][0], atol=1e-6)
    assert torch.allclose(attention.k_proj(other), expected["k_proj"][1], atol=1e-6), "states of another call"


def test_what_is_built_otherwise_stays() -> None:
    class Quantised(nn.Linear):
        pass

    attention = products(8, "q_proj", "k_proj", "v_proj")
    attention.v_proj = Quantised(8, 4)
    own = dict(attention.named_children())
    join_products(layer_of(attention))
    assert dict(attention.named_children()) == own
    join_products(nn.Module())


def test_all_layers_but_the_last_are_joined(tiny: Backbone, tiny_settings: BackboneSettings) -> None:
    layers = packed.PackedEngine(tiny, tiny_settings, EXTRACT, CPU)._reader.layers
    joined = [type(layer.self_attn.q_proj) is not nn.Linear for layer in layers]
    assert joined == [True] * (len(layers) - 1) + [False]
