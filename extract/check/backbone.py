"""The backbone from its small files: configuration, tokenizer, chat template; of the weights only their size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cache import UserError
from cache.precision import ITEM_BYTES
from extract.backbone import Backbone, read_backbone
from extract.check.findings import Finding
from extract.hub.download import fetch
from extract.hub.refusals import HubError
from extract.model_files import SMALL_FILES, WEIGHTS, is_model, list_model, refuse_revision_of_folder
from extract.settings import BackboneSettings
from extract.templating import ConversationEncoder

SUBJECT = "backbone"


@dataclass(frozen=True, slots=True)
class BackboneFound:
    """A backbone whose small files are on the disk."""

    backbone: Backbone
    encoder: ConversationEncoder
    where: str
    """`org/name@commit`, or a folder."""
    licence: str | None
    weights_bytes: int
    """Bytes of its files of weights."""
    bytes_to_fetch: int
    """Bytes of them that are not on the disk yet."""

    @property
    def parameters(self) -> int:
        """Number of weights, by the files' size and the dtype that its configuration names."""
        return self.weights_bytes // ITEM_BYTES.get(self.backbone.facts.stored_dtype or "float32", 4)


def look_at_backbone(settings: BackboneSettings) -> tuple[BackboneFound | None, list[Finding]]:
    """The backbone, or the problems that keep it from being used; no weights are fetched."""
    try:
        refuse_revision_of_folder(settings)
        found = _local(settings) if is_model(Path(settings.model)) else _on_hub(settings)
    except UserError as error:
        return None, [Finding(SUBJECT, str(error), stops=True)]
    if not found.weights_bytes:
        sentence = f"{found.where} has no weights in safetensors, and pickles are not read: name one that has"
        return None, [Finding(SUBJECT, sentence, stops=True)]
    return found, []


def _local(settings: BackboneSettings) -> BackboneFound:
    folder = Path(settings.model)
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return _found(read_backbone(folder, str(folder), settings), settings, str(folder), None, (weights, 0))


def _on_hub(settings: BackboneSettings) -> BackboneFound:
    listing = list_model(settings.model, settings.revision, "backbone.model")
    weights = listing.matching(WEIGHTS)
    try:
        folder = fetch(listing, listing.matching(SMALL_FILES))
    except HubError as error:
        raise UserError(f"backbone.model: {error}") from None
    where = f"{settings.model}@{listing.commit}"
    sizes = sum(file.size for file in weights), sum(file.size for file in listing.missing(weights))
    return _found(read_backbone(folder, where, settings), settings, where, listing.licence, sizes)


def _found(
    backbone: Backbone, settings: BackboneSettings, where: str, licence: str | None, sizes: Sequence[int]
) -> BackboneFound:
    encoder = ConversationEncoder(backbone.tokenizer, settings, backbone.vocabulary)
    return BackboneFound(backbone, encoder, where, licence, *sizes)
