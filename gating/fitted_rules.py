"""A run's reward model with its aggregation rules, applied to stored features."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import Keys
from cache.prefetch import prefetched
from gating.measured import Measured
from gating.reward import GATE_PREFIX, RewardParts, below
from gating.rules import RULES
from gating.rules.rule import Arrays, Responses, Scores
from gating.settings import GateSettings, Verbosity
from gating.task_router import TaskRouter
from heads.ridge.uncertainty import Uncertainty


@dataclass(frozen=True, slots=True)
class FittedRules:
    """Everything that turns stored features into every rule's scores."""

    parts: RewardParts
    bradley_terry: NDArray[np.float64]
    """(layers * hidden_size,) the plain Bradley-Terry head."""
    router: TaskRouter
    rules: Mapping[str, Arrays]
    """Rule -> the arrays that fitting it returned."""

    @classmethod
    def of_arrays(
        cls,
        objectives: tuple[str, ...],
        weight: NDArray[np.float32],
        arrays: Arrays,
        verbosity: Verbosity,
        settings: GateSettings,
        uncertainty: Uncertainty | None = None,
    ) -> "FittedRules":
        """Read back the result of `arrays`; arguments and errors as in `RewardParts.of_arrays`."""
        return cls(
            RewardParts.of_arrays(objectives, weight, arrays, verbosity, settings, uncertainty),
            arrays["bradley_terry.weight"],
            TaskRouter(torch.from_numpy(arrays["router.weight"]), torch.from_numpy(arrays["router.bias"])),
            {rule: below(arrays, f"rules.{rule}.") for rule in RULES},
        )

    def arrays(self) -> Arrays:
        """The arrays that training the gate stores; the linear heads have a file of their own."""
        gate = self.parts.gate.state_dict()
        return (
            {GATE_PREFIX + name: value.numpy() for name, value in gate.items()}
            | {"lambda": self.parts.transform.lambdas(), "bradley_terry.weight": self.bradley_terry}
            | {"router.weight": self.router.weight.numpy(), "router.bias": self.router.bias.numpy()}
            | {f"rules.{rule}.{name}": array for rule, arrays in self.rules.items() for name, array in arrays.items()}
        )

    def scores(self, responses: Responses) -> dict[str, Scores]:
        """Rule -> scores (n,) of responses."""
        return {name: rule.scores(responses, self.rules[name]) for name, rule in RULES.items()}

    def reward_weights(self, responses: Responses) -> dict[str, NDArray[np.float64]]:
        """Rule -> weights (n, k) of the adjusted rewards in its scores, for the rules whose scores are such sums."""
        given = {name: rule.reward_weights for name, rule in RULES.items()}
        return {name: weigh(responses, self.rules[name]) for name, weigh in given.items() if weigh is not None}

    def responses(self, store: FeatureStore, prompts: Keys, responses: Keys, measured: Measured) -> Responses:
        """Responses given by key, as aggregation rules see them.

        Args:
            store: holds the features.
            prompts: (n, 16) key of each response's prompt.
            responses: (n, 16)
            measured: length and marks of style of each response.
        """
        distinct, place = np.unique(prompts, axis=0, return_inverse=True)
        parts = self.parts
        heads = np.concatenate([parts.weight, self.bradley_terry[None].astype(np.float32)]).T  # (d, k + 1)
        predicted = np.empty((len(responses), heads.shape[-1]))
        weights = np.empty((len(distinct), len(parts.objectives)), dtype=np.float32)
        task = np.empty(len(distinct), dtype=np.int64)
        # One pass over the store for both; the next batch is read while the gate multiplies this one.
        with _one_thread_for_reading():
            for positions, features in prefetched(store.stream(np.concatenate([distinct, responses]))):
                flat = features.reshape(len(features), -1)  # (b, layers * d)
                is_prompt = positions < len(distinct)  # (b,)
                if is_prompt.any():
                    batch, rows = flat[is_prompt], positions[is_prompt]
                    weights[rows] = parts.weights(batch)
                    task[rows] = self.router.route(torch.from_numpy(batch)).numpy()
                # Prompts too: a few products more cost less than a copy of the responses' features.
                predicted[positions[~is_prompt] - len(distinct)] = (flat @ heads)[~is_prompt]
        rewards, plain = predicted[:, :-1], predicted[:, -1]
        adjusted = parts.transform.apply(rewards, measured)  # (n, k)
        place = place.reshape(-1)
        return Responses(
            adjusted.astype(np.float32),
            weights[place],
            task[place],
            plain,
            measured.tokens,
            rewards.astype(np.float32),
        )


@contextmanager
def _one_thread_for_reading() -> Iterator[None]:
    """Leave a processor to the thread that reads: with as many threads as processors, products wait for it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads - 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
