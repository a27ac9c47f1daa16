"""The frozen backbone: its folder, its identity, its tokenizer and its weights."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from transformers import MODEL_MAPPING, AutoConfig, AutoModel, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from cache import Fingerprint, UserError
from cache.errors import first_line
from cache.precision import StoreDtype
from extract.settings import BackboneSettings
from extract.weight_names import renamed_weights

log = logging.getLogger(__name__)

PATTERNS = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt"]
"""Files to fetch: weights in safetensors, configuration and tokenizer; nothing that is a pickle."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """A backbone on the local disk, with everything its features depend on."""

    folder: Path
    identity: str
    """`org/name@commit`, or the digest of a local folder's weights and configuration."""
    tokenizer: PreTrainedTokenizerBase
    hidden_size: int
    hidden_layers: int
    vocabulary: int
    """Number of embeddings; every token id is below it."""
    family: str
    """The configuration's `model_type`."""
    attention_exchangeable: bool
    """Whether transformers can exchange this family's attention, which packing needs."""
    layer_kinds: frozenset[str]
    """The configuration's `layer_types`; empty if all layers are of one kind."""

    def fingerprint(self, settings: BackboneSettings, store_dtype: StoreDtype, engine: str) -> Fingerprint:
        """The fingerprint of features that are read from this backbone."""
        return Fingerprint(
            backbone=self.identity,
            tokenizer=_digest(self.tokenizer.backend_tokenizer.to_str().encode()),
            template=_digest(self.tokenizer.chat_template.encode()),
            position=settings.position,
            layers=settings.layers,
            compute_dtype=settings.dtype,
            store_dtype=store_dtype,
            engine=engine,
        )

    def load(self, settings: BackboneSettings, device: torch.device, attention: str | None) -> Any:
        """The decoder without its output layer, frozen, on `device`.

        Raises:
            UserError: a weight is missing or has another shape, or the device has no room for the weights.
        """
        transformers_logging.disable_progress_bar()  # its bar, for a second's work, would break ours
        verbosity = transformers_logging.get_verbosity()
        # Other weights in the files (an output layer, a reward model's heads) are not used, and need no warning.
        transformers_logging.set_verbosity_error()
        try:
            model, report = AutoModel.from_pretrained(
                self.folder,
                dtype=getattr(torch, settings.dtype),
                attn_implementation=attention,
                use_safetensors=True,
                trust_remote_code=False,
                key_mapping=renamed_weights(self.folder, self.family),
                output_loading_info=True,
            )
        finally:
            transformers_logging.set_verbosity(verbosity)
        if missing := sorted(report["missing_keys"]):
            # transformers would fill it with random numbers without an error.
            raise UserError(f"backbone.model: the weights in {self.folder} have no {missing[0]}: fetch them again")
        log.info(
            "backbone in %s, as the recipe's backbone.dtype says; features leave it as float32",
            settings.dtype,
        )
        # Only the decoder, for a model that also has a vision part or an output layer.
        try:
            return model.get_decoder().eval().requires_grad_(False).to(device)
        except torch.OutOfMemoryError:
            raise UserError(
                f"{settings.model} in {settings.dtype} does not fit the memory of {device}: use a device with more,"
                " or a smaller backbone.model"
            ) from None


def find_backbone(settings: BackboneSettings) -> Backbone:
    """Locate (and, from the hub, fetch) the backbone, and read its configuration and tokenizer.

    Raises:
        UserError: it cannot be found, is not a decoder, has no chat template, or lacks a layer of the settings.
    """
    return read_backbone(*_locate(settings), settings)


def read_backbone(folder: Path, identity: str, settings: BackboneSettings) -> Backbone:
    """The backbone in a local folder; `settings.model` is ignored, and `identity` is not checked.

    Raises:
        UserError: it is not a decoder, has no chat template, or lacks a layer of the settings.
    """
    try:
        # Code in a model's folder is never run: families that transformers does not know are refused.
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False).get_text_config()
        tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(f"backbone.model: {folder} cannot be read as a model: {first_line(error)}") from None
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(f"backbone.model: {folder} has no fast tokenizer (tokenizer.json), which is needed here")
    if settings.chat_template is not None:
        if not settings.chat_template.is_file():
            raise UserError(f"backbone.chat_template: there is no file {settings.chat_template}")
        tokenizer.chat_template = settings.chat_template.read_text()
    if not isinstance(tokenizer.chat_template, str):
        raise UserError(
            f"the tokenizer in {folder} has no single chat template: name a Jinja file in backbone.chat_template"
        )
    for layer in settings.layers:
        if not -config.num_hidden_layers - 1 <= layer <= config.num_hidden_layers:
            raise UserError(
                f"backbone.layers: there is no layer {layer} in {folder}, which has {config.num_hidden_layers}"
            )
    steady = _steady_positions(config)
    if steady is not None and settings.max_tokens > steady:
        raise UserError(
            f"backbone.max_tokens is {settings.max_tokens}, and beyond {steady} tokens the positions of"
            f" {config.model_type} are scaled for everything in a pass: set backbone.max_tokens to {steady}"
        )
    if settings.max_tokens > config.max_position_embeddings:
        log.warning(
            "backbone.max_tokens is %s, and %s was made for %s positions: states beyond those mean little",
            settings.max_tokens,
            folder,
            config.max_position_embeddings,
        )
    return Backbone(
        folder=folder,
        identity=identity,
        tokenizer=tokenizer,
        hidden_size=config.hidden_size,
        hidden_layers=config.num_hidden_layers,
        vocabulary=config.vocab_size,
        family=config.model_type,
        attention_exchangeable=_attention_exchangeable(config),
        layer_kinds=frozenset(getattr(config, "layer_types", None) or ()),
    )


def _steady_positions(config: PretrainedConfig) -> int | None:
    """Number of tokens up to which a position's encoding does not depend on the other sequences; None if it never does.

    Two of transformers' rotary encodings (modeling_rope_utils.py) depend on the longest sequence of the pass, and
    "dynamic" on those of earlier passes too: longer features would depend on what else was computed.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    for parameters in (rope, *(part for part in rope.values() if isinstance(part, dict))):
        if parameters.get("rope_type") == "dynamic":
            return int(config.max_position_embeddings)
        if parameters.get("rope_type") == "longrope":
            return int(parameters.get("original_max_position_embeddings", config.max_position_embeddings))
    return None


def _attention_exchangeable(config: PretrainedConfig) -> bool:
    model = MODEL_MAPPING.get(type(config), None)
    return bool(getattr(model, "_supports_attention_backend", False))


def _locate(settings: BackboneSettings) -> tuple[Path, str]:
    local = Path(settings.model)
    if settings.revision is not None and (local / "config.json").is_file():
        raise UserError(f"backbone.revision: {local} is a local folder, which has no revisions; take it out")
    return locate_model(settings.model, settings.revision, "backbone.model")


def locate_model(model: str, revision: str | None, key: str) -> tuple[Path, str]:
    """The folder of a model, fetched from the hub if necessary, and the identity of its weights.

    Args:
        model: a local folder, or org/name on the hub.
        revision: branch, tag or commit of the hub's repository.
        key: the setting or option that named the model, for errors.

    Raises:
        UserError: it cannot be found or fetched.
    """
    local = Path(model)
    if (local / "config.json").is_file():
        return local, f"folder:{_folder_digest(local)}"
    if local.exists() or model.count("/") != 1:
        raise UserError(f"{key}: {model} is neither a folder with a config.json nor org/name on the hub")
    try:
        folder = Path(snapshot_download(model, revision=revision, allow_patterns=PATTERNS))
    except RepositoryNotFoundError:
        raise UserError(f"{key}: the hub has no model {model}, or it needs access: check the name, or log in") from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"{key}: {model} could not be fetched ({first_line(error)}): check the connection, or name a local folder"
        ) from None
    return folder, f"{model}@{folder.name}"


def _folder_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in [folder / "config.json", *sorted(folder.glob("*.safetensors"))]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
