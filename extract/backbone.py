"""The frozen backbone: its folder, its identity, its tokenizer and its weights."""

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, PretrainedConfig, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from cache import Fingerprint, UserError
from cache.errors import cause, first_line
from cache.names import GgufFile
from cache.precision import StoreDtype
from cache.progress import Progress, silent
from extract.configuration import (
    ModelFacts,
    has_table_of_positions,
    read_configuration,
    read_facts,
    whole_configuration,
    without_unknown_padding,
)
from extract.gguf_file import load_gguf
from extract.model_files import fetch_model, identity_of, is_model, list_model, refuse_revision_of_folder
from extract.settings import BackboneSettings
from extract.stored_weights import check_room, read_headers
from extract.tokenizer import read_tokenizer
from extract.weight_names import renamed_weights

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backbone:
    """A backbone on the local disk, with everything its features depend on."""

    folder: Path
    identity: str
    """`org/name@commit`, for a GGUF with `/file` behind it; the digest of a local model's weights and configuration."""
    tokenizer: PreTrainedTokenizerBase
    facts: ModelFacts
    gguf_file: GgufFile | None = None
    """The file in the folder that holds all of it; None: config.json, safetensors and the tokenizer's files do."""
    licence: str | None = None
    """Licence of its card on the hub; None for a local folder, or where the card names none or was not asked."""

    @property
    def hidden_size(self) -> int:
        """Length of a state."""
        return self.facts.hidden_size

    @property
    def hidden_layers(self) -> int:
        """Number of decoder layers."""
        return self.facts.hidden_layers

    @property
    def vocabulary(self) -> int:
        """Number of embeddings; every token id is below it."""
        return self.facts.vocabulary

    @property
    def family(self) -> str:
        """The configuration's `model_type`."""
        return self.facts.family

    @property
    def attention_exchangeable(self) -> bool:
        """See `ModelFacts.attention_exchangeable`."""
        return self.facts.attention_exchangeable

    @property
    def layer_kinds(self) -> frozenset[str]:
        """The configuration's `layer_types`; empty if all layers are of one kind."""
        return self.facts.layer_kinds

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
            UserError: a weight is missing or has another shape, a library is missing that the checkpoint needs, a file
                is damaged, or the device has no room for the weights.
        """
        model, report = self._from_pretrained(getattr(torch, settings.dtype), attention)
        if missing := sorted(report["missing_keys"]):
            # transformers would fill it with random numbers without an error.
            raise UserError(f"backbone.model: the weights in {self.folder} have no {missing[0]}: fetch them again")
        if mismatched := sorted(report["mismatched_keys"]):
            name, stored, expected = mismatched[0]
            raise UserError(
                f"backbone.model: {name} in {self.folder} has the shape {_shape(stored)}, and config.json there asks"
                f" for {_shape(expected)}: fetch config.json and the weights of the same model"
            )
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

    def _from_pretrained(self, dtype: torch.dtype, attention: str | None) -> tuple[Any, dict[str, Any]]:
        """The model as transformers loads it, and its report of weights that did not fit."""
        transformers_logging.disable_progress_bar()  # its bar, for a second's work, would break ours
        verbosity = transformers_logging.get_verbosity()
        # Other weights in the files (an output layer, a reward model's heads) are not used, and need no warning.
        transformers_logging.set_verbosity_error()
        try:
            config = whole_configuration(self.folder, gguf_file=self.gguf_file)
            without_unknown_padding(config)
            if self.gguf_file is not None:
                return load_gguf(self.folder / self.gguf_file, config, dtype, attention)
            check_room(config, self.folder, read_headers(self.folder))
            loaded: tuple[Any, dict[str, Any]] = AutoModel.from_pretrained(
                self.folder,
                config=config,
                dtype=dtype,
                attn_implementation=attention,  # None: sdpa or eager, as the family supports it
                use_safetensors=True,
                trust_remote_code=False,
                key_mapping=renamed_weights(self.folder, self.family),
                ignore_mismatched_sizes=True,  # the report names them, and they are refused
                output_loading_info=True,
            )
        except ImportError as error:
            raise UserError(
                f"backbone.model: {self.folder} needs a library that is not installed ({first_line(error)}): install"
                " it, or use the weights that are not quantised"
            ) from None
        except (torch.OutOfMemoryError, UserError):
            raise
        except Exception as error:  # loaders of weights and of quantised ones raise whatever they stumble over
            raise UserError(
                f"backbone.model: {self.folder} cannot be loaded as {self.family} ({cause(error)}): fetch it again, or"
                " use another model"
            ) from None
        finally:
            transformers_logging.set_verbosity(verbosity)
        return loaded


def find_backbone(settings: BackboneSettings, progress: Progress = silent) -> Backbone:
    """Locate (and, from the hub, fetch) the backbone, and read its configuration and tokenizer.

    Args:
        settings: the backbone.
        progress: called with the number of bytes fetched.

    Raises:
        UserError: it cannot be found, is not a decoder, has no chat template, or lacks a layer of the settings.
    """
    refuse_revision_of_folder(settings)
    licence = None
    folder = Path(settings.model)
    if is_model(folder, settings.gguf_file):
        identity = identity_of(folder, settings.gguf_file)
    else:
        listing = list_model(settings.model, settings.revision, "backbone.model", settings.gguf_file)
        folder, identity = fetch_model(listing, "backbone.model", progress, settings.gguf_file)
        licence = listing.licence
    return replace(read_backbone(folder, identity, settings), licence=licence)


def read_backbone(folder: Path, identity: str, settings: BackboneSettings) -> Backbone:
    """The backbone in a local folder; `settings.model` is ignored, and `identity` is not checked.

    Raises:
        UserError: it is not a decoder, has no chat template, lacks a layer of the settings, or a file is damaged.
    """
    config = read_configuration(folder, settings.gguf_file)
    facts = read_facts(config, folder)
    tokenizer = read_tokenizer(folder, settings)
    _check_layers(facts, folder, settings)
    _check_positions(facts, config, folder, settings)
    return Backbone(folder=folder, identity=identity, tokenizer=tokenizer, facts=facts, gguf_file=settings.gguf_file)


def _check_layers(facts: ModelFacts, folder: Path, settings: BackboneSettings) -> None:
    for layer in settings.layers:
        if not -facts.hidden_layers - 1 <= layer <= facts.hidden_layers:
            raise UserError(
                f"backbone.layers: there is no layer {layer} in {folder}: name layers from {-facts.hidden_layers - 1}"
                f" to {facts.hidden_layers}"
            )


def _check_positions(facts: ModelFacts, config: PretrainedConfig, folder: Path, settings: BackboneSettings) -> None:
    """Refuse conversations that the backbone cannot take, and warn of those that it was not made for."""
    longest, positions, steady = settings.max_tokens, facts.positions, facts.steady_positions
    if steady is not None and longest > steady:
        raise UserError(
            f"backbone.max_tokens is {longest}, and beyond {steady} tokens the positions of"
            f" {facts.family} are scaled for everything in a pass: set backbone.max_tokens to {steady}"
        )
    if positions is None or longest <= positions:
        return
    if has_table_of_positions(config, positions):
        raise UserError(
            f"backbone.max_tokens is {longest}, and {folder} has a table of {positions} positions: set"
            f" backbone.max_tokens to {positions}"
        )
    log.warning(
        "backbone.max_tokens is %s, and %s was made for %s positions: states beyond those mean little",
        longest,
        folder,
        positions,
    )


def _shape(size: Any) -> str:
    return " × ".join(map(str, size))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
