"""The rows of a JSON array, one element in memory at a time.

Elements are decoded by Python's own `json`, as lines are, so that NaN and Infinity, which Python writes, mean the same
in both. An element that is not JSON is passed over as far as its brackets tell where it ends.
"""

import codecs
import json
import re
from collections.abc import Collection, Iterator
from io import BufferedIOBase
from typing import Any

from cache.errors import first_line
from extract.files.faults import FileFaultError, TruncatedError
from extract.files.file_row import FileRow
from extract.files.json_lines import LONGEST
from extract.files.json_values import is_cut, is_text, json_row
from extract.files.malformed import Malformed

CHUNK = 2**20
"""Bytes read at once."""

SPACE = re.compile(r"[ \t\n\r]*")
MARK = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"|["{}\[\],]')
"""A whole string, a quote that opens one without an end, or a bracket or comma outside strings."""

decode = json.JSONDecoder().raw_decode


def array_rows(file: BufferedIOBase, columns: Collection[str] | None) -> Iterator[FileRow | Malformed]:
    """Yield the elements in order; one that is not JSON becomes a `Malformed`.

    Raises:
        TruncatedError: the file ends inside the array.
        FileFaultError: an element is not JSON and its end cannot be found, or the file goes on after the array.
    """
    window = _Window(file)
    for element in _elements(window):
        if isinstance(element, Malformed):
            yield element
        else:
            what = f"the element that ends on line {window.line(window.at)}" if window.bad_bytes else "the element"
            yield json_row(element[0], columns, what, bad_bytes=window.bad_bytes)


def count_elements(file: BufferedIOBase) -> int:
    """Number of rows that `array_rows` yields."""
    return sum(1 for _ in _elements(_Window(file)))


class _Window:
    """The part of a file's text that is in memory: from the element being read onwards."""

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._lines = 1
        self._ended = False
        self.text = ""
        self.at = 0
        self.bad_bytes = False
        """Whether the text in memory may have a byte that is not UTF-8."""

    def more(self) -> bool:
        """Drop the text before `at`, and read on; False at the end of the file."""
        if self._ended:
            return False
        self._lines += self.text.count("\n", 0, self.at)
        rest = self.text[self.at :]
        if len(rest) > LONGEST:
            raise FileFaultError(
                f"has more than {LONGEST // 2**20} MiB in the element that begins on line {self._lines}, too much for a"
                " row: close that element, or write one object per line"
            )
        # As much again as there is, so that a long element is not copied once a chunk.
        new = self._file.read(max(CHUNK, len(rest)))
        self._ended = not new
        decoded = self._decoder.decode(new, final=self._ended)
        self.text, self.at = rest + decoded, 0
        self.bad_bytes = not is_text(self.text)
        return True

    def next_sign(self) -> str:
        """The next character that is no white space, where `at` then stands; empty at the end of the file."""
        while True:
            self.at = SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]  # matches nothing, too
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def line(self, place: int) -> int:
        """Number of the line, from 1, of a place in the text."""
        return self._lines + self.text.count("\n", 0, place)


def _elements(window: _Window) -> Iterator[tuple[Any] | Malformed]:
    window.next_sign()
    window.at += 1  # the opening bracket
    while (sign := window.next_sign()) != "]":
        if not sign:
            raise TruncatedError("the array does not end")
        yield _element(window)
        if window.next_sign() == ",":
            window.at += 1
    window.at += 1
    if window.next_sign():
        raise FileFaultError(
            f"goes on after the end of its array, on line {window.line(window.at)}: write one array, or one object per"
            " line"
        )


def _element(window: _Window) -> tuple[Any] | Malformed:
    """The element at `at`, which then stands at the comma or bracket after it; in a tuple, to tell it from a fault."""
    scan = None
    while True:
        try:
            value, end = decode(window.text, window.at)
            after = SPACE.match(window.text, end).end()  # type: ignore[union-attr]
            if window.text[after : after + 1] in (",", "]"):
                window.at = after
                return (value,)
            reason = "Expecting ',' delimiter"
        except json.JSONDecodeError as error:
            reason = error.msg
        except (ValueError, RecursionError) as error:
            reason = first_line(error)
        if scan is not None:
            # The whole element is in memory, so its text is at fault.
            reason = f"the element on line {window.line(window.at)} is not JSON: {reason}"
            window.at += scan
            return Malformed(reason)
        scan = _length(window)


def _length(window: _Window) -> int:
    """Number of characters of the element at `at`, all of them read; told from brackets, strings and commas alone."""
    open_brackets: list[str] = []
    place = 0  # from `at`, whose own place changes when more is read
    while True:
        for mark in MARK.finditer(window.text, window.at + place):
            sign = mark[0]
            place = mark.end() - window.at
            if sign == '"':
                if window.text.find("\n", mark.end()) >= 0:
                    raise _without_end(window)
                place -= 1  # the string goes on behind the text in memory
                break
            if sign in "{[":
                open_brackets.append("}" if sign == "{" else "]")
            elif sign in open_brackets:
                while open_brackets.pop() != sign:
                    pass
            elif sign == "]":
                if open_brackets:
                    raise _without_end(window)
                return place - 1
            elif sign == "," and not open_brackets:
                return place - 1
        else:
            place = len(window.text) - window.at
        if not window.more():
            raise _without_end(window)


def _without_end(window: _Window) -> Exception:
    """The error for an element whose end cannot be found, because the file is cut off there or for another reason."""
    try:
        _, end = decode(window.text, window.at)
        if not window.text[end:].strip():
            return TruncatedError("the array does not end")
        reason = "Expecting ',' delimiter"
    except json.JSONDecodeError as error:
        if is_cut(error):
            return TruncatedError("the array does not end")
        reason = error.msg
    except (ValueError, RecursionError) as error:
        reason = first_line(error)
    return FileFaultError(
        f"has an element on line {window.line(window.at)} that is not JSON ({reason}) and whose end cannot be found:"
        " correct it there, or write one object per line"
    )
