"""Faults of a whole file, in one sentence each: damage, another shape than rows, and what the system refuses."""

import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow

from cache.errors import UserError, first_line

POINTER = b"version https://git-lfs"
"""First bytes of a file that was cloned without its content."""

PAGES = (b"<!doctype html", b"<html", b"<?xml")
"""First bytes of what servers send in place of a file, in lower case."""


class FileFaultError(Exception):
    """A file cannot be read as rows although it is whole; the message goes on after the file's name."""


class TruncatedError(Exception):
    """A file ends too early."""


@contextmanager
def faults_of(path: Path) -> Iterator[None]:
    """Turn whatever reading a file raises into a `UserError` that names it.

    Only a file that is cut or altered, which its checksum, its compression or its end shows, is to be fetched again.
    """
    try:
        yield
    except FileFaultError as fault:
        raise UserError(f"{path} {fault}") from None
    except UnicodeDecodeError:
        # Values are looked at one by one, which leaves the names of columns.
        raise UserError(f"{path} has a column whose name is not UTF-8: write it again with another name") from None
    except pyarrow.ArrowNotImplementedError as error:
        remedy = "write it again without that, or install a newer pyarrow"
        raise UserError(f"{path} holds what pyarrow cannot read ({first_line(error)}): {remedy}") from error
    except (OSError, EOFError, TruncatedError, zlib.error, lzma.LZMAError, pyarrow.ArrowException) as error:
        # The system's errors have a number; those of compressions and of Arrow are OSErrors without one.
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{path} cannot be read ({first_line(error)}): check its name and permissions") from None
        raise UserError(f"{path} is damaged or cut off ({first_line(error)}): fetch it again") from error


def refuse_other_content(start: bytes) -> None:
    """Refuse a file that begins as no data does.

    Args:
        start: the first bytes of the file, or of what it holds compressed.

    Raises:
        FileFaultError: it is a pointer of Git LFS, a page of a website, text in UTF-16, or encrypted.
    """
    if start.startswith(POINTER):
        raise FileFaultError("is a Git LFS pointer without its content: run `git lfs pull` in its repository")
    if start.removeprefix(b"\xef\xbb\xbf").lstrip()[:20].lower().startswith(PAGES):
        raise FileFaultError(
            "is an HTML or XML page in place of data, such as a login or an error page: fetch it again, and log in"
            " first if the data needs it"
        )
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileFaultError("is text in UTF-16: save it as UTF-8")
    if start.startswith(b"PARE"):
        raise FileFaultError("is encrypted Parquet: decrypt it first")
