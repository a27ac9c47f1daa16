"""Several gates trained as one: parameters are stacked, so that each operation of a step is one call for all gates."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from gating.gate import Gate


class GateStack:
    """Trainable parameters of s gates of one shape over the same prompts.

    Args:
        gates: gates with their initial weights.
        dtype: dtype of the hidden layers' products. Their weights stay float32: a step often changes a weight by
            less than bfloat16 resolves.
    """

    def __init__(self, gates: Sequence[Gate], dtype: torch.dtype) -> None:
        self._shape = gates[0]
        self._hidden = tuple(f"layers.{number}." for number in range(len(gates[0].layers) - 1))
        self._dtype = dtype
        stacked, _ = stack_module_state(list(gates))
        scale = stacked.pop("logit_scale").detach()  # (s, 1)
        self.layers = {name: nn.Parameter(value.detach()) for name, value in stacked.items()}  # (s, ...)
        # Training moves the logarithm: a step then changes the scale by a fraction, whatever unit rewards are in,
        # and the scale stays above 0, so that no objective counts against a response.
        self.log_scale = nn.Parameter(scale.log())  # (s, 1)

    def __len__(self) -> int:
        return len(self.log_scale)

    def weights(self, prompts: Tensor, dropout_mask: Tensor | None = None) -> Tensor:
        """Every gate's weights for prompts (n, d). Shape (s, n, k); `dropout_mask` as in `Gate.forward`."""
        state = {
            name: value.to(self._dtype) if name.startswith(self._hidden) else value
            for name, value in self.layers.items()
        } | {"logit_scale": self.log_scale.exp()}

        def one(parameters: dict[str, Tensor]) -> Tensor:
            return functional_call(self._shape, parameters, (prompts, dropout_mask))

        if len(self) == 1:  # a batch of one product is slower than the product
            return one({name: value[0] for name, value in state.items()})[None]
        return vmap(one)(state)

    def snapshot(self, gate: int) -> dict[str, Tensor]:
        """A copy of one gate's current parameters, under the names of `Gate`."""
        parameters = self.layers | {"logit_scale": self.log_scale.exp()}
        return {name: value[gate].detach().clone() for name, value in parameters.items()}
