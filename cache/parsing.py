"""JSON text as a value of one type, or a clause that says what does not fit."""

from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from cache.errors import MOST_CHARACTERS

T = TypeVar("T")


def parse(kind: type[T], text: str | bytes) -> T:
    """A JSON text as a value of this type; nothing is converted, so "5" is no number.

    Raises:
        ValueError: the text is no JSON, or does not fit; the message is one clause of printable text.
    """
    try:
        value: T = _adapter(kind).validate_json(text, strict=True)  # type: ignore[arg-type]  # a type can be hashed
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        clause = f"{where}: {said}" if where else said
        raise ValueError((clause if clause.isprintable() else ascii(clause))[:MOST_CHARACTERS]) from None
    return value


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
