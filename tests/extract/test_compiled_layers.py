"""Compiled layers give the features of uncompiled ones, once for all packs, in runs that are long enough."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch._inductor.config
from torch._dynamo.utils import counters

from cache import UserError
from extract.backbone import Backbone
from extract.engines import compiled_layers, packed, packed_attention
from extract.engines.compiled_layers import CompiledLayers
from extract.engines.packed import PackedEngine
from extract.engines.sequential import SequentialEngine
from extract.packing import PackLayout, Request
from extract.settings import BackboneSettings, ExtractSettings
from tests.extract.test_engines import CPU, EXTRACT, by_key, features_by_key, relative_difference, small_backbone
from tests.extract.test_varlen_plan import documented_varlen_attn

PACK_TOKENS = 512
COMPILED = ExtractSettings(pack_tokens=PACK_TOKENS, compile="always")
AUTO = ExtractSettings(pack_tokens=PACK_TOKENS)

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


def assert_compiled_once(backbone: Backbone, settings: BackboneSettings, request: Request) -> None:
    """The features are those of one at a time, and no pack after the first full one compiles anything."""
    engine = PackedEngine(backbone, settings, COMPILED, CPU)
    packs = layouts(request)
    full = [layout for layout in packs if len(layout.token_ids) >= packed.WORTH_FILLING * PACK_TOKENS]
    assert len(full) > 5
    assert len(full) < len(packs), "one pack is to be short"
    assert len({len(layout.token_ids) for layout in full}) > 3, "packs of the same length show nothing"
    by_key(engine, full[:1])
    first = compilations()
    assert first > 0, "nothing was compiled"
    got = by_key(engine, packs)
    assert compilations() == first, "a pack was compiled anew"
    assert relative_difference(got, one_at_a_time(backbone, settings, request)) < 1e-5


def one_at_a_time(backbone: Backbone, settings: BackboneSettings, request: Request) -> dict[bytes, np.ndarray]:
    return features_by_key(SequentialEngine(backbone, settings, EXTRACT, CPU), request, PACK_TOKENS)


@pytest.fixture
def no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose C++ compiler is missing, and that has compiled nothing before."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    with torch._inductor.config.patch({"cpp.cxx": (str(tmp_path / "g++"),)}):
        yield


@pytest.mark.slow
def test_a_long_run_is_compiled_on_its_way(
    tiny: Backbone,
    tiny_settings: BackboneSettings,
    make_request: Callable[..., Request],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compiled_layers, "WORTH_COMPILING", 1e10)
    request = make_request(seed=1, prompts=25)
    engine = PackedEngine(tiny, tiny_settings, AUTO, CPU)
    packs = layouts(request)
    by_key(engine, packs[:1])
    assert compilations() == 0, "a short run was compiled"
    got = by_key(engine, packs)
    assert compilations() > 0
    assert relative_difference(got, one_at_a_time(tiny, tiny_settings, request)) < 1e-5


@pytest.mark.usefixtures("no_compiler")
def test_a_run_without_a_compiler_goes_on_uncompiled(
    tiny: Backbone,
    tiny_settings: BackboneSettings,
    make_request: Callable[..., Request],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(compiled_layers, "WORTH_COMPILING", 1.0)
    request = make_request(seed=1, prompts=5)
    got = features_by_key(PackedEngine(tiny, tiny_settings, AUTO, CPU), request, PACK_TOKENS)
    assert "cannot be compiled" in caplog.text
    assert relative_difference(got, one_at_a_time(tiny, tiny_settings, request)) < 1e-5


@pytest.mark.usefixtures("no_compiler")
def test_a_compilation_that_is_required_and_fails_names_the_setting(
    tiny: Backbone, tiny_settings: BackboneSettings
) -> None:
    with pytest.raises(UserError, match=r"cannot be compiled .*: set extract\.compile to 'auto'"):
        PackedEngine(tiny, tiny_settings, COMPILED, CPU)


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
    monkeypatch.setattr(packed, "CompiledLayers", lambda *given, **_: CompiledLayers(*given, cuda=True))
    monkeypatch.setattr(packed, "plan_attention", lambda segments, *_, **__: packed_attention.varlen_plan(segments))
    backbone = small_backbone(tmp_path, tiny, "llama", num_hidden_layers=10)
    settings = BackboneSettings(model=str(tmp_path), dtype="float32", max_tokens=512)
    assert_compiled_once(backbone, settings, make_request(seed=1, prompts=25))


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
