"""The files of a model: in a local folder, or fetched from the hub; nothing is read from them here."""

import hashlib
from pathlib import Path

from cache import UserError
from cache.names import GgufFile
from cache.progress import Progress, silent
from extract.hub.download import fetch
from extract.hub.listing import HubFile, Listing, list_files
from extract.hub.refusals import HubError, Repository
from extract.listing import listed
from extract.settings import BackboneSettings

CONFIGURATION = "config.json"
ADAPTER = "adapter_config.json"
"""Configuration of PEFT's adapters."""
"""A folder with this file is a model's."""
WEIGHTS = ("*.safetensors",)
"""Files of weights; nothing that is a pickle."""
SMALL_FILES = ("*.json", "*.jinja", "additional_chat_templates/*.jinja", "*.model", "*.txt")
"""Files of the configuration, the tokenizer and its chat templates, and the index of the weights."""


def refuse_revision_of_folder(settings: BackboneSettings) -> None:
    """Refuse a revision that has no meaning.

    Raises:
        UserError: the model is a local folder, and a revision is given.
    """
    local = Path(settings.model)
    if settings.revision is not None and is_model(local, settings.gguf_file):
        raise UserError(f"backbone.revision: {local} is a local folder, which has no revisions; take it out")


def is_model(folder: Path, gguf_file: GgufFile | None = None) -> bool:
    """Whether a local folder holds a model: a config.json, or the GGUF file if one is named."""
    path = folder / CONFIGURATION if gguf_file is None else folder / gguf_file
    return path.is_file()


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
    return (local, identity_of(local)) if is_model(local) else fetch_model(list_model(model, revision, key), key)


def fetch_model(
    listing: Listing, key: str, progress: Progress = silent, gguf_file: GgufFile | None = None
) -> tuple[Path, str]:
    """The folder of a listed model, fetched where the cache lacks it, and its identity.

    Args:
        listing: from `list_model`.
        key: the setting or option that named the model, for errors.
        progress: called with the number of bytes fetched.
        gguf_file: the one file to fetch, in place of safetensors, configuration and tokenizer.

    Raises:
        UserError: it cannot be fetched, or the repository has no such GGUF file.
    """
    files = listing.matching((*WEIGHTS, *SMALL_FILES)) if gguf_file is None else (gguf_of(listing, gguf_file),)
    try:
        folder = fetch(listing, files, progress)
    except HubError as error:
        raise UserError(f"{key}: {error}") from error
    identity = f"{listing.repository.name}@{listing.commit}"
    return folder, identity if gguf_file is None else f"{identity}/{gguf_file}"


def gguf_of(listing: Listing, gguf_file: GgufFile) -> HubFile:
    """The GGUF file of a repository.

    Raises:
        UserError: it is not there; the files of its kind that are there are named.
    """
    for file in listing.files:
        if file.path == str(gguf_file):
            return file
    if listing.refused is not None:
        raise UserError(f"backbone.gguf_file: {gguf_file} is not in the cache, and {listing.refused}")
    others = listed(file.path for file in listing.files if file.path.endswith(".gguf"))
    raise UserError(
        f"backbone.gguf_file: {listing.repository.name} has no {gguf_file}: "
        + (f"name one of {others}" if others else "take the key out, for it has no GGUF file")
    )


def list_model(model: str, revision: str | None, key: str, gguf_file: GgufFile | None = None) -> Listing:
    """The files of a model on the hub; arguments and errors as `locate_model`."""
    if (Path(model) / ADAPTER).is_file():
        raise UserError(
            f"{key}: {model} is a LoRA adapter without its model: merge the two (peft's merge_and_unload, then"
            " save_pretrained with the tokenizer), and name the merged folder"
        )
    if Path(model).exists() or model.count("/") != 1:
        wanted = gguf_file or CONFIGURATION
        raise UserError(
            f"{key}: {model} is neither a folder with a {wanted} nor org/name on the hub: check its spelling"
        )
    repository = Repository(model, "model", revision, key, "backbone.revision", f"name a local folder in {key}")
    try:
        return list_files(repository)
    except HubError as error:
        raise UserError(f"{key}: {error}") from None


def identity_of(folder: Path, gguf_file: GgufFile | None = None) -> str:
    """The identity of a local model: the digest of its weights and configuration, which a GGUF file holds both."""
    if gguf_file is not None:
        with (folder / gguf_file).open("rb") as file:
            return f"gguf:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    digest = hashlib.sha256()
    for path in [folder / CONFIGURATION, *sorted(folder.glob("*.safetensors"))]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"folder:{digest.hexdigest()}"
