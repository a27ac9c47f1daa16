"""Names of files that come from files: checked when they are read, so that a join with one stays in its folder."""

import re
from typing import Any, ClassVar, Self

from pydantic_core import core_schema


class FileName(str):
    """A file's name without a folder: letters, digits, '.', '_' and '-', the first a letter or digit.

    Raises:
        ValueError: the text is something else, such as a path.
    """

    __slots__ = ()
    PATTERN: ClassVar = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
    MEANING: ClassVar = "the name of a file"

    def __new__(cls, name: str) -> Self:
        """Check the text."""
        if cls.PATTERN.fullmatch(name) is None:
            raise ValueError(f"{ascii(name)[:60]} is not {cls.MEANING}")
        return super().__new__(cls, name)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True))


class InnerPath(FileName):
    """The path of a file below a folder: names with '/' between them, none of them empty, '.' or '..'."""

    __slots__ = ()
    PATTERN: ClassVar = re.compile(r"(?!\.{1,2}(?:/|\Z))[^/\x00]+(?:/(?!\.{1,2}(?:/|\Z))[^/\x00]+)*")
    MEANING: ClassVar = "the path of a file below a folder"


class GgufFile(FileName):
    """The path of a GGUF file inside a folder or repository."""

    __slots__ = ()
    PATTERN: ClassVar = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._+-]{0,99}/){0,4}[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}\.gguf")
    MEANING: ClassVar = "the path of a .gguf file inside a folder or repository"


class StoreName(FileName):
    """The name of a store's folder: the digest of its fingerprint."""

    __slots__ = ()
    PATTERN: ClassVar = re.compile(r"[0-9a-f]{16}")
    MEANING: ClassVar = "the name of a store, which is 16 hexadecimal digits"


class ShardName(FileName):
    """The name of a shard without the suffix of its file."""

    __slots__ = ()
    MEANING: ClassVar = "the name of a shard"


class ShardFile(FileName):
    """The file name of a shard."""

    __slots__ = ()
    PATTERN: ClassVar = re.compile(FileName.PATTERN.pattern + r"\.(parquet|h5)")
    MEANING: ClassVar = "the file name of a shard"

    @property
    def stem(self) -> ShardName:
        """The name without its suffix."""
        return ShardName(self.rpartition(".")[0])
