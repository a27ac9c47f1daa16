"""In which dtype the gate's hidden layers are multiplied while it trains."""

import torch

from gating.settings import GateSettings

LARGE = 1 << 18
"""Weights of the first layer from which a step costs arithmetic. Below that it costs calls: bfloat16 gains nothing,
and several threads wait for one another."""


def is_large(settings: GateSettings, features: int) -> bool:
    """Whether a gate over so many features is worth several threads and bfloat16."""
    return settings.hidden_layers > 0 and features * settings.hidden_size >= LARGE


def training_dtype(settings: GateSettings, features: int) -> torch.dtype:
    """The dtype that `gate.precision` means on this machine.

    Decided by what the processor can do and not by a timing, which on a busy machine would now choose one and
    now the other, and give another gate from the same seed.
    """
    if settings.precision != "auto":
        return torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
    return torch.bfloat16 if is_large(settings, features) and multiplies_bfloat16() else torch.float32


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for products of bfloat16 (AVX512-BF16 or AMX)."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
