"""PRM800K, phase 2: solutions of maths problems in steps, alternative steps rated by people.

Schema (openai/prm800k on GitHub, data/phase2_train.jsonl; the same files are in tasksource/PRM800K on the
hub): question {problem, ...}, label {steps[] {completions[] {text, rating -1, 0, 1 or null, flagged},
human_completion {text, ...} or null, chosen_completion (index or null)}, finish_reason}, and the two flags of
screening and quality control.

The set rates steps, not solutions. A pair is derived where one step has a good completion (written by
a person, else the first rated 1) and a bad one (the first rated -1): both responses are the solution up to
that step, the steps in lines, and differ in the last. At most one pair per step, however many completions
it has, so that a single step does not count many times. In phase 2 alternatives are rated only at the
first mistake, so most rows have no such step and are skipped with that reason.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from extract.records import PreferencePair, Skipped
from extract.sources.pairing import preference_pair
from extract.sources.prompts import user_prompt
from extract.sources.source import BadRowError, RawRow, Source, mapping, nonempty_text

SERVED_TO_ALL = ("is_initial_screening_question", "is_quality_control_question")
"""Flags of rows that check a labeler: the same problem is there once for each of them."""


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """A pair for each step with a good and a bad completion."""
    for flag in SERVED_TO_ALL:
        if row.values.get(flag) is True:
            raise BadRowError(f"column '{flag}' is true: such questions were served to every labeler, and repeat")
    question = mapping(row.value("question"), "column 'question'")
    prompt = user_prompt(nonempty_text(question.get("problem"), "the problem"))
    steps = mapping(row.value("label"), "column 'label'").get("steps")
    if not isinstance(steps, list | tuple) or not steps:
        raise BadRowError("column 'label' has no steps")
    earlier: list[str] = []
    found = False
    for number, value in enumerate(steps):
        step = mapping(value, f"step {number}")
        good, bad = _good(step), _rated(step, -1)
        if good is not None and bad is not None:
            found = True
            chosen, rejected = "\n".join([*earlier, good]), "\n".join([*earlier, bad])
            where = row.part(number)
            try:
                yield preference_pair(where, prompt, chosen, rejected)
            except BadRowError as reason:
                yield Skipped(where, str(reason))
        taken = _taken(step)
        if taken is None:
            break
        earlier.append(taken)
    if not found:
        raise BadRowError("no step has a completion rated 1 beside one rated -1")


def _completions(step: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    completions = step.get("completions") or ()
    if not isinstance(completions, list | tuple):
        raise BadRowError(f"the completions of a step are {type(completions).__name__}, expected a list")
    return [mapping(completion, "a completion") for completion in completions]


def _text(completion: Any) -> str | None:
    text = completion.get("text") if isinstance(completion, Mapping) else completion
    return text if isinstance(text, str) and text.strip() else None


def _rated(step: Mapping[str, Any], wanted: int) -> str | None:
    texts = (_text(completion) for completion in _completions(step) if completion.get("rating") == wanted)
    return next((text for text in texts if text is not None), None)


def _good(step: Mapping[str, Any]) -> str | None:
    return _text(step.get("human_completion")) or _rated(step, 1)


def _taken(step: Mapping[str, Any]) -> str | None:
    """The text with which the solution continues; None if it ends here."""
    index, completions = step.get("chosen_completion"), _completions(step)
    if index is None:
        return _text(step.get("human_completion"))
    if not isinstance(index, int) or not 0 <= index < len(completions):
        raise BadRowError(f"the chosen completion {index!r} of a step is not among its {len(completions)}")
    return _text(completions[index])


SOURCE = Source(
    name="prm800k",
    kind="pairs",
    repo="tasksource/PRM800K",
    files=("phase2_train.jsonl*",),
    other_files=(("**/phase2_train.jsonl*",),),
    columns=("question", "label", *SERVED_TO_ALL),
    parse=parse,
)
