"""Which engine and which device a run uses, given the wishes of the recipe."""

import logging
import os

import torch

from cache import UserError
from cache.errors import first_line
from extract.backbone import Backbone
from extract.settings import EngineName

log = logging.getLogger(__name__)

ATTENTION_ALONE = {"full_attention", "sliding_attention"}
"""Kinds of layers, as transformers' `layer_types` names them, in which tokens meet only through attention as packing
computes it. A convolution or a recurrence would run from one conversation of a pack into the next, and chunked
attention counts from the start of the row; the few tokens that packing is tried on need not show either."""


def choose_engine(wanted: EngineName, backbone: Backbone) -> EngineName:
    """The wanted engine, or 'padded' in place of 'packed' if the backbone cannot be packed."""
    if wanted != "packed":
        return wanted
    others = sorted(backbone.layer_kinds - ATTENTION_ALONE)
    if others or not backbone.attention_exchangeable:
        what = f"layers of the kind {', '.join(others)}" if others else "an attention of its own"
        log.warning("%s has %s, which cannot be packed: running padded batches instead", backbone.family, what)
        return "padded"
    return wanted


def choose_device(device: str) -> torch.device:
    """The torch device for the value of `extract.device`; under torchrun 'auto' is the GPU of the local rank.

    Raises:
        UserError: the value is no device, or this machine does not have it.
    """
    if device == "auto":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = first_line(error)[:120]
        raise UserError(f"extract.device: {device} cannot be used here ({reason}): use 'auto' or 'cpu'") from None
    return chosen
