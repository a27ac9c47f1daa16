"""Reading selected rows of selected hidden states out of one forward pass."""

from typing import Any

import torch
from torch import Tensor, nn

from cache import UserError


def decoder_layers(model: nn.Module) -> nn.ModuleList:
    """The layers of a decoder of any family.

    Raises:
        UserError: the layers are not found.
    """
    for name in ("layers", "h", "blocks"):
        layers = getattr(model, name, None)
        if isinstance(layers, nn.ModuleList):
            return layers
    raise UserError(f"backbone.model: {type(model).__name__} has no list of decoder layers: use a decoder-only model")


class HiddenStateReader:
    """Runs a decoder and stores only the requested rows, so that no layer's states stay in memory as a whole.

    Layers are numbered as transformers numbers `hidden_states`: 0 is the embeddings, i is the output of
    decoder layer i, and the last one (-1) comes after the final norm.
    """

    def __init__(self, model: nn.Module, layers: tuple[int, ...]) -> None:
        self._model = model
        self.layers = decoder_layers(model)
        count = len(self.layers)
        self._indices = [layer if layer >= 0 else count + 1 + layer for layer in layers]
        self._last = count
        self._rows: Tensor | None = None
        self._kept: dict[int, Tensor] = {}
        for index in set(self._indices) - {count}:
            # hidden_states[i] is the input of decoder layer i.
            self.layers[index].register_forward_pre_hook(self._keeper(index))

    def skip_unread_rows(self) -> None:
        """Restrict the last layer's feed-forward part to the rows that are read; the others are not used again.

        The other rows get an output of 0. That part is most of a layer: 81 % of the multiplications in Llama 3 8B.
        """
        feed_forward = getattr(self.layers[-1], "mlp", None)
        if feed_forward is None:
            return
        whole = feed_forward.forward

        def rows_alone(states: Tensor) -> Any:  # (1, tokens, d)
            computed = whole(states[:, self._rows])  # (1, m, d)
            if not isinstance(computed, Tensor):  # some mixtures of experts return their routing too
                return whole(states)
            output = torch.zeros_like(states)
            output[:, self._rows] = computed
            return output

        feed_forward.forward = rows_alone

    def read(self, rows: Tensor, **inputs: Any) -> Tensor:
        """Run the model on a batch and return its states at `rows`.

        Args:
            rows: (m,) int64, indices into the batch's positions, one sequence after another.
            inputs: keyword arguments for the model.

        Returns:
            (m, layers, hidden_size), float32, on the model's device.
        """
        self._rows = rows
        self._kept = {}
        last = self._model(use_cache=False, **inputs).last_hidden_state  # (b, positions, d)
        self._kept[self._last] = last.flatten(0, 1)[rows]  # (m, d)
        states = torch.stack([self._kept[index] for index in self._indices], dim=1)  # (m, layers, d)
        return states.float()

    def _keeper(self, index: int) -> Any:
        def keep(_module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            self._kept[index] = arguments[0].flatten(0, 1)[self._rows]  # (m, d)

        # Which rows are read changes from pack to pack; a compiled layer would not follow.
        return torch.compiler.disable(keep)  # type: ignore[no-untyped-call]
