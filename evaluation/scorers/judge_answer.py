"""Reading the body of a chat completion: an answer to keep, or the reason why there is none.

Endpoints differ in how they fail. Many report an outage with HTTP 200 and an error in the body, send a message without
text, or stop in the middle of a sentence. None of these is an answer: a kept answer is never asked for again.
"""

import json
from typing import Any

from cache.errors import MOST_CHARACTERS, printable
from evaluation.scorers.judge_thinking import after_thinking

REFUSAL = "<refusal>"
"""First characters of a stored answer in which the judge refused: it is an answer, and holds no verdict."""

_CUT = {"length", "max_tokens", "model_length"}
_BROKEN = {"error", "abort", "cancelled", "insufficient_system_resource"}
_FILTERED = {"content_filter", "safety", "prohibited_content", "recitation"}
"""Values of finish_reason that servers of this protocol send, in small letters."""


class NoAnswerError(Exception):
    """The endpoint sent no answer; the message says what it sent, in characters that print."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def read_answer(body: bytes) -> str:
    """The answer that a response's body holds, as text that can be stored.

    The text parts of a message are joined, parts of other kinds are passed over, and half characters are replaced.

    Raises:
        NoAnswerError: the body is no chat completion, reports an error, or its answer is empty or cut off.
    """
    text = body.decode("utf-8-sig", errors="replace").strip()
    try:
        completion = json.loads(text)
    except (ValueError, RecursionError):
        raise NoAnswerError(f"the body is no JSON: {_quoted(text)}") from None
    if not isinstance(completion, dict):
        raise NoAnswerError(f"the body is no chat completion: {_quoted(text)}")
    _refuse_error(completion)
    choices = completion.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise NoAnswerError(f"the body holds no answer: {_quoted(text)}")
    _refuse_error(choices[0])
    return _answer(choices[0])


def no_answer(answer: str) -> str | None:
    """Why a text counts as no answer: it is empty, or ends inside a thought; None where it is an answer."""
    spoken = after_thinking(answer)
    if spoken is None:
        return "was cut off inside a thought"
    return None if spoken else "holds no text"


def whole_characters(text: str) -> str:
    """The text with half characters (lone surrogates) replaced, which neither UTF-8 nor SQLite can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _answer(choice: dict[str, Any]) -> str:
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    finish = str(choice.get("finish_reason") or "").lower()
    if finish in _CUT:
        raise NoAnswerError(
            f"the answer was cut off before its end (finish_reason {finish!r}): let the server write longer answers"
        )
    if finish in _BROKEN:
        raise NoAnswerError(f"the server broke off the answer (finish_reason {finish!r})")
    text, refusal = _texts(message.get("content"))
    refused = message.get("refusal")
    refusal = refused if isinstance(refused, str) and refused.strip() else refusal
    if finish in _FILTERED:
        refusal = refusal or text or f"finish_reason {finish}"
    if refusal.strip():
        return whole_characters(f"{REFUSAL}\n{refusal}")
    text = whole_characters(text)
    reason = no_answer(text)
    if reason is None:
        return text
    if not text.strip() and any(message.get(field) for field in ("reasoning_content", "reasoning")):
        reason = "holds thoughts and no text"
    raise NoAnswerError(f"the answer {reason} (finish_reason {finish[:MOST_CHARACTERS] or None!r})")


def _texts(content: Any) -> tuple[str, str]:
    """The text of a message's content, and that of refusals among its parts."""
    parts = content if isinstance(content, list) else [content]
    texts, refusals = [], []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and part.get("type") in ("text", "output_text", None):
            texts.append(part["text"] if isinstance(part.get("text"), str) else "")
        elif isinstance(part, dict) and part.get("type") == "refusal":
            refusals.append(str(part.get("refusal") or ""))
    return "".join(texts), "".join(refusals)


def _refuse_error(holder: dict[str, Any]) -> None:
    """See that neither the body nor its choice reports an error."""
    error = holder.get("error")
    if error:
        message = error.get("message") if isinstance(error, dict) else None
        raise NoAnswerError(f"an error came with HTTP 200: {_quoted(str(message or error))}")


def _quoted(text: str) -> str:
    """The start of a text from elsewhere, on one line."""
    return " ".join(whole_characters(text[:MOST_CHARACTERS]).split()) or "it is empty"
