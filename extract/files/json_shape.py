"""JSON files that hold one object where rows are expected, named by their shape."""

import json
import re
from collections.abc import Collection
from typing import Any

from extract.files.faults import FileFaultError
from extract.files.json_values import is_cut

LIST_OF_OBJECTS = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*\[\s*\{')

ROWS = "write one object per line, or one array of objects"


def refuse_one_object(start: str, *, whole: bool, columns: Collection[str] | None) -> None:
    """Refuse a file that is one object, or whose objects take several lines each.

    A line that is torn is left to the reader of lines.

    Args:
        start: the beginning of the file's text, from its first sign.
        whole: whether that is the whole file.
        columns: names of the columns that are asked for; None if all are.

    Raises:
        FileFaultError: as said above; the message names the shape.
    """
    first, _, rest = start.partition("\n")
    value = _object(first)
    if value is not None:
        if whole and not rest.strip():
            _refuse_table(value, columns)
    elif first.startswith("{") and rest.strip():
        try:
            json.JSONDecoder().raw_decode(start)
        except json.JSONDecodeError as error:
            if not is_cut(error) or _object(rest.lstrip().partition("\n")[0]) is not None:
                return
        except (ValueError, RecursionError):
            return
        for found in LIST_OF_OBJECTS.finditer(start):
            if columns is not None and found[1] not in columns:
                raise _rows_under(found[1])
        raise FileFaultError(f"holds a JSON object that takes several lines: {ROWS}")


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse_table(value: dict[str, Any], columns: Collection[str] | None) -> None:
    """Refuse the only line of a file if its object holds rows, or columns, rather than being a row."""
    if columns is not None and not any(name in value for name in columns):
        for name, held in value.items():
            if isinstance(held, list) and held and all(isinstance(element, dict) for element in held):
                raise _rows_under(name)
    cells = [held.values() if isinstance(held, dict) else held for held in value.values()]
    scalars = all(
        isinstance(held, list | type({}.values())) and not any(isinstance(cell, dict | list) for cell in held)
        for held in cells
    )
    if len(cells) > 1 and scalars and len({len(held) for held in cells}) == 1:
        raise FileFaultError(f"holds one JSON object of columns in place of rows: {ROWS}")


def _rows_under(name: str) -> FileFaultError:
    return FileFaultError(f"holds one JSON object with a list of objects under {name[:40]!r}: {ROWS}")
