"""The pooler that reads the states of selected tokens. Only vLLM's workers import this module."""

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from vllm.model_executor.layers.pooler import Pooler
from vllm.v1.pool.metadata import PoolingMetadata, PoolingStates

from extract.engines.vllm_requests import TASK


class PositionPooler(Pooler):  # type: ignore[misc]  # vllm is no dependency of the type check
    """Returns the final, normed states at a request's positions, and nothing else.

    A long request is computed in chunks over several steps, and a pre-empted request is computed again from its
    first token, whether or not the runner still knows it. So states are stored by position until the step that
    ends the request: a position computed twice overwrites itself.
    """

    def __init__(self) -> None:
        super().__init__()
        # A weak key, so that the states of a dropped request go with it.
        self._kept: WeakKeyDictionary[PoolingStates, dict[int, Tensor]] = WeakKeyDictionary()

    def get_supported_tasks(self) -> set[str]:
        """See vLLM's `Pooler`."""
        return {TASK}

    def forward(self, hidden_states: Tensor, pooling_metadata: PoolingMetadata) -> list[Tensor | None]:
        """Read the states of one step.

        Args:
            hidden_states: (tokens, d), the step's tokens of all requests, one request after the other.
            pooling_metadata: the requests, and which of their tokens this step computed.

        Returns:
            For each request that ends with this step (positions, d) float32, in the order of its
            `extra_kwargs["positions"]`, else None. A position that was never computed, because its state was in
            the prefix cache, has no row: the caller counts the rows.
        """
        cursor = pooling_metadata.get_pooling_cursor()
        counts = cursor.num_scheduled_tokens_cpu.tolist()
        stops = cursor.seq_lens_cpu.tolist()
        tokens: list[int] = []
        places: list[tuple[dict[int, Tensor], int]] = []
        before = 0  # tokens of this step that belong to earlier requests
        for params, state, count, stop in zip(
            pooling_metadata.pooling_params, pooling_metadata.pooling_states, counts, stops, strict=True
        ):
            kept = self._kept.setdefault(state, {})
            start = stop - count
            for position in _positions(params):
                if start <= position < stop:
                    tokens.append(before + position - start)
                    places.append((kept, position))
            before += count
        # One gather for all requests. It copies, which matters: the next step may write into the same buffer.
        states = hidden_states[torch.tensor(tokens, dtype=torch.long, device=hidden_states.device)].float()
        for (kept, position), row in zip(places, states, strict=True):
            kept[position] = row  # (d,)
        return [
            self._finish(state, _positions(params), hidden_states) if finished else None
            for params, state, finished in zip(
                pooling_metadata.pooling_params,
                pooling_metadata.pooling_states,
                cursor.get_finished_mask(),
                strict=True,
            )
        ]

    def _finish(self, state: PoolingStates, positions: list[int], like: Tensor) -> Tensor:
        kept = self._kept.pop(state)
        rows = [kept[position] for position in positions if position in kept]
        return torch.stack(rows) if rows else like.new_empty((0, like.shape[-1]), dtype=torch.float32)


def _positions(params: Any) -> list[int]:
    """The positions that a request asks for; none in vLLM's own trial runs."""
    positions: list[int] = (params.extra_kwargs or {}).get("positions", [])
    return positions


class PoolerInstaller:
    """A mixin for vLLM's worker class (`worker_extension_cls`)."""

    model_runner: Any
    """Set by the worker class."""

    def install_position_pooler(self) -> None:
        """Set the model's pooler."""
        self.model_runner.get_model().pooler = PositionPooler()
