"""The exceptions for mistakes that a user can mend, and how other errors are quoted in their messages."""

MOST_CHARACTERS = 200
"""Longest quotation of another error's message."""


class UserError(Exception):
    """A mistake the user can mend.

    The message is one sentence that names the file, row or key at fault and the remedy.
    The command line prints it without a traceback and ends with exit code 2.
    """


class DamageError(UserError):
    """A file of a store is not as it was written: cut, altered, missing, or from another store."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"{problem}: run `armorm cache verify --repair`, and the next `armorm extract` computes again what is lost"
        )
        self.problem = problem
        """The message without the remedy."""


def first_line(error: BaseException) -> str:
    """First line of an error's message, at most 200 characters; the type's name where the message is empty."""
    lines = str(error).strip().splitlines()
    return lines[0][:MOST_CHARACTERS] if lines else type(error).__name__
