"""Two halves of the validation rows: one to calibrate and choose by, one that only judges."""

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray


def in_calibration_half(prompt_keys: pl.Series, seed: int) -> NDArray[np.bool_]:
    """Whether each row is in the half that calibrates. All rows of a prompt are in the same half.

    Args:
        prompt_keys: (n,) binary digests of the rows' prompts.
        seed: another seed, another division.

    Returns:
        (n,) bool
    """
    salt = str(seed).encode()
    coins = {key: hashlib.blake2b(key, key=salt, digest_size=1).digest()[0] % 2 == 0 for key in prompt_keys.unique()}
    return np.array([coins[key] for key in prompt_keys], dtype=np.bool_)
