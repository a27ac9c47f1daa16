"""Compilation of decoder layers: when it pays, for which lengths, and what happens where it fails."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import nn

from cache import UserError
from cache.errors import first_line

log = logging.getLogger(__name__)

WORTH_COMPILING = 5e12
"""Multiplications (tokens times weights) after which 'auto' compiles on a CPU. They take about as long as compiling, so
that compiling at most doubles the time of a run that ends then: 50,000 tokens of a model of 100 million weights, whose
layers take 15 seconds to compile on 2 cores and then save 5 to 25 % of the time (benchmarks/extract.py)."""


class CompiledLayers:
    """Decoder layers that are compiled when the setting says so.

    On a GPU they are compiled for one length, that of full packs, and other packs run uncompiled. On a CPU they are
    compiled for all lengths, in 'auto' once a run has been shown to be long.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        setting: Literal["auto", "always", "never"],
        trial: Callable[[], Any],
        *,
        cuda: bool,
    ) -> None:
        """Compile nothing yet, but with 'always', or with 'auto' on a GPU.

        Args:
            layers: decoder layers whose shapes depend on the number of tokens alone.
            setting: `extract.compile`.
            trial: a pass over a few tokens, for which the layers of a CPU are compiled.
            cuda: whether the layers are on a GPU.

        Raises:
            UserError: 'always', and this machine cannot compile them.
        """
        self._layers = layers
        self._trial = trial
        self._cuda = cuda
        self._required = setting == "always"
        self._weights = sum(weight.numel() for layer in layers for weight in layer.parameters())
        self._multiplications_left = WORTH_COMPILING if setting == "auto" and not cuda else float("inf")
        self._failed = False
        self.for_one_length = False
        """Whether packs are padded to the length that the layers are compiled for."""
        if self._required or (setting == "auto" and cuda):
            self._compile()

    def before(self, tokens: int) -> None:
        """Compile the layers before a pass over `tokens` tokens, if a run of this length is worth it."""
        self._multiplications_left -= float(tokens) * self._weights
        if self._multiplications_left < 0:
            self._multiplications_left = float("inf")
            self._compile()

    def stance(self, *, full: bool) -> Any:
        """Context of a pass, for torch: whether compiled layers are used.

        Args:
            full: whether the pack has the length that a GPU's layers are compiled for.
        """
        compiled = not self._failed and (full or not self._cuda)
        return torch.compiler.set_stance("default" if compiled else "force_eager")

    def _compile(self) -> None:
        for layer in self._layers:
            layer.compile(dynamic=not self._cuda)
        if self._cuda:
            self.for_one_length = True
            log.info("decoder layers are compiled at the first full pack, which takes some seconds to a minute")
            return
        log.info("compiling the decoder layers, which takes some seconds to a minute")
        try:
            self._trial()
        except Exception as error:  # a compiler that is missing or broken fails in any way
            reason = f"the decoder layers cannot be compiled ({type(error).__name__}: {first_line(error)})"
            if self._required:
                raise UserError(f"{reason}: set extract.compile to 'auto', or install a C++ compiler") from None
            log.warning("%s: going on without", reason)
            self._failed = True
