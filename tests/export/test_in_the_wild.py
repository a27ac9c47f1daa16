"""The exported model as other programs hold it: its weights elsewhere, adapted, compiled, saved again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from export.reward_model import RewardModel
from tests.export.conftest import SEVERAL
from tests.export.family_models import Family
from tests.export.test_folder import loaded, templated

Folder = Callable[..., Path]


@pytest.fixture
def small_folder(random_folder: Folder, tmp_path: Path) -> Path:
    """An exported folder with a backbone of two layers, whose penalty is by length."""
    from tests.export.family_models import LLAMA_3

    backbone = Family("small", "llama", LLAMA_3).write(tmp_path / "backbone")
    return random_folder(model=backbone, verbosity="response_tokens")


def scores(model: Any, batch: Any) -> list[float]:
    with torch.inference_mode():
        result: list[float] = model(**batch).logits[:, 0].tolist()
    return result


@contextmanager
def weights_only_inside_forward(model: nn.Module) -> Iterator[None]:
    """Take every parameter away, save while the module that has it runs: offloading and ZeRO-3 do so."""
    handles = []
    for module in model.modules():
        own = dict(module.named_parameters(recurse=False))
        if not own:
            continue

        def gather(module: Any, _inputs: Any, own: dict[str, nn.Parameter] = own) -> None:
            for name, value in own.items():
                setattr(module, name, value)

        def release(module: Any, _inputs: Any, _output: Any, own: dict[str, nn.Parameter] = own) -> None:
            for name, value in own.items():
                setattr(module, name, nn.Parameter(value.to("meta"), requires_grad=False))

        release(module, None, None)
        handles += [module.register_forward_pre_hook(gather), module.register_forward_hook(release)]
    yield
    for handle in handles:
        handle.remove()


def test_weights_are_read_while_their_module_runs_and_never_else(small_folder: Path) -> None:
    model, tokenizer = loaded(small_folder)
    batch = templated(tokenizer, SEVERAL)
    expected = scores(model, batch)
    with weights_only_inside_forward(model):
        assert scores(model, batch) == expected


@pytest.mark.filterwarnings(
    "ignore:The following device_map keys do not match"
)  # buffers, which it demands all the same
@pytest.mark.parametrize("device_map", ["cpu", "auto", "disk", {"": "cpu"}])
def test_accelerate_puts_parts_elsewhere(small_folder: Path, tmp_path: Path, device_map: Any) -> None:
    pytest.importorskip("accelerate")
    model, tokenizer = loaded(small_folder)
    batch = templated(tokenizer, SEVERAL)
    more: dict[str, Any] = {}
    if device_map in ("auto", "disk"):
        more = {"offload_folder": tmp_path / "offload"}
    if device_map == "auto":
        more["max_memory"] = {"cpu": "700KB"}  # less than the embeddings need
    if device_map == "disk":
        device_map = dict.fromkeys(("model", "reward_transform_matrix", "length_penalty"), "cpu")
        device_map |= dict.fromkeys(("regression_layer", "gating"), "disk")
    placed, _ = loaded(small_folder, device_map=device_map, **more)
    assert ("disk" in getattr(placed, "hf_device_map", {}).values()) == bool(more)
    np.testing.assert_allclose(scores(placed, batch), scores(model, batch), rtol=1e-5)


def test_a_saved_copy_loads_again_with_transformers_and_with_us(small_folder: Path, tmp_path: Path) -> None:
    model, tokenizer = loaded(small_folder)
    batch = templated(tokenizer, SEVERAL)
    saved = tmp_path / "saved"
    model.save_pretrained(saved)
    tokenizer.save_pretrained(saved)
    again, _ = loaded(saved, local_files_only=True)
    assert scores(again, batch) == scores(model, batch)
    own = [one.score for one in RewardModel.load(saved).score(SEVERAL)]
    np.testing.assert_allclose(own, scores(model, batch), rtol=1e-4)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_lora_on_the_backbone_trains_merges_and_saves(small_folder: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    model, tokenizer = loaded(small_folder)
    batch = templated(tokenizer, SEVERAL)
    before = scores(model, batch)
    adapted = peft.get_peft_model(
        model, peft.LoraConfig(task_type="SEQ_CLS", target_modules=["q_proj", "v_proj"], r=2, init_lora_weights=True)
    )
    assert scores(adapted, batch) == before
    optimizer = torch.optim.SGD([each for each in adapted.parameters() if each.requires_grad], lr=0.1)
    for _ in range(2):  # the first step moves one of the two factors alone
        adapted(**batch).logits.sum().backward()
        optimizer.step()
    trained = scores(adapted.eval(), batch)
    assert trained != before
    adapted.save_pretrained(tmp_path / "adapter")
    reloaded = peft.PeftModel.from_pretrained(loaded(small_folder)[0], tmp_path / "adapter")
    np.testing.assert_allclose(scores(reloaded, batch), trained, rtol=1e-6)
    merged = adapted.merge_and_unload()
    np.testing.assert_allclose(scores(merged, batch), trained, rtol=1e-4)


@pytest.mark.slow
def test_a_compiled_model_scores_the_same(small_folder: Path) -> None:
    model, tokenizer = loaded(small_folder)
    batch = templated(tokenizer, SEVERAL)
    compiled = torch.compile(model, backend="aot_eager")
    np.testing.assert_allclose(scores(compiled, batch), scores(model, batch), rtol=1e-5)


def test_heads_are_no_target_of_quantisation(small_folder: Path) -> None:
    """Quantisers leave the modules that `_keep_in_fp32_modules` names as they are."""
    from transformers.quantizers.base import get_keys_to_not_convert

    model, _ = loaded(small_folder)
    assert {"regression_layer", "gating"} <= {*model._keep_in_fp32_modules, *get_keys_to_not_convert(model)}
