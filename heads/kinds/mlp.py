"""A two-layer reward head: one score from preferences, with a hidden layer between.

BaseReward (arXiv 2509.16127) found two layers with SiLU between them the best of one to five on top of its
backbone. Here the backbone is frozen and the head reads stored features.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from cache import UserError
from cache.progress import Progress, silent
from heads.kinds.bradley_terry import pair_weights
from heads.kinds.kind import Arrays, Features, Pairs, PairWeights, PairwiseFit, PairwiseKind

if TYPE_CHECKING:
    from torch import Tensor

BLOCK_ROWS = 4096
"""Rows scored at once."""


class MlpSettings(BaseModel):
    """`[other_heads.mlp]`: one score through a hidden layer with SiLU, trained on the pairs."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    hidden_size: int = Field(default=1024, ge=1)
    """Width of the hidden layer."""
    steps: int = Field(default=2000, ge=1)
    """Largest number of steps; the learning rate falls to zero over them."""
    batch_pairs: int = Field(default=256, ge=1)
    """Number of pairs in a step."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """AdamW's learning rate at the first step."""
    weight_decay: float = Field(default=0.1, ge=0)
    """AdamW's weight decay."""
    check_every: int = Field(default=50, ge=1)
    """Steps between two checks on the validation pairs."""
    patience: int = Field(default=10, ge=1)
    """Number of checks without a lower loss after which training stops."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the initial weights and of the order of pairs; the same seed gives the same head on one machine."""


class MlpHead(BaseEstimator):  # type: ignore[misc]
    """Score = v · SiLU(U f + b), trained by Bradley-Terry on pairs with AdamW and a cosine schedule.

    Batches are gathered from one array of features in its own dtype, so that only a batch is held in float32.
    Features are standardised for training; the fitted weights read features that are not.

    Args:
        hidden_size: width of the hidden layer.
        steps: largest number of steps; the learning rate falls to zero over them.
        batch_pairs: number of pairs in a step.
        learning_rate: AdamW's learning rate at the first step.
        weight_decay: AdamW's weight decay.
        check_every: steps between two checks on the validation pairs.
        patience: number of checks without a lower loss after which training stops.
        seed: seed of the initial weights and of the order of pairs.

    Attributes:
        hidden_weight_: (hidden_size, d) float32.
        hidden_bias_: (hidden_size,) float32.
        output_weight_: (hidden_size,) float32. There is no output bias: only differences of scores matter.
        validation_loss_: mean -log sigmoid(margin) of the validation pairs, at the selected step.
        n_iter_: the selected step.
    """

    def __init__(
        self,
        hidden_size: int = 1024,
        steps: int = 2000,
        batch_pairs: int = 256,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        check_every: int = 50,
        patience: int = 10,
        seed: int = 0,
    ) -> None:
        self.hidden_size = hidden_size
        self.steps = steps
        self.batch_pairs = batch_pairs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.check_every = check_every
        self.patience = patience
        self.seed = seed

    def fit(
        self,
        X: ArrayLike,
        pairs: ArrayLike,
        validation_pairs: ArrayLike,
        progress: Progress = silent,
        sample_weight: ArrayLike | None = None,
    ) -> "MlpHead":
        """Fit from features and pairs of their rows; keeps the weights with the lowest validation loss.

        Args:
            X: (m, d) features of any floating dtype.
            pairs: (n, 2) integers, the rows of the chosen and the rejected response.
            validation_pairs: (v, 2) of the same kind.
            progress: called with the number of steps.
            sample_weight: (n,) weights of the pairs in the loss; by default all 1.

        Raises:
            ValueError: X is not finite, there are no pairs, or a pair names no row of X; a weight is negative or not
                finite, or all are 0.
            FloatingPointError: the validation loss is not finite after some steps.
        """
        import torch  # here: a recipe that names this kind is read, and its scores are computed, without torch
        from torch import nn
        from torch.nn.functional import logsigmoid

        features: NDArray[np.floating[Any]] = check_array(X, dtype=[np.float32, np.float16])
        train = _pairs_of(pairs, len(features), "pairs")  # (n, 2)
        validation = _pairs_of(validation_pairs, len(features), "validation_pairs")  # (v, 2)
        counts = None
        if sample_weight is not None:
            weights = pair_weights(sample_weight, len(train))
            counts = (weights / weights.mean()).astype(np.float32)  # (n,)
        mean, spread = map(torch.from_numpy, _moments(features, np.unique(train)))  # (d,) each
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            first, second = nn.Linear(features.shape[-1], self.hidden_size), nn.Linear(self.hidden_size, 1, bias=False)

        def scores(rows: NDArray[np.int64]) -> "Tensor":
            some = (torch.from_numpy(features[rows]).float() - mean) / spread  # (b, d)
            return second(nn.functional.silu(first(some))).squeeze(-1)  # (b,)

        def margins(some: NDArray[np.int64]) -> "Tensor":
            both = scores(some.reshape(-1)).reshape(-1, 2)  # (b, 2)
            return both[:, 0] - both[:, 1]  # (b,)

        @torch.inference_mode()
        def validation_loss() -> float:
            blocks = [
                margins(validation[at : at + BLOCK_ROWS // 2]) for at in range(0, len(validation), BLOCK_ROWS // 2)
            ]
            return float(-logsigmoid(torch.cat(blocks)).mean())

        parameters = [*first.parameters(), *second.parameters()]
        optimiser = torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps)
        order = np.random.default_rng(self.seed)
        self.validation_loss_, self.n_iter_, best = math.inf, 0, [value.detach().clone() for value in parameters]
        for step in range(1, self.steps + 1):
            some = order.integers(len(train), size=self.batch_pairs)
            losses = -logsigmoid(margins(train[some]))  # (b,)
            # Over the weights of all pairs rather than of the batch: its expected value is then the weighted mean.
            loss = (losses if counts is None else torch.from_numpy(counts[some]) * losses).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            if step % self.check_every and step < self.steps:
                continue
            progress("training the two-layer head", step, self.steps, "steps")
            seen = validation_loss()
            if not math.isfinite(seen):
                raise FloatingPointError(f"the two-layer head's loss is not finite after {step} steps")
            if seen < self.validation_loss_:
                self.validation_loss_, self.n_iter_ = seen, step
                best = [value.detach().clone() for value in parameters]
            elif step - self.n_iter_ > self.patience * self.check_every:
                progress("training the two-layer head", self.steps, self.steps, "steps")
                break
        weight = best[0] / spread  # (hidden_size, d): reads features that are not standardised
        self.hidden_weight_: NDArray[np.float32] = weight.numpy()
        self.hidden_bias_: NDArray[np.float32] = (best[1] - weight @ mean).numpy()
        self.output_weight_: NDArray[np.float32] = best[2][0].numpy()
        self.n_features_in_ = features.shape[-1]
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores of features (n, d). Shape (n,)."""
        check_is_fitted(self)
        features: NDArray[np.floating[Any]] = check_array(X, dtype=[np.float32, np.float16])
        return mlp_scores(features, self.hidden_weight_, self.hidden_bias_, self.output_weight_)


def mlp_scores(
    features: NDArray[np.floating[Any]],
    hidden_weight: NDArray[np.float32],
    hidden_bias: NDArray[np.float32],
    output_weight: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Scores of features (n, d) by the stored weights. Shape (n,)."""
    scores = np.empty(len(features))
    for start in range(0, len(features), BLOCK_ROWS):
        block = features[start : start + BLOCK_ROWS].astype(np.float32)  # (b, d)
        hidden = block @ hidden_weight.T + hidden_bias  # (b, hidden_size)
        scores[start : start + BLOCK_ROWS] = (hidden * expit(hidden)) @ output_weight
    return scores


def _pairs_of(pairs: ArrayLike, rows: int, name: str) -> NDArray[np.int64]:
    checked = np.asarray(pairs)
    if checked.ndim != 2 or checked.shape[1] != 2 or not len(checked) or not np.issubdtype(checked.dtype, np.integer):
        raise ValueError(f"{name} must be (n, 2) integers, one row a pair, and at least one pair")
    if checked.min() < 0 or checked.max() >= rows:
        raise ValueError(f"{name} names a row outside the {rows} rows of X")
    return checked.astype(np.int64)


def _moments(features: NDArray[np.floating[Any]], rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    """Mean and standard deviation of every feature over some rows; a constant feature has deviation 1."""
    total, squares = np.zeros(features.shape[-1]), np.zeros(features.shape[-1])
    for start in range(0, len(rows), BLOCK_ROWS):
        block = features[rows[start : start + BLOCK_ROWS]].astype(np.float64)  # (b, d)
        total += block.sum(axis=0)
        squares += np.square(block).sum(axis=0)
    mean = total / len(rows)
    spread = np.sqrt(np.maximum(squares / len(rows) - mean**2, 0.0))
    spread[spread <= 1e-6 * np.abs(mean)] = 1.0
    spread[spread == 0] = 1.0
    return [mean.astype(np.float32), spread.astype(np.float32)]


def _fit(
    features: Features,
    train: Pairs,
    validation: Pairs,
    settings: MlpSettings,
    progress: Progress,
    weight: PairWeights | None = None,
) -> PairwiseFit:
    try:
        head = MlpHead(**settings.model_dump()).fit(features, train, validation, progress, weight)
    except FloatingPointError as error:
        raise UserError(f"{error}: lower other_heads.mlp.learning_rate") from None
    arrays: Arrays = {
        "hidden_weight": head.hidden_weight_,
        "hidden_bias": head.hidden_bias_,
        "output_weight": head.output_weight_,
    }
    return PairwiseFit(arrays, {"best_step": head.n_iter_, "validation_loss": head.validation_loss_})


def _scores(features: Features, arrays: Arrays) -> NDArray[np.float64]:
    return mlp_scores(features, arrays["hidden_weight"], arrays["hidden_bias"], arrays["output_weight"])


MLP = PairwiseKind("same features, two-layer head", "Bradley-Terry", MlpSettings, _fit, _scores, "hidden_weight")
