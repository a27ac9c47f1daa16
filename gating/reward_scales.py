"""Scales on which a trainer takes rewards: one notion for the class, the functions for trainers and the server.

With a reward r of an objective, the mean m and standard deviation s of that reward on the reference set:

    raw           r                                     as the head predicts it
    rating        r on the scale of the ratings         1 to 10, say, and beyond its ends where the head is
    unit          rating, the lowest 0, the highest 1   held between 0 and 1
    centred       r - m
    standardised  (r - m) / s
    sigmoid       1 / (1 + exp(-(r - m) / s))           between 0 and 1

`score` is the model's own sum, which has no rating: it has raw, centred and standardised as a reward has, and its
sigmoid divides by the temperature T in place of s. T was fitted so that the sigmoid of a score gap over T is the
probability that the response with the higher score is preferred: sigmoid is then the probability that the response is
preferred to one whose score is the reference set's mean.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from gating.moments import Moments, ReferenceMoments
from gating.reward import Scored
from gating.steering import some_names
from heads.objectives import Scale

SCORE = "score"
"""Name of the model's score among the names of its objectives."""

ScaleName = Literal["raw", "rating", "unit", "centred", "standardised", "sigmoid"]
SCALES: tuple[ScaleName, ...] = get_args(ScaleName)

OF_RATINGS = ("rating", "unit")
"""Scales that are made of the scale of an objective's ratings; the last three are made of the reference set."""

Column = NDArray[np.float64]
"""Shape (n,), one number for each response."""


@dataclass(frozen=True, slots=True, eq=False)
class ScaledRewards:
    """A choice of rewards on one scale."""

    names: tuple[str, ...]
    """m names of objectives, or `score`, in the order asked for."""
    debiased: bool
    """Whether the rewards are those after debiasing."""
    places: tuple[int, ...]
    """(m,) each name's place among the model's k objectives; k for the score."""
    rescale: tuple[Callable[[Column], Column], ...]
    """(m,) from a reward, or the score, to its number on the scale."""

    def of(self, scored: Sequence[Scored]) -> NDArray[np.float64]:
        """The numbers (n, m) of n responses.

        Raises:
            UserError: one of them is not finite.
        """
        columns = np.empty((len(scored), len(self.names)))  # (n, m)
        for column, place, rescale in zip(columns.T, self.places, self.rescale, strict=True):
            column[:] = [
                one.score if place == len(one.rewards) else (one.adjusted if self.debiased else one.rewards)[place]
                for one in scored
            ]
            with np.errstate(over="ignore", invalid="ignore"):  # looked at below
                column[:] = rescale(column)
        if not np.isfinite(columns).all():
            name = self.names[int(np.flatnonzero(~np.isfinite(columns).all(axis=0))[0])]
            raise UserError(f"{name} is not finite on this scale: ask for another, or export the model again")
        return columns


@dataclass(frozen=True, slots=True, eq=False)
class RewardScales:
    """The scales that a model can give."""

    objectives: tuple[str, ...]
    scales: Mapping[str, Scale]
    """Objective -> scale of its ratings, where it is known."""
    reference: ReferenceMoments | None
    """Moments on the reference set; None in folders of earlier versions and in the published checkpoint."""
    score_temperature: float | None
    """Temperature of the score; None where none was fitted."""

    def chosen(
        self, names: Sequence[str], scale: str = "raw", *, debiased: bool = False, steered: bool = False
    ) -> ScaledRewards:
        """Some rewards on a scale.

        Args:
            names: objectives, or `score`; different ones, whose order is kept.
            scale: one of `SCALES`.
            debiased: whether rewards are those after debiasing; the score is made of these in any case.
            steered: whether a profile's weights are in the place of the gate's.

        Raises:
            UserError: a name is unknown or repeated, there is none, or the model cannot give one of them on this scale.
        """
        if isinstance(names, str):
            raise UserError(f"objectives is the text {names[:80]!r}: give a list of names")
        if not names:
            raise UserError(f"objectives names nothing: choose from {some_names(self.known)}")
        if scale not in SCALES:
            raise UserError(f"there is no scale {str(scale)[:80]!r}: choose from {', '.join(SCALES)}")
        for place, name in enumerate(names):
            if name not in self.known:
                raise UserError(
                    f"{str(name)[:80]!r} is no objective of this model: choose from {some_names(self.known)}"
                )
            if name in names[:place]:
                raise UserError(f"{name!r} is named twice among the objectives: name it once")
        places = tuple(self.known.index(name) for name in names)
        for place in places:
            if fault := self._fault(place, scale, debiased=debiased, steered=steered):
                raise UserError(fault)
        return ScaledRewards(tuple(names), debiased, places, self._rescale(places, scale, debiased=debiased))

    def of_score(self, scale: str = "raw", *, steered: bool = False) -> ScaledRewards:
        """The model's score on a scale, whatever its objectives are called; raises `UserError` as `chosen` does."""
        place = len(self.objectives)
        if fault := self._fault(place, scale, debiased=False, steered=steered):
            raise UserError(fault)
        return ScaledRewards((SCORE,), False, (place,), self._rescale((place,), scale, debiased=False))

    def available(self, scale: str, *, debiased: bool = False) -> tuple[str, ...]:
        """Objectives that `chosen` takes with this scale, in the model's order."""
        return tuple(
            name
            for place, name in enumerate(self.objectives)
            if self._fault(place, scale, debiased=debiased, steered=False) is None
        )

    @property
    def known(self) -> tuple[str, ...]:
        """The names of all rewards, the score's the last; an objective of the name 'score' hides it."""
        return self.objectives if SCORE in self.objectives else (*self.objectives, SCORE)

    def _fault(self, place: int, scale: str, *, debiased: bool, steered: bool) -> str | None:
        """Why the model cannot give a reward on a scale, in one sentence; None where it can."""
        of_score = place == len(self.objectives)
        name = SCORE if of_score else self.objectives[place]
        if scale == "raw":
            return None
        if scale in OF_RATINGS:
            if of_score:
                return f"the score is no rating and has no scale {scale!r}: ask for 'sigmoid', or leave it out"
            if name not in self.scales:
                return f"the scale of the ratings of {name!r} is not known, which {scale!r} needs: ask for another"
            if debiased:
                return f"a debiased reward is no rating and has no scale {scale!r}: ask for another, or leave it biased"
            return None
        if of_score and steered:
            return (
                f"the scale {scale!r} of the score is known under the gate's own weights alone: leave out the profile,"
                " or ask for 'raw'"
            )
        moments = self._moments(place, debiased=debiased)
        if moments is None:
            return (
                f"the model holds no mean of {name!r} on a reference set, which the scale {scale!r} needs: run `armorm"
                " train-gating` and `armorm export` again, or ask for another"
            )
        if of_score and scale == "sigmoid":
            fitted = self.score_temperature is not None
            return None if fitted else "no temperature was fitted to the score: ask for 'standardised' in place of it"
        if moments.std is None and scale != "centred":
            return f"{name!r} does not vary on the reference set, so it has no scale {scale!r}: leave it out"
        return None

    def _moments(self, place: int, *, debiased: bool) -> Moments | None:
        if self.reference is None:
            return None
        if place == len(self.objectives):
            return self.reference.score
        return (self.reference.debiased if debiased else self.reference.rewards)[self.objectives[place]]

    def _rescale(
        self, places: tuple[int, ...], scale: str, *, debiased: bool
    ) -> tuple[Callable[[Column], Column], ...]:
        """The maps of rewards to a scale that `_fault` has nothing against."""
        if scale == "raw":
            return (_unchanged,) * len(places)
        if scale in OF_RATINGS:
            own = [self.scales[self.objectives[place]] for place in places]
            return tuple(each.raw if scale == "rating" else partial(_unit, each) for each in own)
        maps = []
        for place in places:
            moments = self._moments(place, debiased=debiased)
            assert moments is not None
            size = self.score_temperature if scale == "sigmoid" and place == len(self.objectives) else moments.std
            if scale == "centred":
                size = 1.0
            assert size is not None
            maps.append(partial(_sigmoid if scale == "sigmoid" else _standardised, moments.mean, size))
        return tuple(maps)


def factors_of(weights: Sequence[float] | None, count: int) -> Column:
    """Factors (m,) by which m rewards are added to one number: the weights, or 1 / m each, which gives the mean.

    Raises:
        UserError: there are not m weights, or one is not finite.
    """
    if weights is None:
        return np.full(count, 1.0 / count)
    if len(weights) != count:
        raise UserError(f"there are {len(weights)} weights and {count} objectives: give one weight for each, or none")
    factors = np.array([float(weight) for weight in weights])  # (m,)
    if not np.isfinite(factors).all():
        raise UserError(f"a weight is {factors[~np.isfinite(factors)][0]}: give finite numbers")
    return factors


def _unchanged(values: Column) -> Column:
    return values


def _unit(scale: Scale, values: Column) -> Column:
    return np.clip((scale.raw(values) - scale.low) / (scale.high - scale.low), 0.0, 1.0)


def _standardised(mean: float, size: float, values: Column) -> Column:
    return (values - mean) / size


def _sigmoid(mean: float, size: float, values: Column) -> Column:
    return 0.5 * (1.0 + np.tanh(_standardised(mean, size, values) / 2.0))  # `gating.reward.logistic`, of an array
