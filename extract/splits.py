"""Which split a prompt belongs to: a function of the prompt alone.

By prompt and not by row, or else one prompt's responses would be on both sides (as in the reference
code); by hash and not by order, so that a data set added later moves no prompt.
"""

import hashlib

from extract.settings import SplitSettings


def split_of(prompt_key: bytes, settings: SplitSettings) -> str:
    """'validation' for the fraction `settings.validation` of all prompts, 'train' for the others."""
    digest = hashlib.blake2b(prompt_key, digest_size=8, key=settings.seed.to_bytes(8, "little", signed=True)).digest()
    return "validation" if int.from_bytes(digest, "little") < settings.validation * 2**64 else "train"
