"""The fingerprint: everything that a stored feature depends on, as one digest that names the store."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ConfigDict

from cache.names import StoreName


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything that, if it changed, would change the stored vectors.

    How sequences are packed is left out on purpose: it moves a feature by rounding only.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    backbone: str
    """Hub id and commit, or the digest of a local folder's weights and configuration."""
    tokenizer: str
    """Digest of the tokenizer."""
    template: str
    """Digest of the chat template."""
    position: str
    """Rule that says at which token a feature is read."""
    layers: tuple[int, ...]
    """Indices into the backbone's hidden states; -1 is the last one, after the final norm."""
    compute_dtype: str
    store_dtype: str
    engine: str
    """Engine family: two families agree within rounding, and are still never mixed."""

    @property
    def digest(self) -> StoreName:
        """16 hexadecimal digits that name the store's folder."""
        return StoreName(digest_of(asdict(self))[:16])

    def differences(self, other: "Fingerprint") -> list[str]:
        """Names of the fields in which the two differ."""
        mine, theirs = asdict(self), asdict(other)
        return [name for name in mine if mine[name] != theirs[name]]


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form (sorted keys, no white space), in hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
