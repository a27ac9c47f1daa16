"""The check that an exported folder scores as the parts it was made of: loaded by transformers alone, and by us."""

import gc
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cache import UserError
from cache.errors import MOST_CHARACTERS
from export import folder_scores
from export.reward_model import RewardModel
from gating.reward import Scored

CONVERSATIONS: tuple[tuple[dict[str, str], ...], ...] = tuple(
    tuple({"role": role, "content": text} for role, text in zip(("user", "assistant") * 2, texts, strict=False))
    for texts in (
        ("What are some synonyms for the word beautiful?", "Handsome, stunning, gorgeous, pretty, elegant."),
        ("What are some synonyms for the word beautiful?", "I do not know."),
        ("Hello", "Hello! How can I help?", "Add 2 and 3.", "# Sum\n\n- 2 + 3 = **5**\n\n```python\nprint(2 + 3)\n```"),
    )
)
"""One prompt with two responses, and one conversation of two turns."""

LARGEST_DIFFERENCE = {"float32": 1e-3, "float16": 0.02, "bfloat16": 0.1}
"""Largest difference of a score, relative to the sizes of its terms: a padded batch rounds differently from a single
sequence."""

LARGEST_ERROR_DIFFERENCE = {"float32": 0.01, "float16": 0.1, "bfloat16": 0.5}
"""Largest relative difference of a standard error: a leverage is quadratic in the features, and largest along the
directions of which the rated rows, and so the backbone's digits, say least."""

REMEDY = "--no-check writes the folder all the same"


def check_folder(folder: Path, expected: Sequence[Scored], dtype: str, device: torch.device) -> float:
    """Score `CONVERSATIONS` with the folder's model, as transformers loads it and as `RewardModel.load` does.

    transformers runs in a process of its own, with padding on the left and on the right. One model is loaded at a time.

    Args:
        folder: the folder that was just written.
        expected: scores of the parts.
        dtype: dtype of the backbone.
        device: device to run on.

    Returns:
        The largest difference of a score, relative to the sum of the sizes of its terms.

    Raises:
        UserError: the folder does not load or run, or a difference is more than rounding.
    """
    release(device)
    sides = scores_by_transformers(folder, dtype, device)
    by_transformers = max(_difference(side.scores, expected) for side in sides)
    _refuse_difference(by_transformers, "loaded with transformers, the exported model scores", dtype)
    for side in sides:
        _refuse_other_errors(side.errors, expected, "loaded with transformers, the exported model gives", dtype)
    own = RewardModel.load(folder, device=str(device)).score(CONVERSATIONS)
    by_us = _difference([one.score for one in own], expected)
    _refuse_difference(by_us, "the exported model scores", dtype)
    _refuse_other_errors([_errors(one) for one in own], expected, "the exported model gives", dtype)
    release(device)
    return max(by_transformers, by_us)


def release(device: torch.device) -> None:
    """Give the memory of models that are no longer used back to the device, for other processes."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


@dataclass(frozen=True, slots=True)
class FolderScores:
    """Results of an exported folder for `CONVERSATIONS`."""

    scores: list[float]
    errors: list[list[float]]
    """Standard errors of a conversation's rewards, then of its score; empty where the folder holds no uncertainty."""


def scores_by_transformers(folder: Path, dtype: str, device: torch.device) -> list[FolderScores]:
    """Scores of `CONVERSATIONS` by the folder's own class in another process: padded on the left, and on the right.

    Raises:
        UserError: the process failed; the sentence ends with its last line.
    """
    request = {"conversations": CONVERSATIONS, "dtype": dtype, "device": str(device)}
    with tempfile.TemporaryDirectory() as modules:
        done = subprocess.run(
            # -P: neither this folder's modules nor the working directory's stand before those of packages
            [sys.executable, "-P", folder_scores.__file__, str(folder.absolute())],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"HF_MODULES_CACHE": modules, "HF_HUB_OFFLINE": "1"},
        )
    if done.returncode:
        raise UserError(
            f"transformers cannot run the exported model ({_failure(done)}): this backbone cannot be exported as it is;"
            f" {REMEDY}"
        )
    return [FolderScores(**side) for side in json.loads(done.stdout.strip().splitlines()[-1])]


def _failure(done: "subprocess.CompletedProcess[str]") -> str:
    """The last line of a failed process, or the signal that ended it."""
    if done.returncode < 0:
        return f"the process was ended by {signal.Signals(-done.returncode).name}"
    lines = [line for line in done.stderr.strip().splitlines() if line and not line.startswith(" ")]
    return lines[-1][:MOST_CHARACTERS] if lines else f"exit code {done.returncode}"


def _difference(scores: Sequence[float], expected: Sequence[Scored]) -> float:
    """Largest difference of a score, relative to the sum of the sizes of its terms; infinite if one is not finite."""
    differences = [
        abs(score - one.score) / np.abs(one.contributions).sum() for score, one in zip(scores, expected, strict=True)
    ]
    largest = float(np.max(differences))
    return largest if math.isfinite(largest) else math.inf


def _errors(scored: Scored) -> list[float]:
    """Standard errors of the rewards, then of the score; empty without uncertainty."""
    known = scored.uncertainty
    return [] if known is None else [*known.reward_std.tolist(), known.score_std]


def _refuse_other_errors(errors: Sequence[Sequence[float]], expected: Sequence[Scored], what: str, dtype: str) -> None:
    """Refuse standard errors that differ from the pipeline's by more than rounding."""
    wanted = np.array([_errors(one) for one in expected])  # (conversations, k + 1)
    if not wanted.size and not any(map(len, errors)):
        return
    given = np.array(errors)
    if given.shape != wanted.shape or not np.allclose(given, wanted, rtol=LARGEST_ERROR_DIFFERENCE[dtype], atol=1e-12):
        raise UserError(
            f"{what} standard errors other than the pipeline's: this backbone cannot be exported with its uncertainty;"
            f" --without-uncertainty leaves it out, and {REMEDY}"
        )


def _refuse_difference(difference: float, what: str, dtype: str) -> None:
    if difference > LARGEST_DIFFERENCE[dtype]:
        raise UserError(
            f"{what} otherwise than the pipeline (by {difference:.2g} of its terms): this backbone cannot be exported"
            f" as it is; {REMEDY}"
        )
