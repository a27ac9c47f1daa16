"""Names of columns in frames of a suite's responses: the columns that identify a line, and prefixes of scores."""

from extract.style import STYLE

ROW = ("suite", "subset", "row")
"""Identifies a row of a suite."""

RESPONSE = (*ROW, "chosen", "place")
"""Identifies a response: its row, its side, and its place on that side."""

TEXT = (*RESPONSE, "prompt_key", "response_key")
"""Identifies a response with its text: the keys change with the text."""

SCORED_RESPONSE = (
    "suite",
    "subset",
    "section",
    "row",
    "place",
    "chosen",
    "prompt_key",
    "response_key",
    "response_tokens",
    *STYLE,
    "metadata",
)
"""Columns of a scored response before its scores; `section` is the part of the suite's table that the row counts in."""

SCORE = "score."
"""Prefix of a rule's or scorer's score (float64)."""

SCORE_STD, MARGIN_STD = "score_std.", "margin_std."
"""Prefixes of a rule's uncertainty, where the run has it: the standard error of the score (float64), and those of its
margins with each response of its row, in the order of lines (list of float32; 0 with itself)."""

UNFAMILIAR = "unfamiliar"
"""Whether a response is unlike all rated rows (bool; null where too few validation rows tell)."""

REWARD, WEIGHT = "reward.", "weight."
"""Prefixes of an objective's adjusted reward and of its weight from the gate (float32)."""
