"""`GET /v1/profiles`: the profiles that a request may name, with all that it takes to steer a score by them."""

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from export.server.scoring import Scoring
from gating.profile import OWN_WEIGHTS, Profile
from gating.steering import Steering


class NamedProfile(BaseModel):
    """A profile of the model."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    profile: Profile
    thresholds: dict[str, float]
    """Objective -> reward below which a response is vetoed, in the unit of the rewards whatever the profile's is."""


class ProfilesResponse(BaseModel):
    """The model's profiles."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    default: str
    """Name of the one that counts where a request names none; 'gate': the gate's own weights."""
    profiles: list[NamedProfile]


def router(scoring: Scoring) -> APIRouter:
    """The route of this protocol."""
    routes = APIRouter(tags=["armorm"])
    default = OWN_WEIGHTS if scoring.steering is None else scoring.steering.profile.name
    told = ProfilesResponse(default=default, profiles=[_told(each) for each in scoring.profiles.named.values()])

    @routes.get("/v1/profiles", response_model_exclude_none=True)
    async def profiles() -> ProfilesResponse:
        """The profiles that a request may name."""
        return told

    return routes


def _told(steering: Steering) -> NamedProfile:
    places = np.flatnonzero(np.isfinite(steering.thresholds))
    thresholds = {steering.objectives[place]: float(steering.thresholds[place]) for place in places}
    return NamedProfile(profile=steering.profile, thresholds=thresholds)
