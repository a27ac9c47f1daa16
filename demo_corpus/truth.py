"""The table of planted properties, with which tests compare, and the chat form of an answer."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import pyarrow as pa

from demo_corpus.files import MESSAGES
from demo_corpus.planted import Answer, Ask, Qualities, preference

SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("kind", pa.string()),
        ("prompt", pa.string()),
        ("turns", MESSAGES),
        ("response", pa.string()),
        ("flaw", pa.string()),
        ("words", pa.int64()),
        ("preference", pa.float64()),
        *((quality.name, pa.float64()) for quality in fields(Qualities)),
    ]
)


def messages(ask: Ask, response: str | None = None) -> list[dict[str, str]]:
    """The prompt, and the response if given, as a list of messages."""
    listed = [{"content": turn.content, "role": turn.role} for turn in ask.turns]
    return listed if response is None else [*listed, {"content": response, "role": "assistant"}]


@dataclass
class Truth:
    """One row for each distinct answer of each data set."""

    rows: dict[tuple[str, tuple[Any, ...], str], dict[str, Any]] = field(default_factory=dict)

    def add(self, dataset: str, ask: Ask, answer: Answer) -> None:
        """Record that this answer to this prompt is in `dataset`."""
        self.rows[(dataset, ask.turns, answer.text)] = {
            "dataset": dataset,
            "kind": ask.kind,
            "prompt": ask.text,
            "turns": messages(ask),
            "response": answer.text,
            "flaw": answer.flaw,
            "words": len(answer.text.split()),
            "preference": preference(ask.kind, answer.qualities),
            **asdict(answer.qualities),
        }
