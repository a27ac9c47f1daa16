"""Linear layers with the same input, computed as one product: one large product is faster than three."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

READ_TOGETHER = (("self_attn", ("q_proj", "k_proj", "v_proj")), ("mlp", ("gate_proj", "up_proj")))
"""Part of a decoder layer, and its linear layers with the same input in Llama, Qwen, Mistral and Gemma."""


def join_products(layer: nn.Module) -> None:
    """Compute queries, keys and values in one product, and the two halves of a gated feed-forward part in one.

    The weights are moved next to each other in memory, without a second copy. A part that is built otherwise stays
    as it is.

    Args:
        layer: a decoder layer, whose linear layers are replaced in place.
    """
    for part, names in READ_TOGETHER:
        module = getattr(layer, part, None)
        parts = [getattr(module, name, None) for name in names]
        # Subclasses (quantised, adapted) do more than a product.
        linears = [each for each in parts if type(each) is nn.Linear]
        if len(linears) < len(names) or len({each.bias is None for each in linears}) > 1:
            continue
        joined = _Joined(linears)
        for index, name in enumerate(names):
            setattr(module, name, _Part(joined, index))


class _Joined(nn.Module):
    """The joint product, whose outputs are stored until every part has been taken."""

    def __init__(self, linears: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.sizes = [each.out_features for each in linears]
        self.weight = nn.Parameter(_adjacent([each.weight for each in linears]), requires_grad=False)
        biases = [each.bias for each in linears if each.bias is not None]
        self.bias = nn.Parameter(_adjacent(biases), requires_grad=False) if biases else None
        self._inputs: Tensor | None = None
        self._outputs: list[Tensor] = []
        self._left = 0

    def part(self, inputs: Tensor, index: int) -> Tensor:
        """Output of the linear layer at `index` for states (…, d); the first request for them computes all outputs."""
        if self._inputs is not inputs:
            self._inputs = inputs
            self._outputs = list(torch.split(linear(inputs, self.weight, self.bias), self.sizes, dim=-1))
            self._left = len(self.sizes)
        output = self._outputs[index]
        self._left -= 1
        if self._left == 0:
            self._inputs, self._outputs = None, []
        return output


class _Part(nn.Module):
    """Replacement of one of the linear layers."""

    def __init__(self, joined: _Joined, index: int) -> None:
        super().__init__()
        self.joined = joined
        self.index = index

    def forward(self, inputs: Tensor) -> Tensor:
        return self.joined.part(inputs, self.index)


def _adjacent(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors concatenated along the first dimension; they become views of the result, so there is one copy."""
    if _are_adjacent(tensors):  # another engine over the same weights has moved them
        first = tensors[0].detach()
        rows = sum(len(each) for each in tensors)
        return first.as_strided((rows, *first.shape[1:]), first.stride(), first.storage_offset())
    whole = torch.cat([each.detach() for each in tensors])
    for each, part in zip(tensors, torch.split(whole, [len(each) for each in tensors]), strict=True):
        each.data = part
    return whole


def _are_adjacent(tensors: Sequence[Tensor]) -> bool:
    """Whether the tensors follow one another in one storage."""
    ends = tensors[0].data_ptr()
    for each in tensors:
        if each.data_ptr() != ends or not each.is_contiguous():
            return False
        ends += each.nbytes
    # Tensors of a memory-mapped file also follow one another, each in a separate storage.
    return len({each.untyped_storage().data_ptr() for each in tensors}) == 1
