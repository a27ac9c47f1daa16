"""Names of texts, by which their token ids are found again."""

import hashlib
from collections.abc import Sequence

from extract.records import Prompt

NAME_BYTES = 16
"""Bytes of a name; as many as of a key (`cache.keys`)."""


def name_of_prompt(prompt: Prompt) -> bytes:
    """BLAKE2b digest, 16 bytes, of all turns of a prompt: their roles, texts and calls of tools."""
    digest = hashlib.blake2b(digest_size=NAME_BYTES)
    for message in prompt:
        content, calls = _bytes(message.content), _bytes(message.tool_calls)
        digest.update(f"{message.role} {len(content)} {len(calls)} ".encode())  # lengths: no two prompts read alike
        digest.update(content)
        digest.update(calls)
    return digest.digest()


def name_of_response(prompt: bytes, response: str) -> bytes:
    """BLAKE2b digest, 16 bytes, of a prompt's name and a response."""
    return hashlib.blake2b(prompt + _bytes(response), digest_size=NAME_BYTES).digest()


def name_of_record(names: Sequence[bytes], *, empty: bool) -> bytes:
    """BLAKE2b digest, 16 bytes, of a prompt's name, its responses' names, and whether their texts may be empty."""
    return hashlib.blake2b(b"".join([*names, b"empty"[: 5 * empty]]), digest_size=NAME_BYTES).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
