"""The options by which `score` and `explain` take a profile, or the weights of one."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cache import UserError
from gating.profile import MODES, Profile, profile_of, read_profile
from pipelines.terminal import choice

if TYPE_CHECKING:
    from export.reward_model import RewardModel
    from gating.steering import Steering

ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="FILE|NAME",
        help="Weights of a user: the TOML file of a profile, or the name of one that the folder holds.",
    ),
]
WeightOption = Annotated[
    list[str] | None,
    typer.Option(
        "--weight",
        metavar="OBJECTIVE=VALUE",
        help="A weight that steers the score, in place of a profile; can be given several times.",
    ),
]
ModeOption = Annotated[
    str | None,
    choice(MODES, "How weights meet the gate's: added to them (the default), multiplied, or in their place."),
]
DirectionOption = Annotated[
    str | None,
    typer.Option(
        "--direction",
        metavar="OBJECTIVE=VALUE,…",
        help="A preference direction over objectives, which is scaled to length 1 and replaces the gate's weights.",
    ),
]
RenormaliseOption = Annotated[
    bool | None,
    typer.Option(
        "--renormalise/--no-renormalise",
        help="Whether the sum of the weights' absolute values stays that of the gate's; left out: it does, but under a"
        " direction.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The profile that the options ask for, not yet bound to a model."""

    profile: Profile | str | None
    """A profile, the name of one in the model's folder, or None for the gate's own weights."""

    @classmethod
    def of(
        cls,
        profile: str | None,
        weight: list[str] | None,
        mode: str | None,
        direction: str | None,
        renormalise: bool | None,
    ) -> "Chosen":
        """Read the options, before a model is loaded for them.

        Raises:
            UserError: they contradict each other, a weight is no number, or the profile's file is not one.
        """
        options: dict[str, Any] = {"mode": mode, "renormalise": renormalise}
        weights = [_weight(one, "--weight") for one in weight or ()]
        coordinates = [_weight(one, "--direction") for one in direction.split(",")] if direction is not None else []
        given = {name for name, value in options.items() if value is not None}
        if profile is not None:
            if weight or direction is not None or given:
                raise UserError(
                    "--profile and options of single weights contradict each other: write them into the profile"
                )
            of_file = profile.endswith(".toml") or "/" in profile
            return cls(read_profile(Path(profile)) if of_file else profile)
        if not weights and not coordinates:
            if given:
                option = "weight-mode" if "mode" in given else "renormalise"
                raise UserError(f"--{option} says nothing without --weight: leave it out, or give weights")
            return cls(None)
        options |= {"weights": _once(weights, "--weight"), "direction": _once(coordinates, "--direction")}
        return cls(profile_of({"name": "options"} | options, "--weight" if weights else "--direction"))

    def bound(self, model: "RewardModel") -> "Steering | None":
        """The profile bound to a model; None for the gate's own weights.

        Raises:
            UserError: the folder has none of this name, or it does not fit the model.
        """
        return None if self.profile is None else model.profiles.of_any(self.profile)


def _weight(text: str, option: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        return name.strip(), float(number)
    except ValueError:
        raise UserError(f"{option}: {text!r} is no weight: write OBJECTIVE=VALUE, with a number as the value") from None


def _once(pairs: list[tuple[str, float]], option: str) -> dict[str, float]:
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{option} names {twice[0]!r} twice: give it one value")
    return dict(pairs)
