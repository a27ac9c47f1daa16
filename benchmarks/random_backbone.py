"""Backbones of known shapes with random weights, for measurements without a checkpoint."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, LlamaConfig

from extract.backbone import Backbone, find_backbone
from extract.settings import BackboneSettings

TINY = Path(__file__).parents[1] / "backbones" / "tiny"

LLAMA_3_8B = LlamaConfig(
    vocab_size=128_256,
    hidden_size=4096,
    intermediate_size=14_336,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
    max_position_embeddings=8192,
    rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
)

SMOLLM2_135M = LlamaConfig(
    vocab_size=49_152,
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    max_position_embeddings=8192,
    rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
)


class RandomBackbone(Backbone):
    """The bundled tokenizer with a decoder of a given shape and random weights, shared by all engines that load it."""

    def __init__(self, config: Any, dtype: str, seed: int = 0) -> None:
        about = find_backbone(BackboneSettings(model=str(TINY), max_tokens=2048))
        values = {name: getattr(about, name) for name in about.__slots__}
        facts = replace(about.facts, hidden_size=config.hidden_size, hidden_layers=config.num_hidden_layers)
        super().__init__(**values | {"facts": facts})
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(seed)
        with device:
            model = AutoModel.from_config(copy.deepcopy(config), dtype=getattr(torch, dtype))
        object.__setattr__(self, "model", model.eval().requires_grad_(False))

    def saved(self, folder: Path, settings: BackboneSettings) -> Backbone:
        """A copy on disk, for an engine that loads from a folder."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        return find_backbone(settings.model_copy(update={"model": str(folder)}))

    def load(self, settings: BackboneSettings, device: torch.device, attention: str | None) -> Any:
        """See `Backbone.load`. The weights are shared; in another dtype, or on another device, they are a copy."""
        dtype = getattr(torch, settings.dtype)
        weights = list(self.model.parameters())
        same = weights[0].dtype == dtype and weights[0].device.type == device.type
        model = copy.deepcopy(self.model, {id(each): each for each in weights} if same else {})
        if not same:
            model.to(device=device, dtype=dtype)
        model.set_attn_implementation(attention or "sdpa")
        return model
