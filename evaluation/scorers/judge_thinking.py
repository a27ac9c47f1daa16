"""The thoughts that a reasoning model writes before its answer, told from the answer.

Endpoints either send thoughts in a field of their own, or leave them in the text between the markers of the model's
family. Some chat templates write the opening marker into the prompt, so the text may hold only the closing one.
"""

import re

MARKERS = (
    ("<think>", "</think>"),  # DeepSeek-R1, Qwen 3, GLM
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis", "<|channel|>final<|message|>"),  # gpt-oss, where the server leaves its format as it is
)
"""Opening and closing marker of a thought."""

_CLOSING = re.compile("|".join(re.escape(closing) for _, closing in MARKERS), re.IGNORECASE)
# At the start of a line only: in the middle of a sentence the judge speaks about a marker. White space within the line:
# with line ends in it, a megabyte of empty lines would be searched for days.
_OPENING = re.compile(
    rf"^[^\S\n]*(?:{'|'.join(re.escape(opening) for opening, _ in MARKERS)})", re.IGNORECASE | re.MULTILINE
)


def after_thinking(text: str) -> str | None:
    """The text after the last thought, stripped of white space; None where the last thought is not finished."""
    ends = [found.end() for found in _CLOSING.finditer(text)]
    spoken = text[ends[-1] :] if ends else text
    return None if _OPENING.search(spoken) else spoken.strip()
