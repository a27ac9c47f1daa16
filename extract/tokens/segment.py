"""One file of token ids: Arrow IPC, one line a sequence, mapped into memory rather than read.

Its schema's metadata name the encoder, and hold a CRC-32 of everything but the ids. The ids of a sequence are compared
with its key when they are used (`Request.token_ids`), so that opening a file reads a twentieth of it.
"""

import hashlib
import os
import socket
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from cache.durable import TEMPORARY, replacing
from cache.keys import KEY_BYTES, Keys
from extract.encoded import TokenIds
from extract.tokens.texts import NAME_BYTES

SUFFIX = ".arrow"

SCHEMA = pa.schema(
    {"name": pa.binary(NAME_BYTES), "key": pa.binary(KEY_BYTES), "ids": pa.list_(pa.field("item", pa.uint32()))}
)
"""Name of the text; key of the sequence; its token ids, of a conversation those after its prompt."""


class Segment:
    """A file of token ids that is open.

    Attributes:
        path: the file.
        names: (n, 16) uint8, names of the texts.
        keys: (n, 16) uint8, keys of the sequences.
        offsets: (n + 1,) int32, where each sequence begins in `ids`.
        ids: (tokens,) uint32, in the file's memory map.
    """

    def __init__(self, path: Path, encoder: str) -> None:
        """Open a file.

        Args:
            path: the file.
            encoder: digest of the encoder that its ids must be of.

        Raises:
            ValueError: it is damaged, or no such file.
            OSError: it cannot be read.
        """
        self.path = path
        try:
            with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
                if not reader.schema.equals(SCHEMA) or reader.num_record_batches != 1:
                    raise ValueError("it has other columns than a file of tokens")
                metadata = reader.schema.metadata or {}
                batch = reader.get_batch(0)
            batch.validate(full=True)
        except pa.ArrowException as error:
            raise ValueError(str(error)) from None
        if any(column.null_count for column in batch.columns):
            raise ValueError("it has gaps")
        name, key, ids = batch.columns
        self.names, self.keys = (_rows(column) for column in (name, key))
        self.offsets: NDArray[np.int32] = ids.offsets.to_numpy()
        self.ids: TokenIds = ids.values.to_numpy()
        if metadata != _metadata(encoder, self.names, self.keys, self.offsets):
            raise ValueError("its names, keys and lengths are not those that were written, or another encoder's")


def write(folder: Path, encoder: str, names: Keys, keys: Keys, lengths: Sequence[int], ids: TokenIds) -> Path:
    """Write a file durably; its name is a digest of its texts, so that several writers of the same may meet.

    Args:
        folder: the folder.
        encoder: digest of the encoder.
        names: (n, 16) uint8
        keys: (n, 16) uint8
        lengths: number of ids of each of the n sequences.
        ids: (tokens,) the ids of all, one sequence's after the other's.

    Raises:
        OSError: the disk is full.
    """
    offsets = np.cumsum([0, *lengths], dtype=np.int32)
    schema = SCHEMA.with_metadata(_metadata(encoder, names, keys, offsets))
    columns = [
        pa.FixedSizeBinaryArray.from_buffers(SCHEMA.field(number).type, len(each), [None, pa.py_buffer(each)])
        for number, each in enumerate((names, keys))
    ]
    written = BytesIO()  # through memory, so that a full disk is reported with the file's name
    with pa.ipc.new_file(written, schema) as writer:
        writer.write_batch(pa.record_batch([*columns, pa.ListArray.from_arrays(offsets, ids)], schema=schema))
    path = folder / (hashlib.sha256(names.tobytes()).hexdigest()[:16] + SUFFIX)
    with replacing(path, temporary_suffix()) as file:
        file.write(written.getbuffer())
    return path


def temporary_suffix() -> str:
    """Ending that this process alone gives a name while it writes the file, for several may write it."""
    return f".{socket.gethostname()}-{os.getpid()}{TEMPORARY}"


def _rows(column: pa.FixedSizeBinaryArray) -> Keys:
    width = column.type.byte_width
    whole = np.frombuffer(column.buffers()[1], np.uint8)[column.offset * width :]
    return whole[: len(column) * width].reshape(-1, width)


def _metadata(encoder: str, names: Keys, keys: Keys, offsets: NDArray[np.int32]) -> dict[bytes, bytes]:
    crc = zlib.crc32(offsets.tobytes(), zlib.crc32(keys.tobytes(), zlib.crc32(names.tobytes())))
    return {b"encoder": encoder.encode(), b"crc32": f"{crc:08x}".encode()}
