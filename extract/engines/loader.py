"""Loading of an engine in another process, perhaps on another machine, from settings alone."""

import socket
from dataclasses import dataclass
from pathlib import Path

from cache import UserError
from extract.backbone import Backbone, find_backbone
from extract.engines import ENGINES
from extract.engines.choice import choose_device
from extract.engines.engine import Engine
from extract.settings import BackboneSettings, EngineName, ExtractSettings


@dataclass(frozen=True, slots=True)
class EngineLoader:
    """Finds the backbone and loads the engine in the process that calls it; can be pickled."""

    engine: EngineName
    backbone: BackboneSettings
    extract: ExtractSettings
    identity: str
    """`Backbone.identity` that the backbone must have there."""

    @classmethod
    def of(
        cls, engine: EngineName, backbone: Backbone, settings: BackboneSettings, extract: ExtractSettings
    ) -> "EngineLoader":
        """A loader for a backbone that was found here, with its commit fixed and its paths absolute."""
        model, _, commit = backbone.identity.removesuffix(f"/{backbone.gguf_file}").partition("@")
        if backbone.folder.resolve() == Path(settings.model).resolve():
            fixed: dict[str, object] = {"model": str(backbone.folder.resolve())}
        else:
            fixed = {"model": model, "revision": commit}
        if settings.chat_template is not None:
            fixed["chat_template"] = settings.chat_template.resolve()
        return cls(engine, settings.model_copy(update=fixed), extract, backbone.identity)

    def on(self, device: str) -> "EngineLoader":
        """A copy with `extract.device` replaced."""
        return EngineLoader(
            self.engine, self.backbone, self.extract.model_copy(update={"device": device}), self.identity
        )

    def __call__(self) -> Engine:
        """Load the engine.

        Raises:
            UserError: the backbone is missing there, or has another identity.
        """
        backbone = find_backbone(self.backbone)
        if backbone.identity != self.identity:
            raise UserError(
                f"backbone.model: {self.backbone.model} on {socket.gethostname()} is not the one that the run was"
                " planned with: put it on a file system that all workers see, or name one of the hub"
            )
        return ENGINES[self.engine](backbone, self.backbone, self.extract, choose_device(self.extract.device))
