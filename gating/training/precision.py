"""The dtype of the hidden layers' products while the gate trains."""

import torch

from gating.settings import GateSettings

LARGE = 1 << 18
"""Number of weights in the first layer from which arithmetic dominates a step. Below that calls do: bfloat16 gains
nothing, and several threads wait for one another."""


def is_large(settings: GateSettings, features: int) -> bool:
    """Whether a gate over so many features is worth several threads and bfloat16."""
    return settings.hidden_layers > 0 and features * settings.hidden_size >= LARGE


def training_dtype(settings: GateSettings, features: int) -> torch.dtype:
    """The dtype that `gate.precision` means on this machine.

    The processor's instructions decide, not a timing: on a busy machine a timing would choose now one and now the
    other, and the same seed would give different gates.
    """
    if settings.precision != "auto":
        return torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
    return torch.bfloat16 if is_large(settings, features) and multiplies_bfloat16() else torch.float32


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for products of bfloat16 (AVX512-BF16 or AMX)."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
