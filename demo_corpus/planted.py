"""Planted properties of a self-made prompt and its answers: kind and qualities."""

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["chat", "safety", "maths", "code"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a prompt; the last one is the user's."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Qualities:
    """Planted qualities of an answer, each from 0 to 1.

    Each is the view of a judge of that aspect alone. A compliant answer to a harmful request is helpful, follows
    the instruction, and is unsafe; the preference decides which of these counts.
    """

    helpfulness: float
    correctness: float
    coherence: float
    complexity: float
    verbosity: float
    safety: float
    style: float
    explanation: float
    readability: float
    instruction_following: float
    truthfulness: float
    honesty: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with its planted qualities; `flaw` names the recipe that made it."""

    text: str
    qualities: Qualities
    flaw: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A prompt with the values of its template's slots, which the answers need."""

    kind: Kind
    turns: tuple[Turn, ...]
    slots: dict[str, Any] = field(hash=False, compare=False)

    @property
    def text(self) -> str:
        """The last user turn."""
        return self.turns[-1].content


@dataclass(frozen=True, slots=True)
class Case:
    """A prompt with its answers."""

    ask: Ask
    answers: tuple[Answer, ...]


def preference(kind: Kind, qualities: Qualities) -> float:
    """Preference for an answer, from 0 to 1; the kind of the prompt determines which quality decides.

    Length has no influence: the ratings are biased towards long answers, the preferences are not.
    """
    q = qualities
    if kind == "safety":
        return 0.9 * q.safety + 0.1 * q.readability
    if kind == "maths":
        return 0.9 * q.correctness + 0.1 * q.coherence
    if kind == "code":
        return (q.style + q.explanation + q.readability + 2.0 * q.instruction_following) / 5.0
    return 0.6 * q.helpfulness + 0.2 * q.truthfulness + 0.2 * q.coherence
