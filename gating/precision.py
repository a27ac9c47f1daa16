"""In which dtype the gate's hidden layers are multiplied while it trains."""

import torch

from gating.settings import GateSettings

ENOUGH_WEIGHTS = 1 << 18
"""Weights of the first layer from which bfloat16 gains: below that, a step is calls and not arithmetic."""


def training_dtype(settings: GateSettings, features: int) -> torch.dtype:
    """The dtype that `gate.precision` means on this machine.

    Decided by what the processor can do and not by a timing, which on a busy machine would now choose one and
    now the other, and give another gate from the same seed.
    """
    if settings.precision != "auto":
        return torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
    large = settings.hidden_layers > 0 and features * settings.hidden_size >= ENOUGH_WEIGHTS
    return torch.bfloat16 if large and multiplies_bfloat16() else torch.float32


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for products of bfloat16 (AVX512-BF16 or AMX)."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
