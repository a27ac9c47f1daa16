"""The ways to run the backbone that `benchmarks.extract` measures, over the same conversations."""

import copy
import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, LlamaConfig

from benchmarks.length_mix import mixed_conversations
from cache import FeatureStore
from extract.backbone import Backbone, find_backbone
from extract.collect import BATCH
from extract.engines.engine import Engine
from extract.engines.packed import PackedEngine
from extract.engines.padded import PaddedEngine
from extract.engines.sequential import SequentialEngine
from extract.engines.vllm_engine import VllmEngine
from extract.packing import PackItem, PackLayout, Request
from extract.run import fill
from extract.settings import BackboneSettings, ExtractSettings
from extract.templating import ConversationEncoder, Encoded

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

TINY = Path(__file__).parents[1] / "backbones" / "tiny"

LLAMA_3_8B = LlamaConfig(
    vocab_size=128_256,
    hidden_size=4096,
    intermediate_size=14_336,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
    max_position_embeddings=8192,
    rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
)


class RandomBackbone(Backbone):
    """The bundled tokenizer with a decoder of a given shape and random weights."""

    def __init__(self, config: Any, seed: int = 0) -> None:
        about = find_backbone(BackboneSettings(model=str(TINY), max_tokens=2048))
        values = {name: getattr(about, name) for name in about.__slots__}
        facts = replace(about.facts, hidden_size=config.hidden_size, hidden_layers=config.num_hidden_layers)
        super().__init__(**values | {"facts": facts})
        object.__setattr__(self, "config", config)
        object.__setattr__(self, "seed", seed)

    def saved(self, folder: Path, settings: BackboneSettings) -> Backbone:
        """A copy on disk, for an engine that loads from a folder."""
        self.load(settings, torch.device("cpu"), None).save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        return find_backbone(BackboneSettings(model=str(folder)))

    def load(self, settings: BackboneSettings, device: torch.device, attention: str | None) -> Any:
        """See `Backbone.load`."""
        torch.manual_seed(self.seed)
        with torch.device(device):
            model = AutoModel.from_config(
                copy.deepcopy(self.config),
                dtype=getattr(torch, settings.dtype),
                attn_implementation=attention or "sdpa",
            )
        return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class Way:
    """One way to compute the features of all conversations."""

    name: str
    run: Callable[[], dict[bytes, Any]]
    """Computes all features, by key."""
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


def by_key(engine: Engine, packs: list[PackLayout]) -> dict[bytes, Any]:
    """Features of packs by key."""
    found: dict[bytes, Any] = {}
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
        self.request, self.packs = layouts(self.groups, extract.pack_tokens)

    def ways(self, wanted: set[str]) -> Iterator[Way]:
        """Each way with its engine, warmed up."""
        settings, extract = self.settings, self.extract
        singles, repeated = alone(self.groups), repeated_prompts(self.groups, extract.pack_tokens)
        once, again = self.request.tokens(), sum(len(layout.token_ids) for layout in singles)
        plain = extract.model_copy(update={"compile": "never"})
        made: dict[str, Callable[[], tuple[Engine, list[PackLayout], int]]] = {
            "one at a time": lambda: (SequentialEngine(self.backbone, settings, plain, self.device), singles, again),
            "sorted, padded": lambda: (PaddedEngine(self.backbone, settings, plain, self.device), [self._all()], again),
            "packed, prompts repeated": lambda: (self._packed(plain), repeated, again),
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
                by_key(engine, packs[:1] if name != "sorted, padded" else singles[:32])
                yield Way(name, lambda engine=engine, packs=packs: by_key(engine, packs), tokens)  # type: ignore[misc]
        if "vllm" in wanted and importlib.util.find_spec("vllm"):
            with tempfile.TemporaryDirectory() as folder:
                vllm = VllmEngine(self.backbone.saved(Path(folder), settings), settings, extract, self.device)
                by_key(vllm, self.packs[:1])
                yield Way("vllm", lambda: by_key(vllm, self.packs), once)
        if "end to end" in wanted:
            engine = self._packed(extract)
            by_key(engine, self.packs[:1])
            yield Way("end to end", lambda: self._end_to_end(engine), once)

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
                for single in alone(self.groups)
            ]
        )

    def _encode(self) -> list[Any]:
        encoder = ConversationEncoder(self.backbone.tokenizer, self.settings, self.backbone.vocabulary)
        starts = range(0, len(self.texts), BATCH)
        return [encoded for start in starts for encoded in encoder.encode(self.texts[start : start + BATCH])]

    def _end_to_end(self, engine: Engine) -> dict[bytes, Any]:
        """From text to sealed shards: templating, tokenising, planning, the pass, and the store."""
        with tempfile.TemporaryDirectory() as folder:
            request = Request()
            for encoded in self._encode():
                request.add(encoded)
            fingerprint = self.backbone.fingerprint(self.settings, "float16", "packed")
            store = FeatureStore.create(Path(folder), fingerprint, self.backbone.hidden_size)
            fill(store, request, lambda: engine, pack_tokens=self.extract.pack_tokens, shard_rows=8192)
            keys = request.keys()
            return {key.tobytes(): row for key, row in zip(keys, store.gather(keys), strict=True)}
