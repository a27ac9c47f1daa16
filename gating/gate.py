"""The gate: from a prompt's feature to how much each objective counts."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gating.prompts import Prompts, blocks
from gating.settings import GateSettings


class GateShapeError(Exception):
    """A gate's parameters are not as wide or deep as its settings say."""


class Gate(nn.Module):
    """MLP with ReLU; softmax over the objectives of logits / temperature, times a learned scale.

    Parameter names are the published checkpoint's below `gating.`: `layers.{i}.weight`, `.bias`,
    `logit_scale`. The reference training code takes the softmax over chosen and rejected instead of the
    objectives (issue 54 of RLHFlow/RLHF-Reward-Modeling), which gives every prompt the same weights.
    """

    def __init__(self, features: int, objectives: int, settings: GateSettings) -> None:
        super().__init__()
        widths = [features, *[settings.hidden_size] * settings.hidden_layers, objectives]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.logit_scale = nn.Parameter(torch.ones(1))
        self.temperature = settings.temperature

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor], features: int, objectives: int, settings: GateSettings) -> "Gate":
        """A trained gate from its parameters, ready for inference.

        Raises:
            GateShapeError: a parameter is missing, of another shape, or unknown.
        """
        # Settings may say anything: nothing is made in their size before the stored parameters bear it out.
        if len(state) != 2 * (settings.hidden_layers + 1) + 1:
            raise GateShapeError(f"{len(state)} parameters are not those of {settings.hidden_layers} hidden layers")
        widths = [features, *[settings.hidden_size] * settings.hidden_layers, objectives]
        shapes: dict[str, tuple[int, ...]] = {"logit_scale": (1,)}
        for number, (a, b) in enumerate(pairwise(widths)):
            shapes |= {f"layers.{number}.weight": (b, a), f"layers.{number}.bias": (b,)}
        for name, shape in shapes.items():
            if name not in state or tuple(state[name].shape) != shape:
                raise GateShapeError(f"{name} is missing, or not {' x '.join(map(str, shape))}")
        with torch.device("meta"):
            gate = cls(features, objectives, settings)
        gate.load_state_dict(state, assign=True)
        return gate.requires_grad_(False).eval()

    def forward(self, prompts: Tensor, dropout_mask: Tensor | None = None) -> Tensor:
        """Weights of the objectives: prompt features (n, d) -> (n, k), each row summing to `logit_scale`.

        Every layer computes in the dtype of its weights, so that training may give the hidden ones in
        bfloat16; the logits and the softmax are float32.

        Args:
            prompts: (n, d)
            dropout_mask: (hidden_layers, n, hidden_size) factors of dropout; None outside of training.
        """
        hidden = prompts  # (n, d)
        for number, layer in enumerate(self.layers[:-1]):
            hidden = torch.relu(_in_own_dtype(layer, hidden))  # (n, hidden_size)
            if dropout_mask is not None:
                hidden = hidden * dropout_mask[number]
        logits = _in_own_dtype(self.layers[-1], hidden)  # (n, k)
        return torch.softmax(logits / self.temperature, dim=-1) * self.logit_scale  # (n, k)

    @torch.inference_mode()
    def blockwise(self, prompts: Prompts) -> NDArray[np.float32]:
        """Weights for many prompts (p, d), computed block by block. Shape (p, k)."""
        return np.concatenate([self(block.float()).numpy() for block in blocks(prompts)])


def _in_own_dtype(layer: nn.Module, inputs: Tensor) -> Tensor:
    weight: Tensor = layer.weight  # type: ignore[assignment]
    outputs: Tensor = layer(inputs.to(weight.dtype))
    return outputs
