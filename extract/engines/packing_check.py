"""Checks on a few tokens, before any row: that packing does not change a family's features, and that it is causal."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from cache import UserError
from cache.errors import first_line
from extract.engines.hidden_states import HiddenStateReader
from extract.engines.packed_attention import NAME, CannotPackError, Plan, VarlenPlan
from extract.engines.smaller_packs import does_not_fit
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
        plan: the engine's own function from segments to a plan, so that the check runs the kernel of later packs.

    Raises:
        CannotPackError: the features differ by more than rounding, or the pass over the pack fails.
        UserError: the features are not finite for any of the draws, or the device has no room for so few tokens.
    """
    family = model.config.model_type
    for ids in _draws(vocabulary, device):
        try:
            packed, expected = _both_ways(model, reader, ids, plan)
        except UserError:
            raise
        except torch.OutOfMemoryError:
            raise does_not_fit(len(ids), device) from None
        except Exception as error:  # a family's own code may fail in any way
            reason = f"a pack cannot pass through {family} ({type(error).__name__}: {first_line(error)})"
            raise CannotPackError(reason) from None
        if expected.isfinite().all():
            break
    else:
        raise not_finite(model)
    difference = largest_difference(packed, expected)
    if not difference <= LARGEST_DIFFERENCE[model.dtype]:
        raise CannotPackError(f"packing changes the features of {family} (by {difference:.2g} of their size)")


def check_causal(model: Any, reader: HiddenStateReader, vocabulary: int, device: torch.device) -> None:
    """See that a family runs on a few tokens, and that a prompt's state does not depend on the response.

    Raises:
        UserError: it does not run, its states depend on later tokens, or they are not finite for any of the draws.
    """
    family = model.config.model_type
    prompt, response, _ = LENGTHS
    row = torch.tensor([prompt - 1], device=device)
    for ids in _draws(vocabulary, device):
        try:
            alone = reader.read(row, input_ids=ids[None, :prompt])  # (1, layers, d)
            followed = reader.read(row, input_ids=ids[None, : prompt + response])
        except torch.OutOfMemoryError:
            raise does_not_fit(prompt + response, device) from None
        except Exception as error:  # a family's own code may fail in any way
            raise UserError(
                f"backbone.model: {family} fails on {prompt} tokens ({type(error).__name__}: {first_line(error)}):"
                " use another model"
            ) from None
        if alone.isfinite().all():
            break
    else:
        raise not_finite(model)
    difference = largest_difference(followed, alone)
    if not difference <= LARGEST_DIFFERENCE[model.dtype]:
        raise UserError(
            f"backbone.model: in {family} the state of a prompt changes with the response after it (by"
            f" {difference:.2g} of its size): use a decoder, whose tokens do not see later ones"
        )


def largest_difference(states: Tensor, expected: Tensor) -> float:
    """Largest distance between features, relative to their size. Each (n, layers, d)."""
    states, expected = states.flatten(1), expected.flatten(1)  # (n, layers * d)
    return float(((states - expected).norm(dim=-1) / expected.norm(dim=-1)).max())


def not_finite(model: Any) -> UserError:
    """The error of a backbone whose states are never finite."""
    return UserError(
        f"the states of {model.config.model_type} are not finite in {str(model.dtype).removeprefix('torch.')},"
        " whatever the tokens: set backbone.dtype to another, or look for NaN in its weights"
    )


def _draws(vocabulary: int, device: torch.device) -> Iterator[Tensor]:
    """Random token ids, (tokens,) int64 each."""
    for seed in range(DRAWS):
        generator = torch.Generator().manual_seed(seed)
        yield torch.randint(vocabulary, (sum(LENGTHS),), generator=generator).to(device)


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
