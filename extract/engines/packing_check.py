"""Whether a family's features survive packing: tried on a few tokens before any row is."""

from typing import Any

import torch

from cache import UserError
from extract.engines.hidden_states import HiddenStateReader
from extract.engines.packed_attention import NAME, SegmentPlan
from extract.packing import Segment

LENGTHS = (40, 9, 30)
"""Tokens of a prompt and of its two responses."""

LARGEST_DIFFERENCE = {torch.float32: 1e-3, torch.float16: 0.02, torch.bfloat16: 0.1}
"""Relative. Ten times what rounding does, and less than an attention that sees the wrong tokens does."""


def check_packing(model: Any, reader: HiddenStateReader, vocabulary: int, device: torch.device) -> None:
    """Compare a small pack with its conversations one at a time under transformers' own attention.

    Transformers hands each family's peculiarities (attention sinks, chunks, biases) to the attention as
    arguments that it is free to ignore, so that nothing but the numbers tells whether all were heeded.

    Raises:
        UserError: they differ by more than rounding.
    """
    prompt, first, second = LENGTHS
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (sum(LENGTHS),), generator=generator).to(device)  # (tokens,)
    ends = torch.tensor([prompt, prompt + first, sum(LENGTHS)], device=device)
    segments = (
        Segment(0, prompt, 0, 0),
        Segment(prompt, prompt + first, 0, prompt),
        Segment(prompt + first, sum(LENGTHS), 0, prompt),
    )
    positions = torch.cat([torch.arange(prompt + first), torch.arange(prompt, prompt + second)]).to(device)
    packed = reader.read(
        ends - 1,
        input_ids=ids[None],
        position_ids=positions[None],
        packing=SegmentPlan(segments, {}, len(reader.layers) - 1),
    )  # (3, layers, d)
    model.set_attn_implementation("eager")
    alone = [
        reader.read(torch.tensor([len(own) - 1], device=device), input_ids=own[None])
        for own in (ids[:prompt], ids[: prompt + first], torch.cat([ids[:prompt], ids[prompt + first :]]))
    ]
    model.set_attn_implementation(NAME)
    expected = torch.cat(alone)  # (3, layers, d)
    difference = float((packed - expected).norm() / expected.norm())
    if not difference <= LARGEST_DIFFERENCE[model.dtype]:
        raise UserError(
            f"packing changes the features of {model.config.model_type} (by {difference:.2g} of their size):"
            " set extract.engine to 'padded'"
        )
