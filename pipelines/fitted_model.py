"""The fitted parts of a run, read back: heads, transform, gate and the plain head."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cache import FeatureStore, UserError
from cache.keys import Keys
from cache.prefetch import prefetched
from gating.gate import Gate
from gating.rules import RULES
from gating.rules.rule import Responses, Scores
from gating.settings import RESPONSE_TOKENS
from gating.task_router import TaskRouter
from pipelines.artefacts import Arrays, gating_inputs, heads_inputs, read_arrays, read_json
from pipelines.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Heads:
    """The linear heads of a run."""

    objectives: tuple[str, ...]
    weight: NDArray[np.float32]
    """(k, layers * hidden_size)"""

    @classmethod
    def read(cls, recipe: Recipe) -> "Heads":
        """Read what `armorm fit-heads` wrote for this recipe and its features."""
        report = read_json(recipe.folder / "heads.json", "fit-heads")
        extracted = read_json(recipe.folder / "extract.json", "extract")
        if report.get("fingerprint") != extracted.get("fingerprint"):
            raise UserError(f"{recipe.folder / 'heads.json'} is of other features: run `armorm fit-heads` again")
        if report.get("inputs") != heads_inputs(recipe):
            raise UserError(
                f"{recipe.folder / 'heads.json'} is of other rows or settings: run `armorm fit-heads` again"
            )
        weight = read_arrays(recipe.folder / "heads.safetensors", "fit-heads")["weight"]
        return cls(tuple(report["objectives"]), weight)


def verbosity_of(
    verbosity: str, rewards: NDArray[np.floating], objectives: tuple[str, ...], tokens: NDArray[np.integer]
) -> NDArray[np.floating]:
    """The verbosity of responses, as `debiasing.verbosity` names it. Shape (n,).

    Args:
        verbosity: an objective, 'response_tokens' (in thousands), or 'none'.
        rewards: (n, k)
        objectives: names of the k columns.
        tokens: (n,) lengths.
    """
    if verbosity == RESPONSE_TOKENS:
        return tokens / 1000.0
    if verbosity == "none":
        return np.zeros(len(tokens))
    return rewards[:, objectives.index(verbosity)]


@dataclass(frozen=True, slots=True)
class FittedModel:
    """Everything that turns stored features into scores."""

    heads: Heads
    verbosity: str
    lambdas: NDArray[np.float64]
    """(k,)"""
    gate: Gate
    bradley_terry: NDArray[np.float64]
    """(layers * hidden_size,)"""
    router: TaskRouter
    rules: dict[str, Arrays]
    """Rule -> what fitting it left."""

    @classmethod
    def read(cls, recipe: Recipe) -> "FittedModel":
        """Read what `armorm fit-heads` and `armorm train-gating` wrote."""
        heads = Heads.read(recipe)
        report = read_json(recipe.folder / "gating.json", "train-gating")
        arrays = read_arrays(recipe.folder / "gating.safetensors", "train-gating")
        if report.get("inputs") != gating_inputs(recipe):
            raise UserError(
                f"{recipe.folder / 'gating.json'} is of other heads, rows or settings: run `armorm train-gating` again"
            )
        gate = Gate(heads.weight.shape[-1], len(heads.objectives), recipe.gate)
        state = {name: torch.from_numpy(array) for name, array in _below(arrays, "gating.").items()}
        try:
            gate.load_state_dict(state)
        except RuntimeError:
            raise UserError(
                f"{recipe.folder / 'gating.safetensors'} was trained with other heads or gate settings:"
                " run `armorm train-gating` again"
            ) from None
        if tuple(report["lambda"]) != heads.objectives:
            raise UserError(
                f"{recipe.folder / 'gating.json'} has other objectives than the heads: run `armorm train-gating` again"
            )
        return cls(
            heads,
            report["verbosity"],
            arrays["lambda"],
            gate.eval(),
            arrays["bradley_terry.weight"],
            TaskRouter(torch.from_numpy(arrays["router.weight"]), torch.from_numpy(arrays["router.bias"])),
            {rule: _below(arrays, f"rules.{rule}.") for rule in RULES},
        )

    def scores(self, responses: Responses) -> dict[str, Scores]:
        """Every rule's scores of responses. Shapes (n,)."""
        return {name: rule.scores(responses, self.rules[name]) for name, rule in RULES.items()}

    def responses(self, store: FeatureStore, prompts: Keys, responses: Keys, tokens: NDArray[np.int32]) -> Responses:
        """What aggregation rules look at, for responses given by key.

        Args:
            store: holds the features.
            prompts: (n, 16) key of each response's prompt.
            responses: (n, 16)
            tokens: (n,) length of each response.
        """
        distinct, place = np.unique(prompts, axis=0, return_inverse=True)
        heads = np.concatenate([self.heads.weight, self.bradley_terry[None].astype(np.float32)]).T  # (d, k + 1)
        predicted = np.empty((len(responses), heads.shape[-1]))
        weights = np.empty((len(distinct), len(self.heads.objectives)), dtype=np.float32)
        task = np.empty(len(distinct), dtype=np.int64)
        # One pass over the store for both; the next batch is read while the gate multiplies this one.
        with _a_processor_reads():
            for positions, features in prefetched(store.stream(np.concatenate([distinct, responses]))):
                flat = features.reshape(len(features), -1)  # (b, layers * d)
                asked = positions < len(distinct)
                if asked.any():
                    batch, rows = torch.from_numpy(flat[asked]), positions[asked]
                    weights[rows], task[rows] = self.gate_weights(batch), self.router.route(batch).numpy()
                # Prompts too: a few products more cost less than a copy of the others' features.
                predicted[positions[~asked] - len(distinct)] = (flat @ heads)[~asked]
        rewards, plain = predicted[:, :-1], predicted[:, -1]
        verbosity = verbosity_of(self.verbosity, rewards, self.heads.objectives, tokens)
        adjusted = rewards - self.lambdas * verbosity[:, None]  # (n, k)
        place = place.reshape(-1)
        return Responses(adjusted.astype(np.float32), weights[place], task[place], plain, tokens)

    def gate_weights(self, prompts: torch.Tensor) -> NDArray[np.float32]:
        """The gate's weights for features of prompts (p, layers * d). Shape (p, k)."""
        with torch.inference_mode():
            weights: NDArray[np.float32] = self.gate(prompts).numpy()
        return weights


@contextmanager
def _a_processor_reads() -> Iterator[None]:
    """Leave one processor to the thread that reads: with as many threads as processors, products wait for it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads - 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _below(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
