"""Values of a row as JSON holds them, so that what was read can be written back."""

import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from export.not_scorable import NotScorableError
from extract.checks import number_fault, text_fault

AS_TEXT = (datetime.date, datetime.time, datetime.timedelta, Decimal, UUID)
"""Types of columns in Parquet and Arrow that JSON has no form for, and that a text says in full."""


def json_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """A row's values, with dates, times, decimals and UUIDs as texts.

    Raises:
        NotScorableError: JSON in UTF-8 cannot hold a value, or it is nested too deeply.
    """
    try:
        return {_key(name): _value(value, f"column {_key(name)!r}") for name, value in values.items()}
    except RecursionError:
        raise NotScorableError("it is nested too deeply") from None


def _key(name: Any) -> str:
    if not isinstance(name, str):
        raise NotScorableError(f"it has a key that is {type(name).__name__}, expected text")
    if fault := text_fault(name, empty=True):
        raise NotScorableError(f"one of its keys {fault}")
    return name


def _value(value: Any, what: str) -> Any:
    if isinstance(value, str):
        if fault := text_fault(value, empty=True):
            raise NotScorableError(f"{what} {fault}")
        return value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if fault := number_fault(value):
            raise NotScorableError(f"{what} {fault}")
        return value
    if isinstance(value, Mapping):
        return {_key(name): _value(each, what) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_value(each, what) for each in value]
    if isinstance(value, AS_TEXT):
        return str(value)
    raise NotScorableError(f"{what} is {type(value).__name__}, which JSON cannot hold")
