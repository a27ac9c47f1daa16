"""The backbone from its small files: configuration, tokenizer, chat template; of the weights only their size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cache import UserError
from cache.precision import ITEM_BYTES
from extract.backbone import Backbone, read_backbone
from extract.check.findings import Finding
from extract.gguf_header import read_header
from extract.hub.download import fetch
from extract.hub.refusals import HubError
from extract.model_files import SMALL_FILES, WEIGHTS, gguf_of, is_model, list_model, refuse_revision_of_folder
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
        """Number of weights, by the files' size and the dtype that its configuration names; a GGUF lists them."""
        if self.backbone.gguf_file is not None:
            return sum(tensor.size for tensor in read_header(self.backbone.folder / self.backbone.gguf_file).tensors)
        return self.weights_bytes // ITEM_BYTES.get(self.backbone.facts.stored_dtype or "float32", 4)


def look_at_backbone(settings: BackboneSettings) -> tuple[BackboneFound | None, list[Finding]]:
    """The backbone, or the problems that keep it from being used.

    No weights are fetched, but for a GGUF file, which holds configuration and tokenizer too.
    """
    try:
        refuse_revision_of_folder(settings)
        local = is_model(Path(settings.model), settings.gguf_file)
        found = _local(settings) if local else _on_hub(settings)
    except UserError as error:
        return None, [Finding(SUBJECT, str(error), stops=True)]
    if not found.weights_bytes:
        sentence = f"{found.where} has no weights in safetensors, and pickles are not read: name one that has"
        return None, [Finding(SUBJECT, sentence, stops=True)]
    return found, []


def _local(settings: BackboneSettings) -> BackboneFound:
    folder = Path(settings.model)
    files = folder.glob("*.safetensors") if settings.gguf_file is None else (folder / settings.gguf_file,)
    weights = sum(path.stat().st_size for path in files)
    return _found(read_backbone(folder, str(folder), settings), settings, str(folder), None, (weights, 0))


def _on_hub(settings: BackboneSettings) -> BackboneFound:
    listing = list_model(settings.model, settings.revision, "backbone.model", settings.gguf_file)
    if settings.gguf_file is None:
        weights, small = listing.matching(WEIGHTS), listing.matching(SMALL_FILES)
    else:
        weights = small = (gguf_of(listing, settings.gguf_file),)
    try:
        folder = fetch(listing, small)
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
