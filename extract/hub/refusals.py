"""Refusals and failures of the hub, each in one sentence with its remedy."""

import errno
from dataclasses import dataclass
from typing import Literal

import httpx2
from huggingface_hub import constants, errors, get_token

from cache import UserError
from cache.errors import first_line

Kind = Literal["dataset", "model"]

LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as a recipe names it."""

    name: str
    """`org/name`."""
    kind: Kind
    revision: str | None
    """Branch, tag or commit; None for the default branch."""
    key: str
    """The key of the recipe that names it, such as `repo`."""
    revision_key: str
    """The key of the recipe that names its revision."""
    local: str
    """The way to give a local copy instead, such as `give a local copy with --data-root`."""

    @property
    def page(self) -> str:
        """Address of its page."""
        prefix = "datasets/" if self.kind == "dataset" else ""
        return f"{constants.ENDPOINT}/{prefix}{self.name}"

    @property
    def noun(self) -> str:
        """How a sentence calls it."""
        return "data set" if self.kind == "dataset" else "model"

    def __str__(self) -> str:
        return f"{self.name} at {self.revision}" if self.revision else self.name


class HubError(UserError):
    """A repository, or a file of it, cannot be had; the message is a sentence with the remedy."""

    def __init__(self, problem: str, remedy: str, *, absent: bool = False) -> None:
        super().__init__(f"{problem}: {remedy}")
        self.problem, self.remedy = problem, remedy
        self.absent = absent
        """Whether it is not there for this user, whatever the state of the network."""


def refusal(error: Exception, repository: Repository) -> HubError:
    """The sentence about an error of the hub, of the connection or of the disk."""
    if isinstance(error, HubError):
        return error
    name = repository.name
    if isinstance(error, errors.GatedRepoError):
        account = "with the account you are logged in with" if get_token() else f"and {LOG_IN}"
        return _absent(f"{name} is gated on the hub", f"accept its terms on {repository.page} {account}")
    if isinstance(error, errors.RevisionNotFoundError):
        return _absent(
            f"{name} has no revision {repository.revision} on the hub",
            f"check `{repository.revision_key}` in the recipe, or take it out to use the default branch",
        )
    if isinstance(error, errors.DisabledRepoError):
        return _absent(f"{name} was disabled by the hub", repository.local)
    if isinstance(error, errors.RepositoryNotFoundError):
        return _not_found(repository)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return _absent(
            f"{repository} is not cached in {constants.HF_HUB_CACHE}, and HF_HUB_OFFLINE keeps this run from the hub",
            f"unset HF_HUB_OFFLINE, or {repository.local}",
        )
    if isinstance(error, errors.HFValidationError):
        return HubError(f"{name!r} is not a repository's name", f"give `{repository.key}` the form org/name")
    if isinstance(error, errors.HfHubHTTPError):
        return _of_status(error, repository)
    if isinstance(error, OSError) and not isinstance(error, httpx2.HTTPError):
        return _of_disk(error, repository)
    if isinstance(error, httpx2.TransportError):
        return _absent(
            f"the hub ({constants.ENDPOINT}) cannot be reached and {repository} is not cached ({first_line(error)})",
            f"check the network and HTTPS_PROXY and run the same command again, which goes on where this one stopped,"
            f" or {repository.local}",
        )
    return HubError(f"{repository} could not be fetched ({first_line(error)})", repository.local)


def _absent(problem: str, remedy: str) -> HubError:
    return HubError(problem, remedy, absent=True)


def _not_found(repository: Repository) -> HubError:
    remedy = f"check `{repository.key}` in the recipe"
    remedy += "" if get_token() else f", or {LOG_IN} if it is private"
    return _absent(f"there is no {repository.noun} {repository.name} on the hub for this user", remedy)


def _of_status(error: errors.HfHubHTTPError, repository: Repository) -> HubError:
    status = error.response.status_code
    if status == 401 and get_token():
        return _absent(f"the hub refuses the token in use for {repository.name}", f"{LOG_IN} with a valid one")
    if status in (401, 404):
        return _not_found(repository)
    if status == 403:
        return _absent(
            f"the token in use may not read {repository.name}",
            "give it 'Read access to contents of all public gated repos' on"
            f" {constants.ENDPOINT}/settings/tokens, or {LOG_IN} with another",
        )
    if status == 429:
        more = "wait a few minutes and run the same command again, which goes on where this one stopped"
        more += "" if get_token() else f", or {LOG_IN}: the limit is higher then"
        return HubError(f"the hub limits this machine's requests (HTTP 429 for {repository})", more)
    return HubError(
        f"the hub failed for {repository} (HTTP {status})",
        "look at https://status.huggingface.co and run the same command again later, which goes on where this one"
        " stopped",
    )


def _of_disk(error: OSError, repository: Repository) -> HubError:
    cache = constants.HF_HUB_CACHE
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HubError(f"{repository} does not fit the disk of {cache}", "free some, or set HF_HOME to another disk")
    return HubError(
        f"{repository} could not be written to {cache} ({first_line(error)})",
        "check the folder's permissions, or set HF_HOME to another folder",
    )
