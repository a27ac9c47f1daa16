"""Writing rows as the hub stores them: JSON lines (plain, gzip or xz), a JSON array, Parquet; always the same bytes."""

import gzip
import json
import lzma
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = tuple[dict[str, Any], str | None]
"""A raw row and its deliberate fault, if any."""
MESSAGES = pa.list_(pa.struct([("content", pa.string()), ("role", pa.string())]))


@dataclass
class Files:
    """Files written so far, for the manifest."""

    root: Path
    rows: dict[str, int] = field(default_factory=dict)
    imperfect: list[dict[str, Any]] = field(default_factory=list)

    def json_lines(self, name: str, rows: Sequence[Row]) -> None:
        """Write one JSON object per line, compressed if the name ends in .gz or .xz; nothing without rows."""
        if not rows:  # at a small scale; `armorm check` takes an empty file for a download that broke
            return
        lines = "".join(json.dumps(values, ensure_ascii=False) + "\n" for values, _ in rows)
        data = lines.encode()
        if name.endswith(".gz"):
            data = gzip.compress(data, mtime=0)  # with a time stamp, equal rows would have other bytes
        elif name.endswith(".xz"):
            data = lzma.compress(data)
        self._path(name, rows).write_bytes(data)

    def json_array(self, name: str, rows: Sequence[Row]) -> None:
        """Write one JSON array of objects."""
        text = json.dumps([values for values, _ in rows], ensure_ascii=False, indent=1)
        self._path(name, rows).write_text(text, encoding="utf-8")

    def parquet(self, name: str, rows: Sequence[Row], schema: pa.Schema) -> None:
        """Write a Parquet file with the columns of `schema`."""
        table = pa.Table.from_pylist([values for values, _ in rows], schema=schema)
        pq.write_table(table, self._path(name, rows), compression="zstd")

    def _path(self, name: str, rows: Sequence[Row]) -> Path:
        """Record the file and its imperfect rows, and create its folder."""
        self.rows[name] = len(rows)
        self.imperfect += [{"file": name, "row": number, "flaw": flaw} for number, (_, flaw) in enumerate(rows) if flaw]
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
