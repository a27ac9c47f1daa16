"""The fitted reward model at run time: from features of the backbone to a score, term by term.

Evaluation, export, explanations, `armorm score` and the server all score with `RewardParts`, read from a run's arrays
or from an exported folder.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gating.gate import Gate
from gating.measured import Measured
from gating.rules.rule import Arrays
from gating.settings import GateSettings, Verbosity, variables_of
from gating.transform import Transform
from heads.ridge.conformal import ConformalIntervals, ResponseIntervals
from heads.ridge.uncertainty import Uncertainty

GATE_PREFIX = "gating."
"""Prefix of the gate's parameters, in a run's arrays and in the published checkpoint."""


def logistic(score: float) -> float:
    """1 / (1 + exp(-score)), without its overflow."""
    return 0.5 * (1.0 + math.tanh(score / 2.0))


@dataclass(frozen=True, slots=True, eq=False)
class ScoreUncertainty:
    """The uncertainty of one response's score, in the units of its rewards. All arrays are float64."""

    reward_std: NDArray[np.float64]
    """(k,) standard error of each reward; `Scale.raw_spread` gives it on the scale of the ratings."""
    contribution_std: NDArray[np.float64]
    """(k,) standard error of each contribution, that of its verbosity penalty included."""
    score_std: float
    """Standard error of the score, under the gate's weights as they are."""
    unfamiliar: bool | None
    """Whether the response is unlike all rated rows; None where too few validation rows tell."""
    leverage: NDArray[np.float64]
    """(k,) leverage of the response among the rows that each head learned from."""
    leverage_place: NDArray[np.float64]
    """(k,) fraction of each head's validation rows with a smaller leverage; NaN where too few tell."""

    @property
    def places(self) -> list[float | None]:
        """`leverage_place` as JSON holds it: None in place of NaN."""
        return [None if math.isnan(place) else place for place in self.leverage_place.tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class Steered:
    """The part of a user's profile in a score (`gating/steering.py`)."""

    profile: str
    """Name of the profile."""
    coefficients: NDArray[np.float64]
    """(k,) weights of the objectives, in place of the gate's."""
    veto: float
    """The score less the sum of the contributions: 0, or negative where the profile's cap takes something from it."""
    vetoed: tuple[str, ...]
    """Objectives whose rewards are below the profile's thresholds."""
    gate_score: float
    """Score under the gate's weights."""
    gate_contributions: NDArray[np.float64]
    """(k,) contributions under the gate's weights."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One response's score, and the terms it is the sum of. All but `weights` are float64."""

    score: float
    """Sum of `contributions`, added in order, as a reader of the terms would add them; and of `steered.veto`."""
    rewards: NDArray[np.float64]
    """(k,) predictions of the heads, before debiasing; `Objective.raw` gives them on the scale of the ratings."""
    adjusted: NDArray[np.float64]
    """(k,) rewards after debiasing."""
    weights: NDArray[np.float32]
    """(k,) the gate's weights for the prompt."""
    gains: NDArray[np.float64]
    """(k,) coefficients times rewards."""
    penalties: NDArray[np.float64]
    """(k,) coefficients times verbosity penalties."""
    contributions: NDArray[np.float64]
    """(k,) gains less penalties."""
    objectives: tuple[str, ...]
    """Names of the k objectives."""
    prompt_tokens: int
    measured: Measured
    """Length and marks of style of the response."""
    uncertainty: ScoreUncertainty | None = None
    """None where the model holds no uncertainty."""
    intervals: ResponseIntervals | None = None
    """Intervals of the response's ratings; None where the model holds none."""
    steered: Steered | None = None
    """The part of a profile; None where the gate's own weights are the coefficients."""

    @property
    def coefficients(self) -> NDArray[np.float64]:
        """(k,) the weights in use: those of the profile, or else the gate's."""
        return self.weights.astype(np.float64) if self.steered is None else self.steered.coefficients

    @property
    def by_objective(self) -> dict[str, float]:
        """Objective -> its contribution, as numbers of Python: they sum to the score, but for a profile's veto."""
        return dict(zip(self.objectives, self.contributions.tolist(), strict=True))

    @property
    def not_finite(self) -> str | None:
        """Name of the first result that is NaN or infinite, in the order of computation; None if all are finite."""
        results: dict[str, NDArray[Any]] = {
            "reward": self.rewards,
            "weight": self.weights,
            "adjusted reward": self.adjusted,
            "contribution": self.contributions,
            "score": np.asarray(self.score),
        }
        if self.uncertainty is not None:
            known = self.uncertainty
            results["standard error"] = np.hstack([known.reward_std, known.contribution_std, known.score_std])
        return next((name for name, values in results.items() if not np.isfinite(values).all()), None)

    @property
    def response_tokens(self) -> int:
        """Length of the response."""
        return int(self.measured.tokens[0])

    @property
    def tokens(self) -> int:
        """Length of prompt and response together."""
        return self.prompt_tokens + self.response_tokens

    @property
    def activated(self) -> float:
        """The logistic function of the score, as servers of sequence classifiers return it."""
        return logistic(self.score)


@dataclass(frozen=True, slots=True)
class RewardParts:
    """Linear heads, transform and gate over features of the backbone."""

    objectives: tuple[str, ...]
    """Names of the k rewards."""
    weight: NDArray[np.float32]
    """(k, layers * hidden_size) linear heads."""
    transform: Transform
    gate: Gate
    uncertainty: Uncertainty | None = None
    """Uncertainty of the rewards; None where none was fitted or kept."""
    intervals: ConformalIntervals | None = None
    """Intervals of the ratings; None where no ratings calibrated them, or they were not kept."""

    @classmethod
    def of_arrays(
        cls,
        objectives: tuple[str, ...],
        weight: NDArray[np.float32],
        arrays: Arrays,
        verbosity: Verbosity,
        settings: GateSettings,
        uncertainty: Uncertainty | None = None,
    ) -> "RewardParts":
        """The reward model of a run.

        Args:
            objectives: names of the k rewards.
            weight: (k, layers * hidden_size) the fitted heads.
            arrays: what training the gate stored: `lambda` and the gate's parameters below `gating.`.
            verbosity: the variables of the rows of `lambda`, or 'none'.
            settings: the shape of the gate.
            uncertainty: that of the heads, if it is known.

        Raises:
            GateShapeError: the gate's parameters are not of this shape.
        """
        state = {name: torch.from_numpy(array) for name, array in below(arrays, GATE_PREFIX).items()}
        gate = Gate.of_state(state, weight.shape[-1], len(objectives), settings)
        transform = Transform.of_lambdas(arrays["lambda"], variables_of(verbosity), objectives)
        return cls(objectives, weight, transform, gate, uncertainty)

    def arrays(self) -> list[NDArray[Any]]:
        """All numbers of the model, in a fixed order."""
        on_measured = self.transform.on_measured.values()
        gate = (value.numpy() for value in self.gate.state_dict().values())
        known = {} if self.uncertainty is None else self.uncertainty.arrays()
        between = {} if self.intervals is None else self.intervals.arrays()
        return [self.weight, self.transform.matrix, *on_measured, *gate, *known.values(), *between.values()]

    def rewards(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Features of responses (n, d) as rewards (n, k); products in float32, as in a run's evaluation."""
        return (features @ self.weight.T).astype(np.float64)

    def weights(self, prompts: NDArray[np.float32]) -> NDArray[np.float32]:
        """The gate's weights for features of prompts (n, d). Shape (n, k)."""
        with torch.inference_mode():
            weights: NDArray[np.float32] = self.gate(torch.from_numpy(prompts)).numpy()
        return weights

    def leverages(self, features: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Leverages (n, f) of responses from their features (n, d); None where the model holds no uncertainty."""
        return None if self.uncertainty is None else self.uncertainty.leverages(features)

    def score(
        self,
        rewards: NDArray[np.float64],
        weights: NDArray[np.float32],
        prompt_tokens: int,
        measured: Measured,
        leverages: NDArray[np.float64] | None = None,
    ) -> Scored:
        """The score of one response, in float64.

        Args:
            rewards: (k,) of the response.
            weights: (k,) of its prompt.
            prompt_tokens: length of the prompt.
            measured: length and marks of style of the response.
            leverages: (f,) of the response, as `leverages` gives them; None: the result holds no uncertainty.
        """
        taken = self.transform.penalties(rewards[None], measured)[0]  # (k,)
        coefficients = weights.astype(np.float64)  # (k,)
        gains, penalties = coefficients * rewards, coefficients * taken  # (k,) each
        contributions = gains - penalties
        return Scored(
            score=in_order(contributions),
            rewards=rewards,
            adjusted=rewards - taken,
            weights=weights,
            gains=gains,
            penalties=penalties,
            contributions=contributions,
            objectives=self.objectives,
            prompt_tokens=prompt_tokens,
            measured=measured,
            uncertainty=None if leverages is None else self._uncertainty(leverages[None], weights[None]),
            intervals=None if self.intervals is None else self.intervals.of_response(rewards, leverages),
        )

    def _uncertainty(self, leverages: NDArray[np.float64], weights: NDArray[np.float32]) -> ScoreUncertainty:
        """The uncertainty of one response: leverages (1, f), weights (1, k)."""
        known = self.uncertainty
        assert known is not None
        return ScoreUncertainty(
            reward_std=known.standard_errors(leverages)[0],
            contribution_std=known.combined_errors(leverages, self.transform.terms(weights[0])),
            score_std=float(self.score_std(leverages, weights)[0]),
            unfamiliar=bool(known.unfamiliar(leverages)[0]) if known.tells_familiar else None,
            leverage=leverages[0, known.factor_of],
            leverage_place=known.places(leverages)[0, known.factor_of],
        )

    def score_std(self, leverages: NDArray[np.float64], weights: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Standard errors (n,) of scores, or of margins between two responses of one prompt.

        Args:
            leverages: (n, f) of responses; or of the differences of two, as `Uncertainty.margin_leverages` gives them.
            weights: (n, k) the gate's weights for the prompts.

        Raises:
            ValueError: the model holds no uncertainty.
        """
        if self.uncertainty is None:
            raise ValueError("this reward model holds no uncertainty")
        return self.uncertainty.combined_errors(leverages, self.transform.coefficients(weights))


def in_order(terms: NDArray[np.float64]) -> float:
    """Sum of terms (k,) from the first to the last; numpy would add pairwise."""
    total = 0.0
    for term in terms.tolist():
        total += term
    return total


def below(arrays: Arrays, prefix: str) -> dict[str, NDArray[Any]]:
    """The arrays whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
