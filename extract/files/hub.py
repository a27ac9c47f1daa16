"""Files of a data set from the hub."""

from collections.abc import Sequence
from pathlib import Path

import huggingface_hub
from huggingface_hub import errors

from cache.errors import UserError, first_line
from extract.files.missing import MissingDatasetError


def download(name: str, repo: str, files: Sequence[str], revision: str | None) -> Path:
    """The folder of a commit with the files that match, downloaded where the hub's cache lacks them.

    Raises:
        MissingDatasetError: there is no such data set or revision, it is gated, or the hub cannot be reached.
        UserError: the download fails for another reason.
    """
    # On the hub '**/' requires a folder, on the disk it also matches none: both spellings are requested.
    patterns = list(dict.fromkeys([*files, *(pattern.removeprefix("**/") for pattern in files)]))
    where = f"{repo} at {revision}" if revision else repo
    try:
        folder = huggingface_hub.snapshot_download(
            repo, repo_type="dataset", revision=revision, allow_patterns=patterns
        )
    except errors.GatedRepoError:
        remedy = f"accept its terms on https://huggingface.co/datasets/{repo} and run `hf auth login`"
        raise MissingDatasetError(f"{name}: {repo} is gated on the hub: {remedy}") from None
    except errors.RevisionNotFoundError:
        remedy = "check `revision` in the recipe"
        raise MissingDatasetError(f"{name}: {repo} has no revision {revision} on the hub: {remedy}") from None
    except errors.RepositoryNotFoundError:
        remedy = "check `repo` in the recipe, or run `hf auth login` if it is private"
        raise MissingDatasetError(f"{name}: there is no data set {repo} on the hub: {remedy}") from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        remedy = "connect to the network, or give a local copy with --data-root"
        raise MissingDatasetError(f"{name}: the hub cannot be reached and {where} is not cached: {remedy}") from None
    except errors.HFValidationError:
        raise UserError(f"{name}: {repo!r} is not a repository's name: `repo` takes the form org/name") from None
    except Exception as error:
        # Broken connections, full disks, and whatever the HTTP client raises: it differs between releases.
        raise UserError(f"{name}: {where} could not be downloaded ({first_line(error)}): try again") from error
    return Path(folder)
