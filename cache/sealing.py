"""Sealing a shard: each step is durable before the next, and a shard is named only after it was read back."""

import errno
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache import manifest
from cache.description import StoreDescription
from cache.durable import replacing
from cache.errors import DamageError
from cache.formats import FORMATS
from cache.keys import Keys
from cache.manifest import ShardEntry
from cache.names import ShardFile
from cache.precision import to_storage, unusable_rows
from cache.sealed_shard import SealedShard, sha256, shard_path
from cache.shard import ShardIndex, row_checksums

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Error numbers for a full disk, a full quota, and a limit on a file's size."""


def seal(
    folder: Path,
    description: StoreDescription,
    shard: str,
    keys: Keys,
    n_tokens: NDArray[np.int32],
    features: NDArray[np.float32],
) -> ShardEntry:
    """Write one shard and name it in the manifest; both durable when this returns.

    The order is: temporary file, flush, fsync, rename, fsync of the folder; read back and compare; manifest
    line, fsync. A crash at any point leaves all sealed shards as they were and this one unnamed.

    Raises:
        ValueError: a key comes twice, a value does not fit the dtype, or the name is none; nothing was written.
        DamageError: the manifest is gone, or has lost lines.
        OSError: the disk is full, or does not give back what was written; nothing was named.
    """
    n = len(keys)
    if features.shape != (n, description.layers, description.hidden_size) or n_tokens.shape != (n,):
        raise ValueError(f"{n} keys came with features of shape {features.shape} and {len(n_tokens)} token counts")
    if len(np.unique(keys, axis=0)) < n:
        raise ValueError(f"shard {shard} was given a key twice")
    if unusable := unusable_rows(features, description.dtype):
        row, reason = next(iter(unusable.items()))
        raise ValueError(f"row {row} of shard {shard} cannot be stored: {reason}")
    stored = to_storage(features.reshape(n, description.width), description.dtype)
    index = ShardIndex(keys, n_tokens, row_checksums(keys, n_tokens, stored))
    form = FORMATS[description.format]
    file_name = ShardFile(f"{shard}{form.suffix}")
    path = shard_path(folder, file_name)
    try:
        with replacing(path) as file:
            form.write(file, index, stored, description.about)
        entry = ShardEntry(
            shard=file_name,
            store=description.fingerprint.digest,
            rows=n,
            bytes=path.stat().st_size,
            sha256=sha256(path),
            index=index.digest(),
        )
        _read_back(SealedShard(folder, entry, description), index)
        manifest.append(folder / manifest.FILE, entry)
    except OSError as error:
        if error.errno in FULL:
            raise OSError(
                f"{path} could not be written ({error.strerror}): make room, and run `armorm extract` again;"
                " all shards sealed before are safe"
            ) from error
        raise
    return entry


def _read_back(shard: SealedShard, index: ShardIndex) -> None:
    """Compare the written file with the values it should hold, before the manifest names it.

    Right after the write this reads the system's memory cache, so it finds faults of the encoder, not of the disk.
    Rows are decoded, as other programs will do. Faults of the disk are found by the checksums of every later read.
    """
    try:
        read = shard.index()
        with shard.open(decode=True) as opened:
            opened.values(np.arange(len(index)), read.keys, read.n_tokens, index.checksums)
    except DamageError as error:
        shard.path.unlink(missing_ok=True)
        raise OSError(f"{error.problem}: it did not read back as it was written; check the disk") from error
