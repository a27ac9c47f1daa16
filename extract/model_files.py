"""The files of a model: in a local folder, or fetched from the hub; nothing is read from them here."""

import hashlib
from pathlib import Path

from cache import UserError
from cache.progress import Progress, silent
from extract.hub.download import fetch
from extract.hub.listing import Listing, list_files
from extract.hub.refusals import HubError, Repository
from extract.settings import BackboneSettings

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
    if settings.revision is not None and is_model(local):
        raise UserError(f"backbone.revision: {local} is a local folder, which has no revisions; take it out")


def is_model(folder: Path) -> bool:
    """Whether a local folder holds a model."""
    return (folder / "config.json").is_file()


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


def fetch_model(listing: Listing, key: str, progress: Progress = silent) -> tuple[Path, str]:
    """The folder of a listed model, fetched where the cache lacks it, and its identity.

    Raises:
        UserError: it cannot be fetched.
    """
    try:
        folder = fetch(listing, listing.matching((*WEIGHTS, *SMALL_FILES)), progress)
    except HubError as error:
        raise UserError(f"{key}: {error}") from error
    return folder, f"{listing.repository.name}@{listing.commit}"


def list_model(model: str, revision: str | None, key: str) -> Listing:
    """The files of a model on the hub; arguments and errors as `locate_model`."""
    if Path(model).exists() or model.count("/") != 1:
        raise UserError(f"{key}: {model} is neither a folder with a config.json nor org/name on the hub")
    repository = Repository(model, "model", revision, key, "backbone.revision", f"name a local folder in {key}")
    try:
        return list_files(repository)
    except HubError as error:
        raise UserError(f"{key}: {error}") from None


def identity_of(folder: Path) -> str:
    """The identity of a local model: the digest of its weights and configuration."""
    digest = hashlib.sha256()
    for path in [folder / "config.json", *sorted(folder.glob("*.safetensors"))]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"folder:{digest.hexdigest()}"
