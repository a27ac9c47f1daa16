"""Before any row, a family is tried on a few tokens; one that packing would change is refused or runs otherwise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cache import UserError
from extract.backbone import Backbone, find_backbone
from extract.engines import ENGINES, packed_attention, packing_check
from extract.engines.choice import choose_engine, load_engine
from extract.engines.packed import PackedEngine
from extract.engines.packed_attention import NAME, CannotPackError, SegmentPlan
from extract.engines.padded import PaddedEngine
from extract.packing import Request, Segment
from extract.settings import BackboneSettings
from tests.extract.test_engines import (
    CPU,
    EXTRACT,
    SMALL,
    SequentialEngine,
    features_by_key,
    relative_difference,
    small_backbone,
)
from tests.extract.test_varlen_plan import documented_varlen_attn

MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


def settings_of(folder: Path, dtype: str = "float32", max_tokens: int = 512) -> BackboneSettings:
    return BackboneSettings.model_validate({"model": str(folder), "dtype": dtype, "max_tokens": max_tokens})


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("llama", {}),
        ("qwen2", {}),
        ("qwen3", {}),
        ("qwen3_moe", MOE),
        ("mistral", {"sliding_window": 24}),
        ("mixtral", {"num_local_experts": 4}),
        ("gemma2", {"attn_logit_softcapping": 5.0, "sliding_window": 24}),
        ("gemma3_text", {"sliding_window": 24, "layer_types": ["sliding_attention", "full_attention"] * 2}),
        ("phi3", {}),
        ("gpt_neox", {}),
    ],
)
def test_families_that_pack_pass_in_every_dtype(
    tmp_path: Path, tiny: Backbone, family: str, more: dict[str, object], dtype: str
) -> None:
    layers = {"num_hidden_layers": len(more["layer_types"])} if "layer_types" in more else {}  # type: ignore[arg-type]
    backbone = small_backbone(tmp_path, tiny, family, **more, **layers)
    assert choose_engine("packed", backbone) == "packed"
    PackedEngine(backbone, settings_of(tmp_path, dtype), EXTRACT, CPU)


def prefix_unseen(segment: Segment) -> Segment:
    return Segment(segment.start, segment.stop, segment.start, segment.start)


def all_before_seen(segment: Segment) -> Segment:
    return Segment(segment.start, segment.stop, 0, segment.start)


@pytest.mark.parametrize("wrong", [prefix_unseen, all_before_seen])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_an_attention_that_sees_the_wrong_tokens_is_refused(
    tiny: Backbone, monkeypatch: pytest.MonkeyPatch, wrong: Callable[[Segment], Segment], dtype: str
) -> None:
    def plan(segments: tuple[Segment, ...], masks: Any, last_layer: int) -> SegmentPlan:
        return SegmentPlan(tuple(map(wrong, segments)), masks, last_layer)

    monkeypatch.setattr(packing_check, "SegmentPlan", plan)
    with pytest.raises(UserError, match=r"packing changes the features of llama.*set extract\.engine to 'padded'"):
        PackedEngine(tiny, settings_of(tiny.folder, dtype), EXTRACT, CPU)


def test_an_attention_that_ignores_the_window_is_refused(
    tmp_path: Path, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = small_backbone(tmp_path, tiny, "mistral", sliding_window=24)

    def without_window(*arguments: Any, sliding_window: int | None = None, **more: Any) -> Any:
        assert sliding_window == 24
        return packed_attention.packed_attention(*arguments, **more)

    monkeypatch.setitem(packed_attention.AttentionInterface._global_mapping, NAME, without_window)
    with pytest.raises(UserError, match="packing changes the features of mistral"):
        PackedEngine(backbone, settings_of(tmp_path), EXTRACT, CPU)


def test_a_capped_attention_is_not_given_to_the_kernel_that_knows_no_cap() -> None:
    states = torch.zeros(1, 2, 3, 4)
    starts = torch.tensor([0, 3], dtype=torch.int32)
    plan = packed_attention.VarlenPlan(torch.arange(3), starts, starts, 4, 4)
    with pytest.raises(UserError, match=r"Identity caps its scores"):
        packed_attention.packed_attention(torch.nn.Identity(), states, states, states, None, softcap=5.0, packing=plan)


@pytest.mark.parametrize(
    ("family", "kind", "more"),
    [
        ("lfm2", "conv", {"layer_types": ["conv", "full_attention", "conv"]}),
        (
            "llama4_text",
            "chunked_attention",
            {"attention_chunk_size": 100, "num_local_experts": 2, "intermediate_size_mlp": 96},
        ),
    ],
)
def test_layers_in_which_tokens_meet_otherwise_run_in_padded_batches(
    tmp_path: Path,
    tiny: Backbone,
    make_request: Callable[..., Request],
    caplog: pytest.LogCaptureFixture,
    family: str,
    kind: str,
    more: dict[str, object],
) -> None:
    """The few tokens that packing is tried on would not show it: chunks are longer, and a convolution is short."""
    backbone = small_backbone(tmp_path, tiny, family, **more)
    engine = choose_engine("packed", backbone)
    assert engine == "padded"
    assert f"{family} has layers of the kind {kind}" in caplog.text
    request = make_request(seed=4, prompts=6, longest=150)
    padded = features_by_key(ENGINES[engine](backbone, settings_of(tmp_path), EXTRACT, CPU), request, 512)
    alone = features_by_key(SequentialEngine(backbone, settings_of(tmp_path), EXTRACT, CPU), request, 512)
    assert relative_difference(padded, alone) < 1e-5


@pytest.mark.parametrize(
    ("family", "rope", "steady"),
    [
        ("llama", {"rope_type": "dynamic", "factor": 4.0}, 512),
        (
            "phi3",
            {
                "rope_type": "longrope",
                "short_factor": [1.0] * 8,
                "long_factor": [2.0] * 8,
                "original_max_position_embeddings": 128,
            },
            128,
        ),
    ],
)
def test_positions_that_depend_on_what_shares_a_pass_are_refused(
    tmp_path: Path,
    tiny: Backbone,
    make_request: Callable[..., Request],
    family: str,
    rope: dict[str, object],
    steady: int,
) -> None:
    more = {"rope_parameters": rope | {"rope_theta": 1e4}}
    more |= {key: value for key, value in rope.items() if key.startswith("original")}  # Phi 3 reads it there
    (tmp_path / "model").mkdir()
    with pytest.raises(UserError, match=rf"beyond {steady} tokens the positions of {family} are scaled.*to {steady}$"):
        small_backbone(tmp_path / "model", tiny, family, **more)  # with max_tokens as it comes: 4096
    settings = settings_of(tmp_path / "model", max_tokens=steady)
    backbone = find_backbone(settings)
    request = make_request(seed=4, prompts=20, longest=20)
    packed = features_by_key(PackedEngine(backbone, settings, EXTRACT, CPU), request, 1024)
    alone = features_by_key(SequentialEngine(backbone, settings, EXTRACT, CPU), request, 1024)
    assert relative_difference(packed, alone) < 1e-5


def with_embeddings(folder: Path, tiny: Backbone, change: Callable[[torch.Tensor], None]) -> Backbone:
    """A small Llama whose embeddings were changed by `change`."""
    from safetensors.torch import load_file, save_file

    small_backbone(folder, tiny, "llama")
    weights = load_file(folder / "model.safetensors")
    change(weights["embed_tokens.weight"])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return find_backbone(settings_of(folder))


def test_one_embedding_that_is_nan_does_not_stop_a_run(tmp_path: Path, tiny: Backbone) -> None:
    generator = torch.Generator().manual_seed(0)
    drawn_first = int(torch.randint(SMALL["vocab_size"], (79,), generator=generator)[0])  # type: ignore[call-overload]

    def spoil(embeddings: torch.Tensor) -> None:
        embeddings[drawn_first] = torch.nan

    spoilt = with_embeddings(tmp_path, tiny, spoil)
    assert isinstance(PackedEngine(spoilt, settings_of(tmp_path), EXTRACT, CPU), PackedEngine), "the check raised"


def test_states_that_are_never_finite_are_refused_with_the_dtype(tmp_path: Path, tiny: Backbone) -> None:
    def spoil(embeddings: torch.Tensor) -> None:
        embeddings *= 1e30

    backbone = with_embeddings(tmp_path, tiny, spoil)
    with pytest.raises(UserError, match=r"the states of llama are not finite in float16, whatever the tokens"):
        PackedEngine(backbone, settings_of(tmp_path, "float16"), EXTRACT, CPU)


@pytest.mark.parametrize("error", [RuntimeError("sizes differ\nin many lines"), KeyError("x"), ZeroDivisionError()])
def test_packing_that_fails_for_whatever_reason_gives_way_to_padded_batches(
    tiny: Backbone, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def failing(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setitem(packed_attention.AttentionInterface._global_mapping, NAME, failing)
    loaded = load_engine("packed", tiny, settings_of(tiny.folder), EXTRACT, CPU)
    assert loaded.name == "padded"
    assert isinstance(loaded.engine, PaddedEngine)
    (line,) = [record.message for record in caplog.records if "padded" in record.message]
    assert line.startswith(f"a pack cannot pass through llama ({type(error).__name__}")
    assert line.endswith("running padded batches instead")
    with pytest.raises(CannotPackError, match=r"set extract\.engine to 'padded'$"):
        PackedEngine(tiny, settings_of(tiny.folder), EXTRACT, CPU)


def test_an_engine_that_packs_is_the_one_that_was_asked_for(tiny: Backbone) -> None:
    loaded = load_engine("packed", tiny, settings_of(tiny.folder), EXTRACT, CPU)
    assert (loaded.name, type(loaded.engine)) == ("packed", PackedEngine)


def test_the_trial_computes_the_pack_as_later_ones_are(tiny: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU that is one call for all segments; a kernel that cannot run there is found out before any row."""
    monkeypatch.setattr(packing_check, "uses_varlen", lambda *_, **__: True)
    monkeypatch.setattr(packed_attention, "varlen_attn", documented_varlen_attn)
    PackedEngine(tiny, settings_of(tiny.folder), EXTRACT, CPU)

    def unfit(*_: Any, **__: Any) -> Any:
        raise RuntimeError("head size 512 is not supported")

    monkeypatch.setattr(packed_attention, "varlen_attn", unfit)
    with pytest.raises(CannotPackError, match="head size 512"):
        PackedEngine(tiny, settings_of(tiny.folder), EXTRACT, CPU)


@pytest.mark.parametrize("engine", [PaddedEngine, SequentialEngine])
def test_a_model_whose_tokens_see_later_ones_is_refused(tmp_path: Path, tiny: Backbone, engine: type[Any]) -> None:
    """EmbeddingGemma's kind: a decoder's class, made to look both ways."""
    small = small_backbone(tmp_path, tiny, "gemma3_text", use_bidirectional_attention=True)
    with pytest.raises(UserError, match=r"in gemma3_text the state of a prompt changes with the response after it"):
        engine(small, settings_of(tmp_path), EXTRACT, CPU)


def test_a_model_that_does_not_run_is_refused_by_one_sentence(tiny: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.models.llama.modeling_llama import LlamaMLP

    def failing(*_: Any) -> Any:
        raise NotImplementedError("a kernel that is not there\nsee below")

    monkeypatch.setattr(LlamaMLP, "forward", failing)
    with pytest.raises(UserError, match=r"llama fails on 40 tokens \(NotImplementedError: a kernel ") as refusal:
        load_engine("packed", tiny, settings_of(tiny.folder), EXTRACT, CPU)
    assert "\n" not in str(refusal.value)
