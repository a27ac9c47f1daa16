"""A check on a few tokens, before any row, that packing does not change a family's features."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from cache import UserError
from extract.engines.hidden_states import HiddenStateReader
from extract.engines.packed_attention import NAME, Plan, VarlenPlan
from extract.packing import Segment

LENGTHS = (40, 9, 30)
"""Number of tokens of a prompt and of its two responses."""

DRAWS = 4
"""Draws of tokens before the backbone is rejected: a few embeddings that are NaN spoil only the rows with them."""

LARGEST_DIFFERENCE = {torch.float32: 1e-3, torch.float16: 0.02, torch.bfloat16: 0.1}
"""Largest relative difference of the three features that passes; at least five times the effect of rounding. An
attention that does not see the prompt changes features by 0.3 to 1.5, one that also sees the other response by 0.05 to
0.2 (small models of six families, in every dtype), so in bfloat16 not every such leak can be distinguished from
rounding."""


def check_packing(
    model: Any,
    reader: HiddenStateReader,
    vocabulary: int,
    device: torch.device,
    plan: Callable[[Sequence[Segment]], Plan],
) -> None:
    """Compare a small pack with its conversations one at a time under transformers' own attention.

    Transformers passes each family's peculiarities (attention sinks, chunks, biases) to the attention as
    arguments that it may ignore, so only the numbers show whether all were respected.

    Args:
        model: the decoder, with the packed attention.
        reader: the reader of its states.
        vocabulary: number of embeddings.
        device: where the model is.
        plan: the engine's own function from segments to a plan, so that the check runs the kernel of the run.

    Raises:
        UserError: the features differ by more than rounding, or are not finite for any of the draws.
    """
    for seed in range(DRAWS):
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randint(vocabulary, (sum(LENGTHS),), generator=generator).to(device)  # (tokens,)
        packed, expected = _both_ways(model, reader, ids, plan)
        if expected.isfinite().all():
            break
    else:
        raise UserError(
            f"the states of {model.config.model_type} are not finite in {str(model.dtype).removeprefix('torch.')},"
            " whatever the tokens: set backbone.dtype to another, or look for NaN in its weights"
        )
    packed, expected = packed.flatten(1), expected.flatten(1)  # (3, layers * d)
    difference = float(((packed - expected).norm(dim=-1) / expected.norm(dim=-1)).max())
    if not difference <= LARGEST_DIFFERENCE[model.dtype]:
        raise UserError(
            f"packing changes the features of {model.config.model_type} (by {difference:.2g} of their size):"
            " set extract.engine to 'padded'"
        )


def _both_ways(
    model: Any, reader: HiddenStateReader, ids: Tensor, plan: Callable[[Sequence[Segment]], Plan]
) -> tuple[Tensor, Tensor]:
    """The features of these tokens in a pack, and computed one conversation at a time. Each (3, layers, d) float32."""
    prompt, first, second = LENGTHS
    device = ids.device
    ends = torch.tensor([prompt, prompt + first, sum(LENGTHS)], device=device)
    segments = (
        Segment(0, prompt, 0, 0),
        Segment(prompt, prompt + first, 0, prompt),
        Segment(prompt + first, sum(LENGTHS), 0, prompt),
    )
    positions = torch.cat([torch.arange(prompt + first), torch.arange(prompt, prompt + second)]).to(device)
    packing = plan(segments)
    if isinstance(packing, VarlenPlan):
        packing = packing.moved(lambda tensor: tensor.to(device))
    packed = reader.read(ends - 1, input_ids=ids[None], position_ids=positions[None], packing=packing)  # (3, layers, d)
    model.set_attn_implementation("eager")
    alone = [
        reader.read(torch.tensor([len(own) - 1], device=device), input_ids=own[None])
        for own in (ids[:prompt], ids[: prompt + first], torch.cat([ids[:prompt], ids[prompt + first :]]))
    ]
    model.set_attn_implementation(NAME)
    return packed, torch.cat(alone)
