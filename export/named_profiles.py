"""The profiles of a reward model: those of its folder by name, and others bound to its objectives."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cache import UserError
from export.reward_config import RewardConfig
from gating.profile import OWN_WEIGHTS, Mode, Profile, profile_of, read_profile
from gating.steering import Steering
from heads.objectives import Scale


@dataclass(frozen=True, slots=True)
class NamedProfiles:
    """Profiles bound to one model."""

    named: Mapping[str, Steering]
    """Name -> profile of the folder."""
    objectives: tuple[str, ...]
    scales: Mapping[str, Scale]
    """Objective -> scale of its ratings, where it is known."""

    @classmethod
    def of(cls, config: RewardConfig, folder: Path) -> "NamedProfiles":
        """The profiles of a folder.

        Raises:
            UserError: two have the same name, one is unnamed, or one does not fit the model.
        """
        named: dict[str, Steering] = {}
        for profile in config.profiles:
            if profile.name in named:
                raise UserError(f"{folder} would have two profiles of the name {profile.name!r}: rename one of them")
            if profile.name == Profile.model_fields["name"].default:
                raise UserError(f"{folder} would have a profile without a name: give it one, as its key name")
            try:
                named[profile.name] = Steering.of(profile, config.objectives, config.scales)
            except UserError as error:
                raise UserError(f"{folder} cannot have this profile: {error}") from None
        return cls(named, config.objectives, config.scales)

    def bound(self, profile: Profile) -> Steering:
        """A profile bound to the model.

        Raises:
            UserError: it does not fit the model.
        """
        return Steering.of(profile, self.objectives, self.scales)

    def by_name(self, name: str) -> Steering | None:
        """The folder's profile of this name; None for 'gate', which stands for the gate's own weights.

        Raises:
            UserError: there is none.
        """
        if name == OWN_WEIGHTS:
            return None
        if name not in self.named:
            known = ", ".join(sorted(self.named))
            remedy = f"name one of {known}" if known else "add one with `armorm export --profile FILE`"
            raise UserError(f"the model has no profile {name[:80]!r}: {remedy}")
        return self.named[name]

    def of_any(self, profile: str | Path | Profile) -> Steering | None:
        """A profile by its name in the folder, by the path of its file, or as it is; bound to the model.

        Raises:
            UserError: there is none, its file is damaged, or it does not fit the model.
        """
        if isinstance(profile, str):
            return self.by_name(profile)
        return self.bound(read_profile(profile) if isinstance(profile, Path) else profile)

    def chosen(
        self, weights: Mapping[str, float] | None, mode: Mode | None, profile: str | Path | Profile | None
    ) -> Steering | None:
        """The profile that a caller of the class asks for; None: the gate's own weights.

        Args:
            weights: objective -> weight.
            mode: how the weights meet the gate's; None: they are added.
            profile: in place of weights; as in `of_any`.

        Raises:
            UserError: both are given, a number is impossible, or as in `of_any`.
        """
        if weights is not None and profile is not None:
            raise UserError("weights and a profile contradict each other: give one of them")
        if mode is not None and weights is None:
            raise UserError(f"mode {mode!r} says nothing without weights: leave it out")
        if weights is not None:
            return self.bound(profile_of({"name": "weights", "mode": mode, "weights": dict(weights)}, "weights"))
        return None if profile is None else self.of_any(profile)
