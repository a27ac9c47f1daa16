"""Tokens, disk, memory and time of a run, from the rows that were read."""

import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from cache.precision import ITEM_BYTES, StoreDtype
from cache.worker import ALONE
from extract.backbone import Backbone
from extract.engines.choice import load_engine
from extract.packing import Request
from extract.records import Record, texts_of
from extract.settings import BackboneSettings, ExtractSettings
from extract.templating import ConversationEncoder, Encoded, NotEncodableError

MOST_BYTES_TO_LOAD = 2 << 30
"""Bytes of weights up to which they are loaded to measure a rate: some seconds."""
PACKS_TO_MEASURE = 4
SECONDS_TO_MEASURE = 5.0
CPU_TOKENS = 1024

PUBLISHED_DEVICE = "NVIDIA H100 80GB HBM3"
PUBLISHED_RATE = 40_193.0
"""Unique tokens per second, end to end, of a decoder of Llama 3 8B's shape in bfloat16 (docs/benchmarks.md)."""
PUBLISHED_PARAMETERS = (7.4e9, 8.2e9)
"""Decoders of about that size."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Token counts of the rows of one data set that were read."""

    tokens: int
    """Tokens of prompts and responses, each prompt counted once a row."""
    features: int
    """Prompts and responses."""
    refused: tuple[str, ...]
    """Why the encoder refuses records, one reason for each."""
    encoded: tuple[Encoded, ...]


def lengths_of(records: Sequence[Record], encoder: ConversationEncoder) -> Lengths:
    """Encode the records of one data set."""
    encoded = encoder.encode([texts_of(record) for record in records])
    good = [one for one in encoded if isinstance(one, Encoded)]
    return Lengths(
        sum(len(one.prompt) + sum(map(len, one.responses)) for one in good),
        sum(1 + len(one.responses) for one in good),
        tuple(str(one) for one in encoded if isinstance(one, NotEncodableError)),
        tuple(good),
    )


HOST_BYTES_OF_A_SEQUENCE = 300
"""Main memory for a sequence: its spans in the request and in the index of names, and both sorted."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of a run. Counts are upper bounds: prompts that several rows share are computed once."""

    tokens: int | None
    """None if the number of rows of a set, or the lengths of its rows, are unknown."""
    features: int | None
    feature_bytes: int | None
    """Bytes of the features in the store."""
    token_bytes: int | None
    """Bytes of token ids beside the store."""
    bytes_to_fetch: int
    """Bytes of data sets and weights that are not on the disk yet."""
    weights_bytes: int
    """Bytes of the weights on the device, in the recipe's dtype."""
    host_bytes: int | None
    """Bytes of keys, places and lengths of sequences in main memory."""
    device: str
    """Name of this machine's device."""
    tokens_per_second: float | None
    """This machine's rate, measured with the engine; None if it was not measured."""
    hours: float | None
    """Hours on this machine; None if its rate or the number of tokens is unknown."""
    published_device: str | None
    """A device whose rate with a backbone of this size is published; None if there is none."""
    published_hours: float | None


def measure(
    backbone: Backbone,
    encoded: Iterable[Encoded],
    settings: BackboneSettings,
    extract: ExtractSettings,
    device: torch.device,
) -> float | None:
    """Tokens per second of this device, over packs of the rows that were read, for some seconds.

    Returns:
        None if there are too few rows: the first pack only warms up.

    Raises:
        UserError: the backbone cannot be loaded.
    """
    # On a CPU a pack is computed in pieces of about this size anyway.
    pack_tokens = extract.pack_tokens if device.type == "cuda" else max(CPU_TOKENS, settings.max_tokens)
    request = Request()
    for one in encoded:
        if request.tokens() >= PACKS_TO_MEASURE * pack_tokens:
            break
        request.add(one)
    packs = request.plan({key.tobytes() for key in request.keys(ALONE)}, pack_tokens)
    engine = load_engine(
        extract.engine,
        backbone,
        settings,
        extract.model_copy(update={"compile": "never", "pack_tokens": pack_tokens}),
        device,
    ).engine
    tokens, started = 0, 0.0
    for number, _ in enumerate(engine.features(map(request.layout, packs))):
        if number == 0:
            started = time.perf_counter()
            continue
        tokens += request.tokens_of(packs[number])
        if time.perf_counter() - started > SECONDS_TO_MEASURE:
            break
    return tokens / (time.perf_counter() - started) if tokens else None


def published(parameters: int, dtype: str) -> tuple[str, float] | None:
    """A named GPU and its published rate for a backbone of this size, in tokens per second; None if there is none."""
    low, high = PUBLISHED_PARAMETERS
    return (PUBLISHED_DEVICE, PUBLISHED_RATE) if low <= parameters <= high and dtype == "bfloat16" else None


def feature_bytes(features: int, layers: int, hidden_size: int, dtype: StoreDtype) -> int:
    """Bytes of features in the store: rows × layers × hidden size × bytes of a value."""
    return features * layers * hidden_size * ITEM_BYTES[dtype]


def free_bytes(folder: Path) -> int:
    """Bytes free on the disk of a folder that need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
