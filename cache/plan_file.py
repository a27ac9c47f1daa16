"""`plans/*.parquet`: how an extraction was cut into packs, one line per response of an item.

A plan says what shares a pack; it holds no text and no feature, and without it the packs are chosen anew.
"""

from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cache.durable import replacing
from cache.errors import UserError, first_line
from cache.keys import KEY_BYTES
from cache.names import ShardName

FOLDER = "plans"
"""Folder of the plans inside a store."""

SCHEMA = pa.schema(
    {
        "shard": pa.string(),
        "pack": pa.int32(),
        "item": pa.int32(),
        "prompt": pa.binary(),
        "response": pa.binary(),
        "read_prompt": pa.bool_(),
    }
)
"""Columns of a plan; `response` is null for an item that only reads its prompt."""


LINES = 1 << 16
"""Lines written, and given as objects, at once."""


class PlanLine(NamedTuple):
    """One response of an item, or an item that only reads its prompt."""

    shard: ShardName
    pack: int
    item: int
    prompt: bytes
    """Key of the prompt. Shape (16,)."""
    response: bytes | None
    """Key of the response. Shape (16,)."""
    read_prompt: bool


def plans(folder: Path) -> list[Path]:
    """The plans of a store."""
    return sorted(path for path in (folder / FOLDER).glob("*.parquet") if path.is_file())


def write(path: Path, lines: Iterable[PlanLine]) -> None:
    """Write a plan durably."""
    plan = BytesIO()  # through memory, so that a full disk is reported with the file's name
    with pq.ParquetWriter(plan, SCHEMA) as writer:
        left = iter(lines)
        while some := list(islice(left, LINES)):
            columns = zip(*some, strict=True)
            writer.write_table(pa.table(dict(zip(SCHEMA.names, map(list, columns), strict=True)), schema=SCHEMA))
    with replacing(path) as file:
        file.write(plan.getbuffer())


def read(path: Path) -> Iterator[PlanLine]:
    """The lines of a plan, which is looked at as a whole before the first is given.

    Raises:
        UserError: it is damaged, or no plan.
    """
    try:
        return _lines(_checked(path))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({first_line(error)}): remove it, and run `armorm extract` again"
        ) from None


def problem(path: Path) -> str | None:
    """One sentence, without the remedy, if a plan cannot be read."""
    try:
        _checked(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        return f"{path} cannot be read ({first_line(error)})"
    return None


def _checked(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:
        if not file.schema_arrow.equals(SCHEMA):
            raise ValueError("it has other columns than a plan")
        table = file.read(use_threads=False)
    for name in SCHEMA.names:
        if table[name].null_count and name != "response":
            raise ValueError(f"its column {name} has gaps")
    for name in ("prompt", "response"):
        lengths = pc.unique(pc.binary_length(table[name].drop_null())).to_pylist()
        if lengths not in ([], [KEY_BYTES]):
            raise ValueError(f"its column {name} holds something else than keys")
    for name in table["shard"].unique().to_pylist():
        ShardName(name)
    return table


def _lines(table: pa.Table) -> Iterator[PlanLine]:
    """The lines of a table that is a plan."""
    names: dict[str, ShardName] = {}  # one object for all lines of a shard
    for batch in table.to_batches(max_chunksize=LINES):
        shards, *others = (batch[name].to_pylist() for name in SCHEMA.names)
        for shard, *rest in zip(shards, *others, strict=True):
            if shard not in names:
                names[shard] = ShardName(shard)
            yield PlanLine(names[shard], *rest)
