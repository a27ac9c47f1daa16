"""The columns of a JSON object that are asked for."""

import json
import re
from collections.abc import Collection
from typing import Any

from extract.files.file_row import FileRow
from extract.files.malformed import Malformed

BAD_BYTE = re.compile("[\udc80-\udcff]")
"""A byte that is not UTF-8, as Python's 'surrogateescape' decodes it."""

CUT = re.compile(
    r"(t(r(ue?)?)?|f(a(l(se?)?)?)?|n(u(ll?)?)?|Na?N?|-?(I(n(f(i(n(i(ty?)?)?)?)?)?)?)?|\.|[eE][+-]?)"
    r"[ \t\r\n]*"
)
"""Text that can stand where decoding stops if nothing is wrong but that the text ends there: a part of a word or of a
number, or nothing."""


def json_row(value: Any, columns: Collection[str] | None, what: str, *, bad_bytes: bool) -> FileRow | Malformed:
    """One element of an array, or one line, as a row.

    Args:
        value: as `json` decoded it.
        columns: names of the columns to keep; None keeps all.
        what: name of the element in a reason.
        bad_bytes: whether the text of the element has bytes that are not UTF-8; a row is refused if one of its
            kept columns has.
    """
    if not isinstance(value, dict):
        return Malformed(f"{what} is {type(value).__name__}, expected an object")
    kept = value if columns is None else {name: value[name] for name in columns if name in value}
    if bad_bytes:
        for name, held in kept.items():
            byte = _bad_byte(held) or _bad_byte(name)
            if byte is not None:
                return Malformed(f"column '{name}' of {what} is not UTF-8: byte 0x{byte:02x}")
    return FileRow(kept, value.keys())


def _bad_byte(value: Any) -> int | None:
    if isinstance(value, str):
        found = BAD_BYTE.search(value)
        return ord(found[0]) - 0xDC00 if found else None
    if isinstance(value, dict):
        value = (*value, *value.values())
    elif not isinstance(value, list):
        return None
    return next((byte for byte in map(_bad_byte, value) if byte is not None), None)


def is_text(decoded: str) -> bool:
    """Whether no byte was bad in a text that was decoded with 'surrogateescape'."""
    if decoded.isascii():
        return True
    try:
        decoded.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_cut(error: json.JSONDecodeError) -> bool:
    """Whether a text is JSON as far as it goes."""
    if error.msg.startswith("Unterminated string"):
        return True
    if error.msg.startswith("Invalid \\uXXXX escape"):
        return error.pos >= len(error.doc) - len("\\u00e9")
    return CUT.fullmatch(error.doc, error.pos) is not None
