"""Scoring without a server, one conversation at a time, in a process of its own."""

import multiprocessing
import time
from pathlib import Path
from typing import Any

from benchmarks.serve.load import Round, Turns

START_SECONDS = 600
"""Time limit for loading the model, and for one round."""


class Alone:
    """A process that scores with the sequential engine: a pass for each prompt and one for each conversation.

    Args:
        folder: folder that `armorm export` wrote.
        device: as in `RewardModel.load`.
        objective: the objective whose raw reward is the number of a conversation; None: its first.
    """

    def __init__(self, folder: Path, device: str, objective: str | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._asked, self._replies = context.Queue(), context.Queue()
        target = (folder, device, objective, self._asked, self._replies)
        self._process = context.Process(target=_answer, args=target, daemon=True)
        self._process.start()
        self.max_tokens: int
        self.objective: str
        self.dtype: str
        self.threads: int
        self.max_tokens, self.objective, self.dtype, self.threads = self._replies.get(timeout=START_SECONDS)

    def encoded(self, given: list[Turns]) -> list[list[int]]:
        """Token ids of conversations."""
        self._asked.put(("encode", given))
        return self._replies.get(timeout=START_SECONDS)

    def round(self, given: list[Turns]) -> Round:
        """Score conversations."""
        self._asked.put(("score", given))
        return self._replies.get(timeout=START_SECONDS)

    def end(self) -> None:
        """End the process."""
        self._asked.put(None)
        self._process.join()


def _answer(
    folder: Path,
    device: str,
    objective: str | None,
    asked: "multiprocessing.Queue[Any]",
    replies: "multiprocessing.Queue[Any]",
) -> None:
    import torch

    from export.reward_model import RewardModel

    model = RewardModel.load(folder, device=device, engine="sequential")
    name = objective or model.objectives[0]
    place = model.objectives.index(name)
    replies.put((model.max_tokens, name, model.dtype, torch.get_num_threads()))
    while (command := asked.get()) is not None:
        wanted, given = command
        if wanted == "encode":
            encoded = [model.encode(turns) for turns in given]
            replies.put([[*map(int, one.prompt), *map(int, one.responses[0])] for one in encoded])
            continue
        latencies, numbers = [], []
        for turns in given:
            started = time.perf_counter()
            numbers.append(float(model.score([turns])[0].rewards[place]))
            latencies.append(time.perf_counter() - started)
        replies.put(Round(sum(latencies), latencies, numbers))
