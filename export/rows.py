"""Lines of a JSONL file as conversations to be scored, and the lines that are written back.

A line is an object with `messages`; with `prompt` and `response`; or with `prompt` and `responses`, the candidates of a
best-of-n choice. `prompt` is text or a list of turns, `messages` ends with the assistant's.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from export.conversations import Conversation
from export.not_scorable import NotScorableError
from gating.reward import Scored


@dataclass(frozen=True, slots=True)
class Row:
    """One line."""

    values: dict[str, Any]
    conversations: tuple[Conversation, ...]
    several: bool
    """Whether the line has `responses`, even a single one."""


def read_row(line: bytes) -> Row:
    """A line as conversations.

    Raises:
        NotScorableError: it is not JSON, or has none of the three shapes.
    """
    try:
        values = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise NotScorableError(f"the line is not JSON in UTF-8 ({str(error)[:100]})") from None
    if not isinstance(values, dict):
        raise NotScorableError("the line is not a JSON object")
    if "messages" in values:
        return Row(values, (values["messages"],), several=False)
    if "prompt" not in values or not {"response", "responses"} & values.keys():
        raise NotScorableError("it has neither messages, nor prompt and response, nor prompt and responses")
    prompt = values["prompt"]
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    if not isinstance(turns, list):
        raise NotScorableError("its prompt is neither text nor a list of turns")
    several = "responses" in values
    responses = values["responses"] if several else [values["response"]]
    if not isinstance(responses, list) or not responses:
        raise NotScorableError("its responses are not a list of texts")
    return Row(values, tuple([*turns, {"role": "assistant", "content": text}] for text in responses), several)


def annotated(
    row: Row, results: Sequence[Scored | NotScorableError], objectives: Sequence[str], prefix: str, *, full: bool
) -> dict[str, Any]:
    """The row with its scores added.

    Keys added: `score`, or for several responses `scores`, `best` (the place of the highest, the first of equal ones)
    and `errors` (place -> reason) if there are any. `full` adds the decomposition of each score.

    Raises:
        NotScorableError: no response has a score, or the row has one of these keys already.
    """
    added: dict[str, Any]
    if not row.several:
        (result,) = results
        if isinstance(result, NotScorableError):
            raise result
        added = {"score": result.score} | (decomposition(result, objectives) if full else {})
    else:
        scores = [result.score if isinstance(result, Scored) else None for result in results]
        usable = [score if score is not None else -np.inf for score in scores]
        errors = {str(place): str(one) for place, one in enumerate(results) if isinstance(one, NotScorableError)}
        if len(errors) == len(results):
            raise NotScorableError(f"none of its responses can be scored; the first: {errors['0']}")
        added = {"scores": scores, "best": int(np.argmax(usable))}
        if errors:
            added["errors"] = errors
        if full:
            added["decompositions"] = [
                decomposition(result, objectives) if isinstance(result, Scored) else None for result in results
            ]
    return joined(row.values, added, prefix)


def joined(values: dict[str, Any], added: dict[str, Any], prefix: str) -> dict[str, Any]:
    """A row's values and the added ones, with the prefix before the added keys.

    Raises:
        NotScorableError: the row has one of the added keys already.
    """
    named = {prefix + key: value for key, value in added.items()}
    taken = sorted(named.keys() & values.keys())
    if taken:
        raise NotScorableError(f"it has a key {taken[0]!r} already, which --prefix can keep apart")
    return values | named


def decomposition(scored: Scored, objectives: Sequence[str]) -> dict[str, dict[str, float]]:
    """Rewards, adjusted rewards, weights and contributions, each as objective -> value."""
    columns: dict[str, NDArray[Any]] = {
        "rewards": scored.rewards,
        "adjusted_rewards": scored.adjusted,
        "weights": scored.weights,
        "contributions": scored.contributions,
    }
    return {key: dict(zip(objectives, values.tolist(), strict=True)) for key, values in columns.items()}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
