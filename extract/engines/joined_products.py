"""Linear layers that read the same states, computed as one product: a GPU does one large product faster than three."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

READ_TOGETHER = (("self_attn", ("q_proj", "k_proj", "v_proj")), ("mlp", ("gate_proj", "up_proj")))
"""Part of a decoder layer, and its linear layers that are given the same states in Llama, Qwen, Mistral and Gemma."""


def join_products(layer: nn.Module) -> None:
    """Compute queries, keys and values in one product, and the two halves of a gated feed-forward part in one.

    Their weights are moved side by side, without a second copy. A part that is built otherwise stays as it is.
    """
    for part, names in READ_TOGETHER:
        module = getattr(layer, part, None)
        own = [getattr(module, name, None) for name in names]
        # Subclasses (quantised, adapted) do more than a product.
        linears = [each for each in own if type(each) is nn.Linear]
        if len(linears) < len(names) or len({each.bias is None for each in linears}) > 1:
            continue
        joined = _Joined(linears)
        for place, name in enumerate(names):
            setattr(module, name, _Part(joined, place))


class _Joined(nn.Module):
    """The product, kept until each of its parts was taken."""

    def __init__(self, linears: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.sizes = [each.out_features for each in linears]
        self.weight = nn.Parameter(_side_by_side([each.weight for each in linears]), requires_grad=False)
        biases = [each.bias for each in linears if each.bias is not None]
        self.bias = nn.Parameter(_side_by_side(biases), requires_grad=False) if biases else None
        self._inputs: Tensor | None = None
        self._outputs: list[Tensor] = []
        self._left = 0

    def part(self, inputs: Tensor, place: int) -> Tensor:
        """The product's part at `place` for states (…, d), computed when the first part for them is asked for."""
        if self._inputs is not inputs:
            self._inputs = inputs
            self._outputs = list(torch.split(linear(inputs, self.weight, self.bias), self.sizes, dim=-1))
            self._left = len(self.sizes)
        output = self._outputs[place]
        self._left -= 1
        if self._left == 0:
            self._inputs, self._outputs = None, []
        return output


class _Part(nn.Module):
    """Stands where one of the linear layers stood."""

    def __init__(self, joined: _Joined, place: int) -> None:
        super().__init__()
        self.joined = joined
        self.place = place

    def forward(self, inputs: Tensor) -> Tensor:
        return self.joined.part(inputs, self.place)


def _side_by_side(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors as one, first dimension by first dimension; they become views of it, so that there is one copy."""
    if _lie_side_by_side(tensors):  # moved there for another engine over the same weights
        first = tensors[0].detach()
        rows = sum(len(each) for each in tensors)
        return first.as_strided((rows, *first.shape[1:]), first.stride(), first.storage_offset())
    whole = torch.cat([each.detach() for each in tensors])
    for each, part in zip(tensors, torch.split(whole, [len(each) for each in tensors]), strict=True):
        each.data = part
    return whole


def _lie_side_by_side(tensors: Sequence[Tensor]) -> bool:
    ends = tensors[0].data_ptr()
    for each in tensors:
        if each.data_ptr() != ends or not each.is_contiguous():
            return False
        ends += each.nbytes
    # Tensors of a file that is mapped into memory are neighbours too, in storages of their own.
    return len({each.untyped_storage().data_ptr() for each in tensors}) == 1
