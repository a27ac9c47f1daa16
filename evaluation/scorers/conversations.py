"""Reward models as scorers of suites: each distinct conversation is scored once, and its score is stored."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import torch

from cache.progress import Progress
from evaluation.results import RewardModelScorer
from evaluation.scorers.answers import Answers, key_of
from evaluation.scorers.scorer import ScorerKind, SuiteScores, Task, count_rows, score_table
from extract.engines.choice import choose_device
from extract.model_files import locate_model

log = logging.getLogger(__name__)

METHOD = "reward model"


class ConversationScorer(Protocol):
    """A model that gives a conversation one score."""

    max_tokens: int | None
    """Longest conversation that the model was made for; None where it does not say."""
    dtype: str
    """Arithmetic of the model."""

    def encode(self, messages: Sequence[dict[str, str]]) -> list[int] | str:
        """Token ids of a conversation that ends with a response, or the reason why it cannot be scored."""
        ...

    def scores(self, sequences: Sequence[list[int]], batch_tokens: int) -> Iterator[tuple[list[int], list[float]]]:
        """Score token sequences that `encode` gave; positions of a batch among them, and their scores."""
        ...


def reward_model_kind(prefix: str, load: Callable[[Path, torch.device], ConversationScorer]) -> ScorerKind:
    """The kind of scorers that `load` makes from a folder of the machine or of the hub.

    Args:
        prefix: the kind's name, for errors.
        load: the scorer of a folder on a device.
    """

    def score(task: Task, answers: Answers, progress: Progress) -> SuiteScores:
        started = time.monotonic()
        folder, identity = locate_model(task.model, None, f"--scorer {prefix}")
        device = choose_device(task.device)
        scorer = load(folder, device)
        log.info("%s: scoring on %s", task.model, device)
        scores, reasons, new = score_conversations(task, scorer, identity, answers, progress)
        table = score_table(task.rows, scores, reasons)
        rows, skipped = count_rows(table)
        about = RewardModelScorer(
            name=task.name,
            method=METHOD,
            suite=task.suite,
            scorer=task.scorer,
            rows=rows,
            skipped=sum(skipped.values()),
            reasons=skipped,
            model=identity,
            new=new,
            max_tokens=scorer.max_tokens,
            seconds=time.monotonic() - started,
        )
        return SuiteScores(about, table)

    return ScorerKind(METHOD, local=True, score=score)


def score_conversations(
    task: Task, scorer: ConversationScorer, identity: str, answers: Answers, progress: Progress
) -> tuple[list[float | None], list[str | None], int]:
    """Score the conversations of a task's rows; equal ones are scored once.

    Args:
        task: the rows.
        scorer: the model.
        identity: identifies its weights; answers belong to it.
        answers: known scores; new ones are stored here batch by batch.
        progress: called with responses done.

    Returns:
        Each response's score, None where there is none; each response's reason; and the number of conversations that
        were scored anew.
    """
    reasons: list[str | None] = []
    sequences: dict[str, list[int]] = {}  # by key
    keys = []
    for prompt, response in task.rows.select("prompt", "response").iter_rows():
        encoded = scorer.encode([*prompt, {"role": "assistant", "content": response}])
        if isinstance(encoded, str):
            reasons.append(encoded)
            keys.append("")
        else:
            reasons.append(None)
            keys.append(key_of(identity, scorer.dtype, encoded))
            sequences.setdefault(keys[-1], encoded)
    new = [key for key in sequences if answers.get(key) is None]
    log.info("%s: %s of %s conversations are to be scored", task.model, f"{len(new):,}", f"{len(task.rows):,}")
    done = 0
    for places, values in scorer.scores([sequences[key] for key in new], task.batch_tokens):
        answers.put((new[place], repr(value)) for place, value in zip(places, values, strict=True))
        done += len(places)
        progress("scoring", done, len(new), "responses")
    scores: list[float | None] = []
    for number, key in enumerate(keys):
        answer = answers.get(key) if key else None
        score = None if answer is None else float(answer)
        if score is not None and score - score != 0:  # infinite or not a number
            score, reasons[number] = None, "its score is not finite"
        scores.append(score)
    return scores, reasons, len(new)
