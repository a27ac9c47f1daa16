"""Arrow types inside lists, structs and maps."""

from collections.abc import Callable
from typing import Any

import pyarrow
from pyarrow import types


def with_leaves(kind: Any, change: Callable[[Any], Any]) -> Any:
    """A `pyarrow.DataType` whose types that hold no others are replaced by what `change` makes of them."""
    if types.is_struct(kind):
        return pyarrow.struct([_field(field, change) for field in kind])
    if types.is_map(kind):
        return pyarrow.map_(with_leaves(kind.key_type, change), with_leaves(kind.item_type, change))
    if types.is_fixed_size_list(kind):
        return pyarrow.list_(_field(kind.value_field, change), kind.list_size)
    if types.is_list(kind):
        return pyarrow.list_(_field(kind.value_field, change))
    if types.is_large_list(kind):
        return pyarrow.large_list(_field(kind.value_field, change))
    return change(kind)


def _field(field: Any, change: Callable[[Any], Any]) -> Any:
    return field.with_type(with_leaves(field.type, change))
