"""Reading the training corpus of the bundled backbone.

A corpus is a folder of `corpus-*.jsonl.xz`; a line is `{"kind": "chat", "messages": [...]}` or
`{"kind": "text", "text": ...}`.
"""

import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def corpus_files(folder: Path) -> list[Path]:
    """The corpus's files in order.

    Raises:
        SystemExit: the folder has no such file.
    """
    files = sorted(folder.glob("corpus-*.jsonl.xz"))
    if not files:
        raise SystemExit(f"{folder} holds no corpus-*.jsonl.xz")
    return files


def documents(path: Path) -> Iterator[dict[str, Any]]:
    """The documents of one file."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def texts(document: dict[str, Any]) -> list[str]:
    """The texts of a document: its turns, or its one text."""
    if document["kind"] == "chat":
        return [message["content"] for message in document["messages"]]
    return [document["text"]]
