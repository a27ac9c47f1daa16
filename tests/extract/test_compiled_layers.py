"""Compiled layers give the features of uncompiled ones, and are compiled once, not once a pack."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from extract.backbone import Backbone
from extract.engines import packed, packed_attention
from extract.engines.joined_products import join_products
from extract.engines.packed import PackedEngine
from extract.engines.sequential import SequentialEngine
from extract.packing import PackLayout, Request
from extract.settings import BackboneSettings, ExtractSettings
from tests.extract.test_engines import CPU, EXTRACT, by_key, features_by_key, relative_difference, small_backbone
from tests.extract.test_varlen_plan import documented_varlen_attn

PACK_TOKENS = 512
COMPILED = ExtractSettings(pack_tokens=PACK_TOKENS, compile="always")

# torch's own: its compiler imports modules and calls functions that it has since deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(autouse=True)
def fresh_compiler() -> None:
    """Compilations of other tests are neither counted nor used."""
    torch._dynamo.reset()
    counters.clear()


def layouts(request: Request) -> list[PackLayout]:
    packs = request.plan({key.tobytes() for key in request.keys()}, PACK_TOKENS)
    return [request.layout(pack) for pack in packs]


def compilations() -> int:
    return int(counters["stats"]["unique_graphs"])


def assert_compiled_once(
    backbone: Backbone, settings: BackboneSettings, request: Request, *, joined: bool = False
) -> None:
    """The features are those of one at a time, and no pack after the first full one compiles anything."""
    engine = PackedEngine(backbone, settings, COMPILED, CPU)
    if joined:
        for layer in engine._reader.layers[:-1]:
            join_products(layer)
    packs = layouts(request)
    full = [layout for layout in packs if len(layout.token_ids) >= packed.WORTH_FILLING * PACK_TOKENS]
    assert len(full) > 5
    assert len(full) < len(packs), "one pack is to run uncompiled"
    assert len({len(layout.token_ids) for layout in full}) > 3, "packs of the same length show nothing"
    by_key(engine, full[:1])
    first = compilations()
    assert first > 0, "nothing was compiled"
    got = by_key(engine, packs)
    assert compilations() == first, "a pack was compiled anew"
    expected = features_by_key(SequentialEngine(backbone, settings, EXTRACT, CPU), request, PACK_TOKENS)
    assert relative_difference(got, expected) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("layers", [(-1,), (-1, -4, 0, 3)])
def test_layers_are_compiled_once_whatever_the_packs_hold_and_the_layers_read(
    tiny: Backbone, tiny_settings: BackboneSettings, make_request: Callable[..., Request], layers: tuple[int, ...]
) -> None:
    settings = tiny_settings.model_copy(update={"layers": layers})
    assert_compiled_once(tiny, settings, make_request(seed=1, prompts=25))


@pytest.mark.slow
def test_layers_are_compiled_once_as_on_a_gpu_too(
    tmp_path: Path, tiny: Backbone, make_request: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_attention, "varlen_attn", documented_varlen_attn)

    monkeypatch.setattr(packed, "plan_attention", lambda segments, *_, **__: packed_attention.varlen_plan(segments))
    backbone = small_backbone(tmp_path, tiny, "llama", num_hidden_layers=10)
    settings = BackboneSettings(model=str(tmp_path), dtype="float32", max_tokens=512)
    assert_compiled_once(backbone, settings, make_request(seed=1, prompts=25), joined=True)


@pytest.mark.slow
def test_a_family_with_two_kinds_of_layers_is_compiled_once_a_kind(
    tmp_path: Path, tiny: Backbone, make_request: Callable[..., Request]
) -> None:
    def compiled(pairs: int) -> int:
        torch._dynamo.reset()
        counters.clear()
        folder = tmp_path / str(pairs)
        kinds = {"layer_types": ["sliding_attention", "full_attention"] * pairs, "sliding_window": 24}
        backbone = small_backbone(folder, tiny, "gemma3_text", num_hidden_layers=2 * pairs, **kinds)
        settings = BackboneSettings(model=str(folder), dtype="float32", max_tokens=512)
        assert_compiled_once(backbone, settings, make_request(seed=1, prompts=25))
        return compilations()

    # More layers than torch's limit of compilations: were each compiled, the rest would silently not be.
    assert compiled(2) == compiled(6)
