"""Pairs as the gate and the other rules are fitted on them: prompt features and adjusted rewards."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from cache import FeatureStore, UserError
from cache.keys import Keys, key_column, unique_keys
from cache.progress import Progress
from gating.measured import Measured
from gating.prompts import Prompts, prompts_of
from gating.settings import GateSettings
from gating.training.pairs import GatePairs, refuse_undecided
from gating.transform import Transform
from heads.pairs.margin_weights import margin_weight, refuse_without_margins
from heads.stored import predict_stored


@dataclass(frozen=True, slots=True)
class GateInputs:
    """Pairs, one for each row of `table`."""

    table: pl.DataFrame
    """Result of `usable_pairs`."""
    prompts: Prompts
    """(p, d) features of the distinct prompts."""
    prompt: NDArray[np.int64]
    """(n,) each pair's row in `prompts`."""
    keys: Keys
    """(m, 16) keys of the distinct responses."""
    chosen: NDArray[np.int64]
    """(n,) each pair's chosen response, as a row of `keys`."""
    rejected: NDArray[np.int64]
    """(n,) each pair's rejected response, as a row of `keys`."""
    chosen_rewards: NDArray[np.float32]
    """(n, k) adjusted rewards."""
    rejected_rewards: NDArray[np.float32]
    """(n, k)"""

    @property
    def tied(self) -> NDArray[np.bool_]:
        """(n,) True where neither response is preferred."""
        return self.table["tied"].to_numpy()

    @property
    def difference(self) -> NDArray[np.float32]:
        """(n, k) adjusted rewards of the chosen response less those of the rejected."""
        return self.chosen_rewards - self.rejected_rewards

    def rows(self, split: str, *, decided: bool = False) -> NDArray[np.int64]:
        """Row numbers of a split's pairs, without ties if `decided`."""
        mask = (self.table["split"] == split).to_numpy()
        return np.flatnonzero(mask & ~self.tied if decided else mask)

    def gate_pairs(self, split: str, *, totals: bool = True) -> GatePairs:
        """A split as the gate's training takes it, with `GatePairs.total` or, in less memory, without."""
        rows = self.rows(split)
        chosen, rejected = self.chosen_rewards[rows], self.rejected_rewards[rows]  # (s, k) each
        margin, weight = (self.table[name].to_numpy()[rows] for name in ("score_margin", "weight"))  # (n,) each
        return GatePairs(
            self.prompts,
            torch.from_numpy(self.prompt[rows]),
            torch.from_numpy(chosen - rejected),
            torch.from_numpy(self.tied[rows]),
            torch.from_numpy(margin.astype(np.float32)),
            torch.from_numpy(weight.astype(np.float32)),
            torch.from_numpy(chosen + rejected) if totals else None,
        )


def usable_pairs(
    pairs: pl.DataFrame, settings: GateSettings, weighted: Collection[str], store: FeatureStore
) -> pl.DataFrame:
    """The rows of the table `pairs` whose set has a weight above 0, with three more columns.

    `tied`: neither response is preferred; `score_margin`: score difference that the pair asks for; `weight`: weight
    in the loss.

    Args:
        pairs: table of pairs.
        settings: which pairs are ties, and the weights and margins of sets.
        weighted: names of the sets whose pairs count by their margin.
        store: holds the features of the prompts.

    Raises:
        UserError: there are no pairs in a split, or ties alone, or a prompt lies in both splits or has no feature; or
            a set that is to count by margins has none.
    """
    refuse_without_margins(pairs, weighted)
    table = _with_roles(pairs, settings, weighted)
    _refuse_shared_prompts(table)
    _refuse_missing_prompts(table, store)
    for name, split in (("training", "train"), ("validation", "validation")):
        ties = table.filter(pl.col("split") == split)["tied"]
        refuse_undecided(name, len(ties), int(ties.sum()))
    return table


def gate_inputs(
    table: pl.DataFrame,
    store: FeatureStore,
    weight: NDArray[np.float32],
    transform: Transform,
    objectives: tuple[str, ...],
    progress: Progress,
) -> GateInputs:
    """Adjusted rewards and prompt features of pairs.

    Args:
        table: result of `usable_pairs`.
        store: holds the features.
        weight: (k, layers * hidden_size) linear heads.
        transform: takes verbosity out of their rewards.
        objectives: names of the k rewards.
        progress: receives the number of responses read.

    Raises:
        UserError: a reward is not finite.
    """
    keys, (chosen, rejected) = unique_keys(table["chosen_key"], table["rejected_key"])
    rewards = predict_stored(store, keys, weight, progress)  # (m, k)
    _refuse_not_finite(rewards, table, chosen, rejected, objectives)
    sides = [
        transform.apply(rewards[place], Measured.of_rows(table, side)).astype(np.float32)  # (n, k)
        for place, side in ((chosen, "chosen"), (rejected, "rejected"))
    ]
    prompt_keys, (prompt,) = unique_keys(table["prompt_key"])
    return GateInputs(table, prompts_of(store, prompt_keys), prompt, keys, chosen, rejected, *sides)


def _with_roles(pairs: pl.DataFrame, settings: GateSettings, weighted: Collection[str]) -> pl.DataFrame:
    if pairs.is_empty():
        raise UserError("there are no pairs to train the gate on: add a pair set to the recipe, and extract again")

    def by_set(values: dict[str, float], default: float) -> pl.Expr:
        return pl.col("dataset").replace_strict(values, default=default, return_dtype=pl.Float64)

    tied = pl.col("margin").fill_null(float("inf")) <= by_set(settings.ties, 0.0)
    with_roles = pairs.with_columns(
        tied=tied,
        score_margin=pl.col("margin").fill_null(0.0) * by_set(settings.margin, 0.0),
        weight=by_set(settings.pair_weights, 1.0) * margin_weight(weighted, tied),
    ).filter(pl.col("weight") > 0)
    if with_roles.is_empty():
        raise UserError("gate.pair_weights leaves out every pair set that has pairs: give one a weight above 0")
    return with_roles


def _refuse_shared_prompts(pairs: pl.DataFrame) -> None:
    shared = pairs.filter(pl.col("split").n_unique().over("prompt_key") > 1)
    if not shared.is_empty():
        first = shared.row(0, named=True)
        raise UserError(
            f"{shared['prompt_key'].n_unique()} prompts lie both in the training and in the validation pairs, the"
            f" first that of {first['dataset']}, row {first['row']}: held-out accuracy would mean nothing; run"
            " `armorm extract` again, which splits by prompt"
        )


def _refuse_missing_prompts(pairs: pl.DataFrame, store: FeatureStore) -> None:
    missing = store.missing(key_column(pairs["prompt_key"]))
    if missing.any():
        first = pairs.row(int(missing.argmax()), named=True)
        raise UserError(
            f"the prompts of {int(missing.sum())} pairs have no feature in {store.folder}, the first that of"
            f" {first['dataset']}, row {first['row']}: run `armorm extract` again"
        )


def _refuse_not_finite(
    rewards: NDArray[np.float64],
    pairs: pl.DataFrame,
    chosen: NDArray[np.int64],
    rejected: NDArray[np.int64],
    objectives: tuple[str, ...],
) -> None:
    broken = ~np.isfinite(rewards)  # (m, k)
    if broken.any():
        objective = int(broken.any(axis=0).argmax())
        pair = int((broken[chosen, objective] | broken[rejected, objective]).argmax())
        first = pairs.row(pair, named=True)
        raise UserError(
            f"the reward {objectives[objective]} is not finite for {first['dataset']}, row {first['row']}:"
            " run `armorm fit-heads` again, or take the objective out of the recipe"
        )
