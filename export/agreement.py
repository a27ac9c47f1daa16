"""The check that an exported folder, loaded by transformers, scores as the parts it was made of."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import logging as transformers_logging

from cache import UserError
from export.modeling_armorm import ArmoRewardModel
from gating.reward import Scored

CONVERSATIONS: tuple[tuple[dict[str, str], ...], ...] = tuple(
    tuple({"role": role, "content": text} for role, text in zip(("user", "assistant") * 2, texts, strict=False))
    for texts in (
        ("What are some synonyms for the word beautiful?", "Handsome, stunning, gorgeous, pretty, elegant."),
        ("What are some synonyms for the word beautiful?", "I do not know."),
        ("Hello", "Hello! How can I help?", "Add 2 and 3.", "2 + 3 = 5.\n\n```python\nprint(2 + 3)\n```"),
    )
)
"""One prompt with two responses, and one conversation of two turns."""

LARGEST_DIFFERENCE = {"float32": 1e-3, "float16": 0.02, "bfloat16": 0.1}
"""Largest difference of a score, relative to the sizes of its terms: a padded batch rounds differently from a single
sequence."""


def check_folder(folder: Path, expected: Sequence[Scored], dtype: str, device: torch.device) -> float:
    """Score `CONVERSATIONS` with the folder's model in one padded batch.

    Args:
        folder: the folder that was just written.
        expected: scores of the parts.
        dtype: dtype of the backbone.
        device: device to run on.

    Returns:
        The largest difference of a score, relative to the sum of the sizes of its terms.

    Raises:
        UserError: the difference is more than rounding.
    """
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        model = ArmoRewardModel.from_pretrained(folder, config=config, dtype=getattr(torch, dtype))
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    finally:
        transformers_logging.set_verbosity(verbosity)
    model = model.eval().to(device)
    batch = tokenizer.apply_chat_template(
        [list(conversation) for conversation in CONVERSATIONS],
        padding=True,
        return_tensors="pt",
        return_dict=True,
    ).to(device)
    with torch.inference_mode():
        scores = model(**batch).logits[:, 0].double().cpu().numpy()  # (n,)
    differences = [
        abs(score - one.score) / np.abs(one.contributions).sum() for score, one in zip(scores, expected, strict=True)
    ]
    largest = float(np.max(differences))
    if not largest <= LARGEST_DIFFERENCE[dtype]:
        raise UserError(
            f"the exported model scores otherwise than the pipeline (by {largest:.2g} of its terms): this backbone"
            " cannot be exported as it is; --no-check writes the folder all the same"
        )
    return largest
