"""The ways to run the backbone. To add one: a module with a class as `engine.Engine`, and its line here."""

from collections.abc import Callable

import torch

from cache import UserError
from extract.backbone import Backbone
from extract.engines.engine import Engine
from extract.engines.packed import PackedEngine
from extract.engines.sequential import SequentialEngine
from extract.engines.vllm_engine import VllmEngine
from extract.settings import BackboneSettings, ExtractSettings

ENGINES: dict[str, Callable[[Backbone, BackboneSettings, ExtractSettings, torch.device], Engine]] = {
    "packed": lambda backbone, settings, _, device: PackedEngine(backbone, settings, device),
    "sequential": lambda backbone, settings, _, device: SequentialEngine(backbone, settings, device),
    "vllm": VllmEngine,
}


def choose_device(device: str) -> torch.device:
    """The torch device that `extract.device` means.

    Raises:
        UserError: it is no device, or not on this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n", maxsplit=1)[0][:120]
        raise UserError(f"extract.device: {device} cannot be used here ({reason}): use 'auto' or 'cpu'") from None
    return chosen
