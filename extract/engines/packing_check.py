"""Whether a family's features survive packing: tried on a few tokens before any row is."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from cache import UserError
from extract.engines.hidden_states import HiddenStateReader
from extract.engines.packed_attention import NAME, Plan, VarlenPlan
from extract.packing import Segment

LENGTHS = (40, 9, 30)
"""Tokens of a prompt and of its two responses."""

DRAWS = 4
"""Draws of tokens before the backbone is held to be at fault: a few embeddings that are NaN cost their rows alone."""

LARGEST_DIFFERENCE = {torch.float32: 1e-3, torch.float16: 0.02, torch.bfloat16: 0.1}
"""Relative, of the worst of the three features; five times what rounding does, or more. An attention that does not
see the prompt moves them by 0.3 to 1.5, one that sees the other response too by 0.05 to 0.2 (small models of six
families, in every dtype), so that in bfloat16 not every such leak is told from rounding."""


def check_packing(
    model: Any,
    reader: HiddenStateReader,
    vocabulary: int,
    device: torch.device,
    plan: Callable[[Sequence[Segment]], Plan],
) -> None:
    """Compare a small pack with its conversations one at a time under transformers' own attention.

    Transformers hands each family's peculiarities (attention sinks, chunks, biases) to the attention as
    arguments that it is free to ignore, so that nothing but the numbers tells whether all were heeded.

    Args:
        model: the decoder, with the packed attention.
        reader: reads its states.
        vocabulary: number of embeddings.
        device: of the model.
        plan: makes the attention's plan, as it will for every pack.

    Raises:
        UserError: they differ by more than rounding, or are not finite whatever the tokens.
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
    """The features of these tokens as a pack, and one conversation at a time. Each (3, layers, d), float32."""
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
