"""Training the gate: a preference loss on the gated difference of rewards, backbone and heads frozen.

Everything but the gate is computed beforehand: a step touches one feature row per distinct prompt and
one row of reward differences per pair.
"""

import logging
import math
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from cache import UserError
from cache.progress import Progress, silent
from gating.gate import Gate
from gating.logistic_weights import logistic_weights
from gating.prompts import BLOCK_ROWS, read_ahead
from gating.results import Metrics
from gating.settings import GateSettings
from gating.training.pairs import GatePairs
from gating.training.precision import is_large, training_dtype
from gating.training.preference_loss import bradley_terry_ties
from gating.training.stack import GateStack
from gating.training.standardising import Standardising
from gating.training.trained_gate import SeedResult, TrainedGate

log = logging.getLogger(__name__)


def train_gate(
    train: GatePairs, validation: GatePairs, settings: GateSettings, progress: Progress = silent
) -> TrainedGate:
    """Minimise the loss of g(x) · (r'_chosen - r'_rejected) with AdamW and a cosine schedule.

    Validation pairs are evaluated every `settings.check_every` steps. Each seed keeps its gate with the lowest
    validation loss, and the seed with the best validation accuracy is selected; training stops after
    `settings.patience` evaluations in which no seed had a lower loss. The same settings give the same gate to the
    bit on one machine with the same number of threads.

    Raises:
        UserError: there are no pairs, all are ties, or a reward or feature is not finite.
    """
    for name, pairs in (("training", train), ("validation", validation)):
        pairs.check(name)
    if settings.loss == "bradley_terry":
        train, validation = train.decided(), validation.decided()
    features = train.prompts.shape[-1]
    dtype = training_dtype(settings, features)
    with _threads(torch.get_num_threads() if is_large(settings, features) else 1):
        scaling = (
            Standardising.fit(train.prompts, train.used_prompts())
            if settings.standardise
            else Standardising.none(features)
        )
        training = _Training(train, validation, scaling, settings, dtype)
        log.info(
            "training %s on %s pairs, hidden layers in %s, %d threads",
            "one gate" if settings.seeds == 1 else f"{settings.seeds} gates",
            f"{len(train):,}",
            str(dtype).removeprefix("torch."),
            torch.get_num_threads(),
        )
        return training.train(progress)


class _Training:
    """Training of all seeds on the same batches."""

    def __init__(
        self,
        train: GatePairs,
        validation: GatePairs,
        scaling: Standardising,
        settings: GateSettings,
        dtype: torch.dtype,
    ) -> None:
        self._train, self._validation, self._scaling, self._settings = train, validation, scaling, settings
        self._seeds = [settings.seed + number for number in range(settings.seeds)]
        self._gates = [
            _seeded_gate(seed, train.prompts.shape[-1], train.difference.shape[-1], settings) for seed in self._seeds
        ]
        self._stack = GateStack(self._gates, dtype)
        if settings.scale_start == "fitted":
            self._stack.log_scale.data.fill_(math.log(_scale_of_equal_weights(train)))
        self._dtype = dtype
        # The threshold is its softplus and starts at log 2: an even match is then a tie once in three times.
        self._raw_threshold = torch.nn.Parameter(torch.zeros(settings.seeds, 1))
        self._random = torch.Generator().manual_seed(settings.seed)

    def train(self, progress: Progress) -> TrainedGate:
        settings = self._settings
        optimiser, schedule = self._optimiser()
        metrics: list[list[Metrics]] = [[] for _ in self._seeds]
        best: list[dict[str, Tensor]] = [{} for _ in self._seeds]
        thresholds = [0.0] * len(self._seeds)
        last_improved = 0
        with closing(read_ahead(self._train.prompts, self._batches())) as batches:
            for step, batch in enumerate(batches, start=1):
                losses = self._step(optimiser, batch)
                schedule.step()
                if step % settings.check_every and step < settings.steps:
                    continue
                for seed, now in enumerate(self._evaluate(step, losses)):
                    if not math.isfinite(now.loss):
                        raise UserError(f"the gate's loss is not finite after {step} steps: lower gate.learning_rate")
                    if now.loss < min((earlier.loss for earlier in metrics[seed]), default=math.inf):
                        best[seed], last_improved = self._stack.snapshot(seed), step
                        thresholds[seed] = float(softplus(self._raw_threshold.detach()[seed, 0]))
                    metrics[seed].append(now)
                progress("training the gate", step, settings.steps, "steps")
                if step - last_improved >= settings.patience * settings.check_every:
                    progress("training the gate", settings.steps, settings.steps, "steps")
                    break
        results = tuple(
            SeedResult(seed, min(of_seed, key=lambda each: each.loss), tuple(of_seed))
            for seed, of_seed in zip(self._seeds, metrics, strict=True)
        )
        selected = min(range(len(results)), key=lambda at: (-results[at].best.accuracy, results[at].best.loss))
        gate = self._gates[selected]
        gate.load_state_dict(best[selected])
        self._scaling.fold_into(gate.layers[0])  # type: ignore[arg-type]
        with_ties = settings.loss == "bradley_terry_ties"
        return TrainedGate(
            gate.eval(),
            results[selected],
            results,
            thresholds[selected] if with_ties else None,
            self._dtype,
            torch.get_num_threads(),
        )

    def _optimiser(self) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        settings = self._settings
        groups: list[dict[str, Any]] = [
            {"params": list(self._stack.layers.values())},
            {
                "params": [self._stack.log_scale, self._raw_threshold],
                "lr": settings.scale_learning_rate,
                "weight_decay": 0.0,
            },
        ]
        optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
        return optimiser, torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)

    def _batches(self) -> Generator["_Batch", None, None]:
        """Random pairs for each step, with their dropout. Nothing else draws random numbers while this is read."""
        settings = self._settings
        for _ in range(settings.steps):
            rows = torch.randint(len(self._train), (settings.batch_pairs,), generator=self._random)  # (b,)
            batch = _Batch.of(self._train.at(rows))
            yield replace(batch, dropout_mask=self._dropout_mask(len(batch.features))) if settings.dropout else batch

    def _step(self, optimiser: torch.optim.Optimizer, batch: "_Batch") -> Tensor:
        """One step of all seeds on the same pairs; their losses. Shape (s,)."""
        losses = _weighted_mean(self._pair_losses(batch.pairs, *self._scores(batch)), batch.pairs.weight)  # (s,)
        optimiser.zero_grad(set_to_none=True)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return losses.detach()

    def _pair_losses(self, pairs: GatePairs, margins: Tensor, levels: Tensor | None) -> Tensor:
        """Loss of every pair: margins and levels (s, n) -> (s, n)."""
        wanted = torch.zeros(()) if pairs.margin is None else pairs.margin  # (n,)
        with_ties = self._settings.loss == "bradley_terry_ties"
        threshold = softplus(self._raw_threshold) if with_ties else torch.zeros(())
        tied = pairs.tied if with_ties else None
        losses = bradley_terry_ties(margins, wanted, tied, threshold, self._settings.label_smoothing)
        return losses if levels is None else losses + self._settings.center_rewards_coefficient * levels.square()

    def _scores(self, batch: "_Batch") -> tuple[Tensor, Tensor | None]:
        """Differences of the scores of both responses, and their sums where rewards are centred. Shape (s, n) each."""
        pairs = batch.pairs
        # A batch at a time: a standardised copy of all prompts would take as much memory as the prompts do.
        features = self._scaling.apply(batch.features, self._dtype)  # (distinct prompts, d)
        weights = self._stack.weights(features, batch.dropout_mask)  # (s, distinct prompts, k)
        # index_select and not indexing: the gradient of the latter adds in any order on several threads.
        of_pairs = weights.index_select(1, batch.place)  # (s, n, k)
        margins = (of_pairs * pairs.difference).sum(dim=-1)  # (s, n)
        if not self._settings.center_rewards_coefficient:
            return margins, None
        assert pairs.total is not None, "centred rewards need the pairs' totals"
        return margins, (of_pairs * pairs.total).sum(dim=-1)

    def _dropout_mask(self, rows: int) -> Tensor:
        """Factors 0 or 1 / (1 - dropout), which keep the expected value. Shape (hidden_layers, rows, hidden_size)."""
        settings = self._settings
        shape = (settings.hidden_layers, rows, settings.hidden_size)
        mask = torch.rand(shape, generator=self._random) >= settings.dropout
        return mask.to(self._dtype) / (1.0 - settings.dropout)

    @torch.inference_mode()
    def _evaluate(self, step: int, train_losses: Tensor) -> list[Metrics]:
        """Each seed's metrics on the validation pairs."""
        pairs = self._validation
        every = torch.split(torch.arange(len(pairs)), BLOCK_ROWS)
        batches = read_ahead(pairs.prompts, (_Batch.of(pairs.at(rows)) for rows in every))
        scores = [self._scores(batch) for batch in batches]
        margins = torch.cat([of_block for of_block, _ in scores], dim=-1)  # (s, n)
        levels = [of_block for _, of_block in scores if of_block is not None]
        pair_losses = self._pair_losses(pairs, margins, torch.cat(levels, dim=-1) if levels else None)  # (s, n)
        losses = _weighted_mean(pair_losses, pairs.weight)  # (s,)
        decided = margins if pairs.tied is None else margins[:, ~pairs.tied]
        accuracies = (decided > 0).double().mean(dim=-1)  # (s,)
        return [Metrics(step, *map(float, values)) for values in zip(train_losses, losses, accuracies, strict=True)]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Pairs with the features of their prompts."""

    pairs: GatePairs
    features: Tensor
    """(u, d) of the distinct prompts."""
    place: Tensor
    """(n,) each pair's row in `features`."""
    dropout_mask: Tensor | None = None
    """(hidden_layers, u, hidden_size)"""

    @classmethod
    def of(cls, pairs: GatePairs) -> "_Batch":
        prompts, place = torch.unique(pairs.prompt, return_inverse=True)
        return cls(pairs, pairs.prompts[prompts], place)


def _seeded_gate(seed: int, features: int, objectives: int, settings: GateSettings) -> Gate:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Gate(features, objectives, settings)


def _scale_of_equal_weights(pairs: GatePairs) -> float:
    """The logit scale at which equal weights make the pairs most likely; 1 where they contradict the pairs.

    Rewards differ by tenths. From a scale of 1 the scale and the gate learn at once, and giving all weight to one
    objective is the quicker way to a larger margin.
    """
    decided = pairs.decided()
    mean = decided.difference.double().mean(dim=-1, keepdim=True).numpy()  # (n, 1)
    weight = np.ones(len(decided)) if decided.weight is None else decided.weight.double().numpy()
    return max(1.0, float(logistic_weights(mean, weight, signed=True)[0]))


def _weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean over the last axis: values (s, n), weight (n,) -> (s,)."""
    return values.mean(dim=-1) if weight is None else (values * weight).sum(dim=-1) / weight.sum()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
