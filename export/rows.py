"""Rows of a file as conversations to be scored, and the rows that are written back.

A row has `messages` (or `conversations`, `conversation`); `prompt` and `response`; or `prompt` and `responses`, the
candidates of a best-of-n choice. `prompt` is text or a list of turns, and turns are read as extraction reads them. A
null is a column that is not there: tables of mixed rows have both shapes as columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.conversations import Conversation
from export.json_values import json_values
from export.not_scorable import NotScorableError
from export.results import SteeringEffect
from extract.records import Message
from extract.sources.prompts import CONVERSATIONS
from extract.sources.turns import spells_turns
from gating.reward import Scored


@dataclass(frozen=True, slots=True)
class Row:
    """One row."""

    values: dict[str, Any]
    """Its columns, as JSON holds them."""
    conversations: tuple[Conversation, ...]
    several: bool
    """Whether the row has `responses`, even a single one."""


def read_row(columns: Mapping[str, Any]) -> Row:
    """A row as conversations.

    Raises:
        NotScorableError: it has none of the three shapes, or a value that cannot be written back.
    """
    values = json_values(columns)
    there = {name: value for name, value in values.items() if value is not None}
    whole = next((name for name in CONVERSATIONS if name in there), None)
    if whole is not None:
        return Row(values, (there[whole],), several=False)
    if "prompt" not in there or not {"response", "responses"} & there.keys():
        raise NotScorableError("it has neither messages, nor prompt and response, nor prompt and responses")
    prompt = there["prompt"]
    turns = [Message("user", prompt)] if isinstance(prompt, str) else prompt
    if not isinstance(turns, list):
        raise NotScorableError("its prompt is neither text nor a list of turns")
    several = "responses" in there
    responses = there["responses"] if several else [there["response"]]
    if not isinstance(responses, list) or not responses:
        raise NotScorableError("its responses are not a list of texts")
    return Row(values, tuple([*turns, *_answer(response)] for response in responses), several)


def _answer(response: Any) -> list[Any]:
    """A response as turns: it is a text, a list of the parts of one, or a list of turns."""
    if isinstance(response, str):
        return [Message("assistant", response)]
    return list(response) if spells_turns(response) and response else [{"role": "assistant", "content": response}]


def annotated(
    row: Row, results: Sequence[Scored | NotScorableError], objectives: Sequence[str], prefix: str, *, full: bool
) -> dict[str, Any]:
    """The row with its scores added.

    Keys added: `score`, or for several responses `scores`, `best` (the place of the highest, the first of equal ones)
    and `errors` (place -> reason) if there are any. `full` adds the decomposition and uncertainty of each score.

    Raises:
        NotScorableError: no response has a score, or the row has one of these keys already.
    """
    added: dict[str, Any]
    if not row.several:
        (result,) = results
        if isinstance(result, NotScorableError):
            raise result
        added = {"score": result.score} | (all_terms(result, objectives) if full else {})
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
                all_terms(result, objectives) if isinstance(result, Scored) else None for result in results
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


def all_terms(scored: Scored, objectives: Sequence[str]) -> dict[str, Any]:
    """The decomposition of a score and its uncertainty; with `steering` where a profile has a part in it."""
    terms = decomposition(scored, objectives) | uncertainty(scored, objectives)
    steering = SteeringEffect.of(scored, objectives)
    return terms if steering is None else terms | {"steering": asdict(steering)}


def decomposition(scored: Scored, objectives: Sequence[str]) -> dict[str, dict[str, float]]:
    """Rewards, adjusted rewards, weights and contributions, each as objective -> value."""
    columns: dict[str, NDArray[Any]] = {
        "rewards": scored.rewards,
        "adjusted_rewards": scored.adjusted,
        "weights": scored.coefficients,
        "contributions": scored.contributions,
    }
    return {key: dict(zip(objectives, values.tolist(), strict=True)) for key, values in columns.items()}


UNCERTAINTY_KEYS = ("score_std", "unfamiliar", "reward_std", "contribution_std", "leverage", "leverage_place")
"""Keys of `uncertainty`, in order."""


def uncertainty(scored: Scored, objectives: Sequence[str]) -> dict[str, Any]:
    """Standard errors and familiarity of a score; every value is None where the model holds no uncertainty.

    `score_std` is a number and `unfamiliar` a boolean, or None where too few validation rows tell; the others are
    objective -> value, where `leverage_place` is None for objectives of which too few validation rows tell.
    """
    known = scored.uncertainty
    if known is None:
        return dict.fromkeys(UNCERTAINTY_KEYS)
    columns: dict[str, NDArray[np.float64]] = {
        "reward_std": known.reward_std,
        "contribution_std": known.contribution_std,
        "leverage": known.leverage,
    }
    by_objective: dict[str, Any] = {
        key: dict(zip(objectives, values.tolist(), strict=True)) for key, values in columns.items()
    }
    places = dict(zip(objectives, known.places, strict=True))
    return {"score_std": known.score_std, "unfamiliar": known.unfamiliar} | by_objective | {"leverage_place": places}
