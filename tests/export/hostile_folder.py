"""Copies of an exported folder with something else in them, and the one thing that may happen when they are loaded."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from cache import UserError
from export.reward_model import RewardModel
from tests.export.conftest import SEVERAL

HEADS = "reward_heads.safetensors"
SECONDS = 60
"""Seconds on a busy machine; a folder like these is refused, or loaded and scored, in one."""

Values = dict[str, Any]
Tensors = dict[str, torch.Tensor]


class HangError(BaseException):
    """It took too long. No handler of `Exception` may take it for the folder's fault."""


@contextmanager
def in_time() -> Iterator[None]:
    """Raise HangError in the main thread after `SECONDS`."""

    def ring(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def copied(
    folder: Path,
    out: Path,
    *,
    config: Callable[[Values], object] = lambda _: None,
    heads: Callable[[Tensors], object] = lambda _: None,
) -> Path:
    """A copy of a folder whose config.json and heads were changed in place; the backbone's weights are linked."""
    out.mkdir()
    for path in folder.iterdir():
        if path.name.startswith("backbone-"):
            os.link(path, out / path.name)
        else:
            shutil.copy(path, out)
    values = json.loads((out / "config.json").read_text())
    config(values)
    (out / "config.json").write_text(json.dumps(values))
    tensors = load_file(out / HEADS)
    heads(tensors)
    save_file(tensors, out / HEADS, {"format": "pt"})
    return out


def listing(folder: Path) -> list[tuple[str, int, int]]:
    """Every file below a folder with its size and the time it was written."""
    return sorted(
        (str(path.relative_to(folder)), path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")
    )


def outcome(folder: Path) -> str | list[float]:
    """The sentence of a refusal, or the scores of three conversations.

    Nothing else may happen: no other error, no score that is not finite, no hang, no file that is touched.
    """
    before = listing(folder.parent)
    try:
        with in_time():
            scored = RewardModel.load(folder, device="cpu").score(SEVERAL)
    except UserError as error:
        sentence = str(error)
        assert sentence.isprintable(), ascii(sentence)
        assert ": " in sentence
        return sentence
    finally:
        assert listing(folder.parent) == before
    scores = [one.score for one in scored]
    for one in scored:
        assert one.not_finite is None
        assert isinstance(json.dumps([one.score, one.adjusted.tolist()], allow_nan=False), str)
    return scores
