"""The ways to run the backbone that `benchmarks.extract` measures, over the same conversations."""

import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.length_mix import mixed_conversations
from cache import FeatureStore
from extract.engines.engine import Engine
from extract.engines.packed import PackedEngine
from extract.engines.padded import PaddedEngine
from extract.engines.sequential import SequentialEngine
from extract.engines.vllm_engine import VllmEngine
from extract.packing import PackItem, PackLayout, Request
from extract.run import fill
from extract.settings import BackboneSettings, ExtractSettings
from extract.templating import BATCH, ConversationEncoder, Encoded

NAMES = (
    "one at a time",
    "sorted, padded",
    "packed, prompts repeated",
    "packed, prompts shared",
    "packed, compiled",
    "vllm",
    "end to end",
)
"""vllm where it is installed; end to end: from text to sealed shards, with the engine's own choice to compile."""

WARM_UP = 2
"""Number of packs before a way is timed: the first allocates memory and compiles, the second allocates the rest."""

Features = dict[bytes, Any]

Given = Callable[[], Features]


@dataclass(frozen=True)
class Way:
    """One way to compute the features of all conversations."""

    name: str
    run: Callable[[], Given]
    """Computes all features; returns a function that gives them by key."""
    tokens: int
    """Tokens that go through the model, repeated prompts included, padding not."""


def layouts(groups: list[Encoded], pack_tokens: int) -> tuple[Request, list[PackLayout]]:
    """The groups in packs of at most `pack_tokens` tokens, as an extraction would cut them."""
    request = Request()
    for group in groups:
        request.add(group)
    return request, [request.layout(pack) for pack in request.plan(set(map(bytes, request.keys())), pack_tokens)]


def alone(groups: list[Encoded]) -> list[PackLayout]:
    """Each conversation as one layout, read at its last token."""
    found = []
    for group in groups:
        for response in group.responses:
            _, (layout,) = layouts([Encoded(group.prompt, (response,))], len(group.prompt) + len(response))
            found.append(replace(layout, keys=layout.keys[-1:], rows=layout.rows[-1:], n_tokens=layout.n_tokens[-1:]))
    return found


def repeated_prompts(groups: list[Encoded], pack_tokens: int) -> list[PackLayout]:
    """Packs in which the prompt is repeated before every response."""
    items = []
    for group, single in zip([g for g in groups for _ in g.responses], alone(groups), strict=True):
        response = single.token_ids[len(group.prompt) :].astype(np.uint32)
        items.append((PackItem(b"", (single.keys[0].tobytes(),), read_prompt=False), group.prompt, [response]))
    items.sort(key=lambda item: -len(item[1]) - len(item[2][0]))
    packs: list[list[Any]] = []
    free: list[int] = []
    for item in items:
        tokens = len(item[1]) + len(item[2][0])
        at = next((number for number, left in enumerate(free) if left >= tokens), len(packs))
        if at == len(packs):
            packs.append([])
            free.append(pack_tokens)
        packs[at].append(item)
        free[at] -= tokens
    return [PackLayout.of(pack) for pack in packs]


def by_key(engine: Engine, packs: list[PackLayout]) -> Features:
    """Features of packs by key."""
    found: Features = {}
    for layout, states in zip(packs, engine.features(packs), strict=True):
        found |= {key.tobytes(): row for key, row in zip(layout.keys, states, strict=True)}
    return found


class Benchmark:
    """The ways, over the same conversations."""

    def __init__(self, backbone: Any, settings: BackboneSettings, extract: ExtractSettings, times: float) -> None:
        self.backbone, self.settings, self.extract = backbone, settings, extract
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.texts = mixed_conversations(times)
        encoded = self._encode()
        self.groups = [group for group in encoded if isinstance(group, Encoded)]
        assert len(self.groups) == len(self.texts)
        self.sequences = sum(len(group.responses) for group in self.groups)
        self.repeated_tokens = sum(
            len(group.prompt) + len(response) for group in self.groups for response in group.responses
        )
        self.request, self.packs = layouts(self.groups, extract.pack_tokens)

    @cached_property
    def singles(self) -> list[PackLayout]:
        """One layout for each conversation."""
        return alone(self.groups)

    def ways(self, wanted: set[str]) -> Iterator[Way]:
        """Each way with its engine, warmed up."""
        settings, extract = self.settings, self.extract
        once, again = self.request.tokens(), self.repeated_tokens
        plain = extract.model_copy(update={"compile": "never"})
        made: dict[str, Callable[[], tuple[Engine, list[PackLayout], int]]] = {
            "one at a time": lambda: (
                SequentialEngine(self.backbone, settings, plain, self.device),
                self.singles,
                again,
            ),
            "sorted, padded": lambda: (PaddedEngine(self.backbone, settings, plain, self.device), [self._all()], again),
            "packed, prompts repeated": lambda: (
                self._packed(plain),
                repeated_prompts(self.groups, extract.pack_tokens),
                again,
            ),
            "packed, prompts shared": lambda: (self._packed(plain), self.packs, once),
            "packed, compiled": lambda: (
                self._packed(extract.model_copy(update={"compile": "always"})),
                self.packs,
                once,
            ),
        }
        for name, make in made.items():
            if name in wanted:
                engine, packs, tokens = make()
                by_key(engine, packs[:WARM_UP] if name != "sorted, padded" else self.singles[:32])
                yield Way(name, partial(_computed, engine, packs), tokens)
        if "vllm" in wanted and importlib.util.find_spec("vllm"):
            with tempfile.TemporaryDirectory() as folder:
                vllm = VllmEngine(self.backbone.saved(Path(folder), settings), settings, extract, self.device)
                by_key(vllm, self.packs[:WARM_UP])
                yield Way("vllm", partial(_computed, vllm, self.packs), once)
        if "end to end" in wanted:
            engine = self._packed(extract)
            by_key(engine, self.packs[:WARM_UP])
            yield Way("end to end", partial(self._end_to_end, engine), once)

    def _packed(self, extract: ExtractSettings) -> Engine:
        return PackedEngine(self.backbone, self.settings, extract, self.device)

    def _all(self) -> PackLayout:
        """All conversations as one layout, for the padded engine to sort."""
        return PackLayout.of(
            [
                (
                    PackItem(b"", (single.keys[0].tobytes(),), read_prompt=False),
                    single.token_ids[:1].astype(np.uint32),
                    [single.token_ids[1:].astype(np.uint32)],
                )
                for single in self.singles
            ]
        )

    def _encode(self) -> list[Any]:
        encoder = ConversationEncoder(self.backbone.tokenizer, self.settings, self.backbone.vocabulary)
        starts = range(0, len(self.texts), BATCH)
        return [encoded for start in starts for encoded in encoder.encode(self.texts[start : start + BATCH])]

    def _end_to_end(self, engine: Engine) -> Given:
        """From text to sealed shards: templating, tokenising, planning, the pass, and the store."""
        folder = tempfile.TemporaryDirectory()
        request = Request()
        for encoded in self._encode():
            request.add(encoded)
        fingerprint = self.backbone.fingerprint(self.settings, "float16", "packed")
        store = FeatureStore.create(Path(folder.name), fingerprint, self.backbone.hidden_size)
        fill(store, request, lambda: engine, pack_tokens=self.extract.pack_tokens, shard_rows=8192)

        def given() -> Features:
            with folder:
                keys = request.keys()
                return {key.tobytes(): row for key, row in zip(keys, store.gather(keys), strict=True)}

        return given


def _computed(engine: Engine, packs: list[PackLayout]) -> Given:
    features = by_key(engine, packs)
    return lambda: features
