"""The exceptions for mistakes that a user can mend, and how other errors are quoted in their messages."""

from collections.abc import Iterator
from contextlib import contextmanager

MOST_CHARACTERS = 200
"""Longest quotation of another error's message."""


class UserError(Exception):
    """A mistake the user can mend.

    The message is one sentence that names the file, row or key at fault and the remedy.
    The command line prints it without a traceback and ends with exit code 2. Characters that do not print are escaped:
    a message may quote a file from anywhere, and is written to a terminal.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class DamageError(UserError):
    """A file of a store is not as it was written: cut, altered, missing, or from another store."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"{problem}: run `armorm cache verify --repair`, and the next `armorm extract` computes again what is lost"
        )
        self.problem = problem
        """The message without the remedy."""


@contextmanager
def refusing(problem: str, remedy: str) -> Iterator[None]:
    """Make one sentence of whatever goes wrong inside: files from elsewhere fail in more ways than can be listed.

    Args:
        problem: beginning of the sentence, which names the file.
        remedy: its end.

    Raises:
        UserError: something went wrong; a `UserError` from inside is passed on as it is.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{problem} ({cause(error)}): {remedy}") from None


def cause(error: BaseException) -> str:
    """Kind of an error and the first line of its message."""
    kind, line = type(error).__name__, first_line(error)
    return kind if line == kind else f"{kind}: {line}"


def first_line(error: BaseException) -> str:
    """First line of an error's message, at most 200 characters; the type's name where the message is empty.

    A line that ends with a colon goes on with the next one, which says what is wrong.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    line = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return printable(line[:MOST_CHARACTERS])


def printable(text: str) -> str:
    """The text with escapes in place of all that does not print, halves of surrogate pairs too; lines stay lines."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)
