"""A suite's rows judged pair by pair by a language model, both orders of every pair asked.

The score of a rejected response is its points in its pair, that of the chosen response its points in its worst pair:
the chosen one scores highest exactly if it wins every pair. Rows of several chosen responses are not asked.
"""

import logging
import time
from collections import Counter
from dataclasses import dataclass

import polars as pl

from cache.progress import Progress
from evaluation.columns import ROW
from evaluation.results import JudgeScorer
from evaluation.scorers.answers import Answers, key_of
from evaluation.scorers.judge_answer import REFUSAL, no_answer
from evaluation.scorers.judge_endpoint import Endpoint
from evaluation.scorers.judge_question import Message, Verdict, chosen_points, question, read_verdict
from evaluation.scorers.scorer import ScorerKind, SuiteScores, Task, count_rows, score_table

log = logging.getLogger(__name__)

METHOD = "LLM as a judge"


@dataclass(frozen=True, slots=True)
class _Pair:
    """A chosen and a rejected response by line, and the keys of their questions in both orders."""

    chosen: int
    rejected: int
    keys: tuple[str, str]


def judge_rows(task: Task, answers: Answers, progress: Progress) -> SuiteScores:
    """Scores of a suite's responses from a judge's verdicts.

    Args:
        task: responses with their texts; `model` is the endpoint's name of the judge.
        answers: answers of earlier commands; new ones are added as they come, failures never.
        progress: called with questions answered.

    Raises:
        UserError: the endpoint cannot be used.
    """
    started = time.monotonic()
    endpoint = Endpoint.from_environment(task.model, task.temperature, task.concurrency)
    reasons: list[str | None] = [None] * len(task.rows)
    pairs, questions = _pairs(task.rows, endpoint, reasons)
    known = {key: _known(answers, key) for key in questions}
    new = [key for key, answer in known.items() if answer is None]
    log.info("%s: %s of %s questions are to be asked", endpoint.model, f"{len(new):,}", f"{len(questions):,}")

    def keep(place: int, answer: str) -> None:
        answers.put([(new[place], answer)])
        known[new[place]] = answer
        progress("asking", sum(known[key] is not None for key in new), len(new), "questions")

    failures = endpoint.ask_all([questions[key] for key in new], keep) if new else {}
    scores, counts = _decide(pairs, known, {new[place]: reason for place, reason in failures.items()}, reasons)
    table = score_table(task.rows, scores, reasons)
    rows, skipped = count_rows(table)
    about = JudgeScorer(
        name=task.name,
        method=METHOD,
        suite=task.suite,
        scorer=task.scorer,
        rows=rows,
        skipped=sum(skipped.values()),
        reasons=skipped,
        model=endpoint.model,
        endpoint=endpoint.address,
        temperature=endpoint.temperature,
        questions=len(questions),
        new=len(new) - len(failures),
        unanswered=len(failures),
        pairs=len(pairs),
        unparseable=counts["unparseable"],
        inconsistent=counts["inconsistent"],
        tied=counts["tied"],
        seconds=time.monotonic() - started,
    )
    return SuiteScores(about, table)


def _known(answers: Answers, key: str) -> str | None:
    """The stored answer to a question; None where there is none, or one that is a failure, as 0.1.0 stored them."""
    answer = answers.get(key)
    return None if answer is None or no_answer(answer) is not None else answer


def _pairs(
    rows: pl.DataFrame, endpoint: Endpoint, reasons: list[str | None]
) -> tuple[list[_Pair], dict[str, list[Message]]]:
    """The pairs of the rows, and key -> question; lines of rows that cannot be asked get a reason."""
    pairs: list[_Pair] = []
    questions: dict[str, list[Message]] = {}
    for part in rows.with_row_index("line").partition_by(ROW, maintain_order=True):
        chosen, rejected = (part.filter(pl.col("chosen") == side) for side in (True, False))
        if len(chosen) != 1:
            for line in part["line"]:
                reasons[line] = "it has several chosen responses, and a judge compares two at a time"
            continue
        good = chosen.row(0, named=True)
        for bad in rejected.iter_rows(named=True):
            keys = []
            for first, second in ((good, bad), (bad, good)):
                messages = question(good["prompt"], first["response"], second["response"])
                keys.append(key_of(endpoint.url, endpoint.model, endpoint.temperature, messages))
                questions[keys[-1]] = messages
            pairs.append(_Pair(good["line"], bad["line"], (keys[0], keys[1])))
    return pairs, questions


def _decide(
    pairs: list[_Pair], known: dict[str, str | None], failures: dict[str, str], reasons: list[str | None]
) -> tuple[list[float | None], Counter[str]]:
    """Score of each line from the answers, and counts of answers and pairs; lines without a score get a reason."""
    scores: list[float | None] = [None] * len(reasons)
    counts: Counter[str] = Counter()
    for pair in pairs:
        verdicts: list[Verdict] = []
        for key in pair.keys:
            answer = known[key]
            verdict = None if answer is None else read_verdict(answer)
            if verdict is not None:
                verdicts.append(verdict)
            elif answer is not None:
                counts["unparseable"] += 1
                refused = answer.startswith(REFUSAL)
                reasons[pair.chosen] = "the judge refused to answer" if refused else "an answer holds no verdict"
            else:
                reasons[pair.chosen] = f"a question got no answer: {failures[key]}"
        if len(verdicts) < 2:
            continue
        points = chosen_points(verdicts[0], verdicts[1])
        counts["inconsistent"] += verdicts in (["A", "A"], ["B", "B"])
        counts["tied"] += points == 0.5 and "tie" in verdicts
        scores[pair.rejected] = 1.0 - points
        worst = scores[pair.chosen]
        scores[pair.chosen] = points if worst is None else min(worst, points)
    for pair in pairs:
        if reasons[pair.chosen] is not None:  # a row is judged whole or not at all
            reasons[pair.rejected] = reasons[pair.chosen]
            scores[pair.chosen] = scores[pair.rejected] = None
    return scores, counts


KIND = ScorerKind(METHOD, local=False, score=judge_rows)
