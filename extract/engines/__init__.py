"""The ways to run the backbone. To add one: a module with a class as `engine.Engine`, and its line here."""

import logging
import os
from collections.abc import Callable

import torch

from cache import UserError
from extract.backbone import Backbone
from extract.engines.engine import Engine
from extract.engines.packed import PackedEngine
from extract.engines.padded import PaddedEngine
from extract.engines.sequential import SequentialEngine
from extract.engines.vllm_engine import VllmEngine
from extract.settings import BackboneSettings, EngineName, ExtractSettings

log = logging.getLogger(__name__)

ATTENTION_ALONE = {"full_attention", "sliding_attention"}
"""Kinds of layers, as transformers' `layer_types` names them, whose tokens meet in nothing but attention as packing
does it. A convolution or a recurrence would run from one conversation of a pack into the next, and chunks are counted
from the start of the row; on the few tokens that packing is tried on, neither need show."""

ENGINES: dict[EngineName, Callable[[Backbone, BackboneSettings, ExtractSettings, torch.device], Engine]] = {
    "packed": PackedEngine,
    "padded": PaddedEngine,
    "sequential": SequentialEngine,
    "vllm": VllmEngine,
}


def choose_engine(wanted: EngineName, backbone: Backbone) -> EngineName:
    """The engine to use: the one wanted, or padded batches where the backbone cannot be packed."""
    if wanted != "packed":
        return wanted
    others = sorted(backbone.layer_kinds - ATTENTION_ALONE)
    if others or not backbone.attention_exchangeable:
        what = f"layers of the kind {', '.join(others)}" if others else "an attention of its own"
        log.warning("%s has %s, which cannot be packed: running padded batches instead", backbone.family, what)
        return "padded"
    return wanted


def choose_device(device: str) -> torch.device:
    """The torch device that `extract.device` means; under torchrun each process takes the one of its number.

    Raises:
        UserError: it is no device, or not on this machine.
    """
    if device == "auto":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n", maxsplit=1)[0][:120]
        raise UserError(f"extract.device: {device} cannot be used here ({reason}): use 'auto' or 'cpu'") from None
    return chosen
