"""Several gates as one: their parameters stacked, so that a step costs one call an operation and not one a gate."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from gating.gate import Gate


class GateStack:
    """s gates of one shape over the same prompts, in training.

    Args:
        gates: with their first weights.
        dtype: of the hidden layers' products. Their weights stay float32: a step's change of a weight is
            often smaller than bfloat16 can tell apart.
    """

    def __init__(self, gates: Sequence[Gate], dtype: torch.dtype) -> None:
        self._shape = gates[0]
        self._hidden = tuple(f"layers.{number}." for number in range(len(gates[0].layers) - 1))
        self._dtype = dtype
        stacked, _ = stack_module_state(list(gates))
        scale = stacked.pop("logit_scale").detach()  # (s, 1)
        self.layers = {name: nn.Parameter(value.detach()) for name, value in stacked.items()}  # (s, ...)
        # Its logarithm is what is trained: a step is then a share of the scale, whatever unit rewards are in, and
        # the scale stays above 0, so that no objective counts against a response.
        self.log_scale = nn.Parameter(scale.log())  # (s, 1)

    def __len__(self) -> int:
        return len(self.log_scale)

    def weights(self, prompts: Tensor, kept: Tensor | None = None) -> Tensor:
        """Every gate's weights for prompts (n, d). Shape (s, n, k); `kept` as in `Gate.forward`."""
        state = {
            name: value.to(self._dtype) if name.startswith(self._hidden) else value
            for name, value in self.layers.items()
        } | {"logit_scale": self.log_scale.exp()}

        def one(own: dict[str, Tensor]) -> Tensor:
            return functional_call(self._shape, own, (prompts, kept))

        if len(self) == 1:  # a batch of one product is slower than the product
            return one({name: value[0] for name, value in state.items()})[None]
        return vmap(one)(state)

    def snapshot(self, gate: int) -> dict[str, Tensor]:
        """One gate's parameters as they are now, under the names of `Gate`."""
        everything = self.layers | {"logit_scale": self.log_scale.exp()}
        return {name: value[gate].detach().clone() for name, value in everything.items()}
