"""The profile that a request asks for: by name, written out, or as mere weights."""

from http import HTTPStatus
from typing import Annotated

from pydantic import Discriminator, Tag

from cache import UserError
from export.named_profiles import NamedProfiles
from export.server.refusals import RefusedRequest
from gating.profile import Mode, Profile
from gating.steering import Steering

NameOrProfile = Annotated[
    # A tag in brackets is no place that a refusal names.
    Annotated[str, Tag("[name]")] | Annotated[Profile, Tag("[profile]")],
    Discriminator(lambda given: "[name]" if isinstance(given, str) else "[profile]"),
]
"""The name of a profile of the folder, or a profile."""


def steering_of(
    profiles: NamedProfiles,
    own: Steering | None,
    profile: str | Profile | None,
    weights: dict[str, float] | None,
    mode: Mode | None,
) -> Steering | None:
    """The profile of a request, bound to the model; None: the gate's own weights.

    Args:
        profiles: the model's.
        own: the server's, for requests that ask for none.
        profile: the request's.
        weights: the request's, in place of a profile.
        mode: how the weights meet the gate's.

    Raises:
        RefusedRequest: the folder has none of this name, it does not fit the model, or the request contradicts itself.
    """
    if profile is None and weights is None and mode is None:
        return own
    try:
        return profiles.chosen(weights, mode, profile)
    except UserError as error:
        raise RefusedRequest(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
