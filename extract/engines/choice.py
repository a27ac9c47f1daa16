"""Which engine and which device a run uses, given the wishes of the recipe."""

import logging
import os
from dataclasses import dataclass

import torch

from cache import UserError
from cache.errors import first_line
from extract.backbone import Backbone
from extract.engines import ENGINES
from extract.engines.engine import Engine
from extract.settings import BackboneSettings, EngineName, ExtractSettings

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
        return in_place_of_packed(f"{backbone.family} has {what}, which cannot be packed")
    return wanted


@dataclass(frozen=True, slots=True)
class LoadedEngine:
    """An engine that has passed its trial, and its name."""

    name: EngineName
    engine: Engine


def load_engine(
    wanted: EngineName,
    backbone: Backbone,
    settings: BackboneSettings,
    extract: ExtractSettings,
    device: torch.device,
) -> LoadedEngine:
    """Load the wanted engine, or 'padded' in place of 'packed' if the backbone cannot be packed.

    Args:
        wanted: name of the engine.
        backbone: the decoder and its tokenizer.
        settings: how features are read.
        extract: pack size and compilation.
        device: device to run on.

    Raises:
        UserError: the backbone cannot be loaded, or runs with neither engine.
    """
    name = choose_engine(wanted, backbone)
    if name == "packed":
        from extract.engines.packed_attention import CannotPackError  # registers an attention, which takes a second

        try:
            return LoadedEngine(name, ENGINES[name](backbone, settings, extract, device))
        except CannotPackError as error:
            name = in_place_of_packed(error.reason)
        # Outside of the handler, whose exception still holds the weights.
    return LoadedEngine(name, ENGINES[name](backbone, settings, extract, device))


def in_place_of_packed(reason: str) -> EngineName:
    """The engine for a backbone that cannot be packed, with a line that says why."""
    log.warning("%s: running padded batches instead", reason)
    return "padded"


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
