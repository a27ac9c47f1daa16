"""The gate: from a prompt's feature to how much each objective counts."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from gating.settings import GateSettings


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

    def forward(self, prompts: Tensor, kept: Tensor | None = None) -> Tensor:
        """Weights of the objectives: prompt features (n, d) -> (n, k), each row summing to `logit_scale`.

        Every layer computes in the dtype of its weights, so that training may give the hidden ones in
        bfloat16; the logits and the softmax are float32.

        Args:
            prompts: (n, d)
            kept: (hidden_layers, n, hidden_size) dropout's factors, in training alone.
        """
        hidden = prompts  # (n, d)
        for number, layer in enumerate(self.layers[:-1]):
            hidden = torch.relu(_in_own_dtype(layer, hidden))  # (n, hidden_size)
            if kept is not None:
                hidden = hidden * kept[number]
        logits = _in_own_dtype(self.layers[-1], hidden)  # (n, k)
        return torch.softmax(logits / self.temperature, dim=-1) * self.logit_scale  # (n, k)


def _in_own_dtype(layer: nn.Module, inputs: Tensor) -> Tensor:
    weight: Tensor = layer.weight  # type: ignore[assignment]
    outputs: Tensor = layer(inputs.to(weight.dtype))
    return outputs
