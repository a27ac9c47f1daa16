"""The backbone's tokenizer, with the chat template in use."""

import hashlib
import json
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from cache import UserError
from cache.errors import first_line
from extract.gguf_tokenizer import gguf_tokenizer
from extract.settings import BackboneSettings
from extract.template.fitting import fit_template


def read_tokenizer(folder: Path, settings: BackboneSettings) -> Any:
    """The tokenizer in a folder; its chat template is the settings', with lines in front where it needs them.

    Where the settings name a GGUF file, tokenizer and template are made of that file's metadata.

    Raises:
        UserError: it cannot be read, is not a fast one, or has no chat template.
    """
    try:
        if settings.gguf_file is None:
            tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, trust_remote_code=False)
        else:
            tokenizer = gguf_tokenizer(folder / settings.gguf_file)
    except Exception as error:  # a damaged file shows as whatever its reader stumbles over
        files = settings.gguf_file or "tokenizer.json and tokenizer_config.json"
        raise UserError(
            f"backbone.model: the tokenizer in {folder} cannot be read ({type(error).__name__}: {first_line(error)}):"
            f" fetch {files} again"
        ) from None
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(
            f"backbone.model: {folder} has no fast tokenizer, which is needed here: add its tokenizer.json, or use"
            " another model"
        )
    tokenizer.chat_template = _template(tokenizer.chat_template, folder, settings)
    fit_template(tokenizer, fold_system_turns=settings.system_turns == "fold")
    return tokenizer


def vocabulary_digest(tokenizer: Any, embeddings: int) -> str:
    """SHA-256 over the tokens that the backbone has embeddings for, in the order of their ids, with these."""
    tokens = sorted((number, token) for token, number in tokenizer.get_vocab().items() if number < embeddings)
    return hashlib.sha256(json.dumps(tokens).encode()).hexdigest()


def _template(own: Any, folder: Path, settings: BackboneSettings) -> str:
    template = own
    if settings.chat_template is not None:
        try:
            template = settings.chat_template.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            if not settings.chat_template.is_file():
                raise UserError(
                    f"backbone.chat_template: there is no file {settings.chat_template}: name a Jinja file in UTF-8"
                ) from None
            raise UserError(
                f"backbone.chat_template: {settings.chat_template} cannot be read ({first_line(error)}): name a Jinja"
                " file in UTF-8"
            ) from None
    elif isinstance(own, dict):
        template = own.get("default")  # the others are for tools or documents, which no row has
    if not isinstance(template, str):
        raise UserError(
            f"the tokenizer in {folder} has no single chat template: name a Jinja file in backbone.chat_template"
        )
    return template
