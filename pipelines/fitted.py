"""A run's fitted parts as the rooms take them: linear heads, rules over stored features, a model that scores text."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from extract.backbone import Backbone, find_backbone
from gating.fitted_rules import FittedRules
from gating.gate import GateShapeError
from gating.reward import RewardParts
from gating.settings import verbosity_of
from heads.kinds.fitted import PairwiseHeads, RatingsHeads
from heads.ridge.conformal import ConformalIntervals
from heads.ridge.uncertainty import OtherArraysError, Uncertainty
from pipelines.artefacts import GATING, HEADS, INTERVALS, OTHER_HEADS, UNCERTAINTY
from pipelines.run import Run

if TYPE_CHECKING:
    from export.reward_model import RewardModel

log = logging.getLogger(__name__)


def linear_heads(run: Run) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Names of the k objectives that have a head, and their weights (k, layers * hidden_size).

    Raises:
        UserError: the heads are missing or out of date.
    """
    return tuple(run.read(HEADS).objectives), run.arrays(HEADS)["weight"]


def fitted_rules(run: Run) -> FittedRules:
    """The run's reward model with its aggregation rules.

    Raises:
        UserError: the heads or the gate are missing or out of date.
    """
    objectives, weight = linear_heads(run)
    gating = run.read(GATING)
    try:
        return FittedRules.of_arrays(
            objectives, weight, run.arrays(GATING), gating.verbosity, run.recipe.gate, uncertainty(run)
        )
    except (GateShapeError, KeyError):
        path = run.path("gating.safetensors")
        raise UserError(f"{path} is damaged: run `armorm {GATING.command}` again") from None


def uncertainty(run: Run) -> Uncertainty | None:
    """The uncertainty of the run's heads; None where the recipe asks for none, or its heads have none.

    Raises:
        UserError: the file is missing, out of date, or of an earlier version.
    """
    if run.read(HEADS).uncertainty is None:
        return None
    try:
        return Uncertainty.of_arrays(run.arrays(UNCERTAINTY))
    except OtherArraysError as error:
        raise UserError(
            f"{run.path(UNCERTAINTY)} was written by an earlier version ({error}): run `armorm {UNCERTAINTY.command}`"
            " again"
        ) from None


def intervals(run: Run) -> ConformalIntervals | None:
    """The intervals of the run's ratings; None in a recipe without ratings, wherever its heads were taken from.

    Raises:
        UserError: the file is missing, as in a run of an earlier version, out of date, or damaged.
    """
    if not run.rated:
        return None
    try:
        return ConformalIntervals.of_arrays(run.arrays(INTERVALS))
    except KeyError as error:
        raise UserError(
            f"{run.path(INTERVALS)} is damaged (there is no {error}): run `armorm {INTERVALS.command}` again"
        ) from None


def reward_parts(run: Run) -> RewardParts:
    """The run's reward model with all that a shown score comes with: standard errors and intervals.

    Raises:
        UserError: the heads, the gate or the intervals are missing or out of date.
    """
    return replace(fitted_rules(run).parts, intervals=intervals(run))


def pairwise_heads(run: Run) -> PairwiseHeads:
    """The heads of `[other_heads]` that give a response one score; none where the recipe names none.

    Raises:
        UserError: they are missing or out of date.
    """
    kinds = run.recipe.other_heads.fit
    return PairwiseHeads.of_arrays(kinds, run.arrays(OTHER_HEADS) if kinds else {})


def distribution_heads(run: Run) -> RatingsHeads:
    """The heads of `[other_heads]` that predict distributions, of kinds that have one for each objective of the run.

    The log names the others, and says why where none can be used.
    """
    named = RatingsHeads.of_arrays(run.recipe.other_heads.fit, {})
    if not named.weights:
        return named
    if (problem := run.problem(OTHER_HEADS)) is not None:
        log.warning("no distribution of the score: %s", problem)
        return RatingsHeads({})
    heads = RatingsHeads.of_arrays(named.weights, run.arrays(OTHER_HEADS))
    whole, missing = heads.of_all(linear_heads(run)[0])
    for kind, names in missing.items():
        log.warning("no distribution of the score by %s heads, for %s has none", kind, ", ".join(names))
    return whole


def own_backbone(run: Run) -> Backbone:
    """The backbone that the run's features were read from.

    A local backbone can change while the recipe stays; its states would mean nothing to the heads.

    Raises:
        UserError: nothing was extracted, or the backbone is another one now.
    """
    settings, stored = run.recipe.backbone, run.store.fingerprint
    backbone = find_backbone(settings)
    now = backbone.fingerprint(settings, stored.store_dtype, stored.engine)  # type: ignore[arg-type]
    if changed := stored.differences(now):
        raise UserError(
            f"the {changed[0]} of {settings.model} is not the one that {run.folder} was extracted with: run `armorm"
            " extract` and the commands after it again"
        )
    return backbone


def reward_model(run: Run) -> "RewardModel":
    """The run's reward model over its backbone, ready to score text.

    Raises:
        UserError: an earlier command is missing, or the backbone is another one now.
    """
    from export.reward_config import RewardConfig
    from export.reward_model import RewardModel

    parts, recipe, gating = reward_parts(run), run.recipe, run.read(GATING)
    config = RewardConfig(
        objectives=parts.objectives,
        scales=run.read(HEADS).scales,
        verbosity=verbosity_of(parts.transform.variables(parts.objectives)),
        reference=gating.reference,
        score_temperature=gating.rules["gate"].score_temperature,
    )
    return RewardModel.of_parts(run.folder, config, parts, own_backbone(run), recipe.backbone, recipe.extract)
