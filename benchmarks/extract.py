"""Ways to run the backbone, side by side in one run on the same conversations.

On a CPU the bundled backbone's shape in float32; on a GPU a model of Llama 3 8B's shape with random weights in
bfloat16 (`--shape llama-3-8b`). The conversations have the lengths of the eight rating sets (length_mix.py). The
ways take turns, `--rounds` times, and the medians count, so that what else the machine does falls on all of them.

    python -m benchmarks.extract --json benchmarks/extract.json
"""

import argparse
import copy
import gc
import json
import logging
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from rich.console import Console
from rich.table import Table
from transformers import AutoConfig, AutoModel, LlamaConfig

from benchmarks.length_mix import mixed_conversations
from cache import FeatureStore
from extract.backbone import Backbone, find_backbone
from extract.collect import BATCH
from extract.engines.engine import Engine
from extract.engines.packed import PackedEngine
from extract.engines.padded import PaddedEngine
from extract.engines.sequential import SequentialEngine
from extract.packing import PackItem, PackLayout, Request
from extract.run import fill
from extract.settings import BackboneSettings, ExtractSettings
from extract.templating import ConversationEncoder, Encoded

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
    """The bundled tokenizer before a decoder of some shape with random weights."""

    def __init__(self, config: Any, seed: int = 0) -> None:
        about = find_backbone(BackboneSettings(model=str(TINY), max_tokens=2048))
        values = {name: getattr(about, name) for name in about.__slots__}
        super().__init__(**values | {"hidden_size": config.hidden_size, "hidden_layers": config.num_hidden_layers})
        object.__setattr__(self, "config", config)
        object.__setattr__(self, "seed", seed)

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
    """One way to the features of all conversations."""

    name: str
    run: Callable[[], dict[bytes, Any]]
    """Compute everything; the features by key."""
    tokens: int
    """Tokens that go through the model, repeated prompts included, padding not."""


@dataclass(frozen=True)
class Measured:
    """A way's median over the rounds."""

    way: str
    seconds: float
    sequences_per_second: float
    unique_tokens_per_second: float
    of_matmul_rate: float
    """Multiplications that the unique tokens need in the decoder's matrices, of what one large product does."""
    ratio: float
    """Sequences a second, of one at a time."""
    ratio_low: float
    ratio_high: float
    error: float
    """Mean relative difference from float32, one sequence at a time."""


def layouts(groups: list[Encoded], pack_tokens: int) -> tuple[Request, list[PackLayout]]:
    """The groups in packs of at most `pack_tokens` tokens, as an extraction would cut them."""
    request = Request()
    for group in groups:
        request.add(group)
    return request, [request.layout(pack) for pack in request.plan(set(map(bytes, request.keys())), pack_tokens)]


def alone(groups: list[Encoded]) -> list[PackLayout]:
    """Each conversation by itself, its last token read."""
    found = []
    for group in groups:
        for response in group.responses:
            _, (layout,) = layouts([Encoded(group.prompt, (response,))], len(group.prompt) + len(response))
            found.append(replace(layout, keys=layout.keys[-1:], rows=layout.rows[-1:], n_tokens=layout.n_tokens[-1:]))
    return found


def unshared(groups: list[Encoded], pack_tokens: int) -> list[PackLayout]:
    """Packs in which every response has its prompt repeated before it."""
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


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large matrix product in `dtype`, measured here and now."""
    n, k, m = (16_384, 4096, 14_336) if device.type == "cuda" else (2048, 1024, 2048)
    a, b = torch.randn(n, k, device=device, dtype=dtype), torch.randn(k, m, device=device, dtype=dtype)
    for _ in range(3):
        a @ b
    return 10 * 2 * n * k * m / timed(lambda: [a @ b for _ in range(10)], device)[0]


def timed(work: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    """Seconds that `work` takes, with the device's queue empty before and after, and its result."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started, result


def difference(got: dict[bytes, Any], expected: dict[bytes, Any]) -> float:
    """Mean relative difference of the features that both have."""
    both = got.keys() & expected.keys()
    return float(np.mean([np.linalg.norm(got[key] - expected[key]) / np.linalg.norm(expected[key]) for key in both]))


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
        singles, repeated = alone(self.groups), unshared(self.groups, extract.pack_tokens)
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


def measure(benchmark: Benchmark, names: list[str], rounds: int, rate: float, parameters: int) -> list[Measured]:
    """All ways in turn, `rounds` times over."""
    float32 = benchmark.settings.model_copy(update={"dtype": "float32"})
    exact = SequentialEngine(benchmark.backbone, float32, benchmark.extract, benchmark.device)
    reference = by_key(exact, layouts(benchmark.groups[:8], benchmark.extract.pack_tokens)[1])
    del exact
    gc.collect()
    ways = list(benchmark.ways(set(names)))
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    errors: dict[str, float] = {}
    for _ in range(rounds):
        for way in ways:
            took, features = timed(way.run, benchmark.device)
            seconds[way.name].append(took)
            errors[way.name] = difference(features, reference)
    first = seconds[ways[0].name]
    unique = benchmark.request.tokens()
    results = []
    for way in ways:
        took = statistics.median(seconds[way.name])
        ratios = [a / b for a, b in zip(first, seconds[way.name], strict=True)]
        results.append(
            Measured(
                way=way.name,
                seconds=took,
                sequences_per_second=benchmark.sequences / took,
                unique_tokens_per_second=unique / took,
                of_matmul_rate=2 * parameters * unique / took / rate,
                ratio=statistics.median(first) / took,
                ratio_low=min(ratios),
                ratio_high=max(ratios),
                error=errors[way.name],
            )
        )
    return results


def show(results: list[Measured]) -> None:
    """Print the table."""
    table = Table("way", "sequences/s", "ratio", "low to high", "unique tokens/s", "of the matmul rate", "error")
    for measured in results:
        table.add_row(
            measured.way,
            f"{measured.sequences_per_second:.1f}",
            f"{measured.ratio:.2f}",
            f"{measured.ratio_low:.2f} to {measured.ratio_high:.2f}",
            f"{measured.unique_tokens_per_second:,.0f}",
            f"{measured.of_matmul_rate:.1%}",
            f"{measured.error:.1e}",
        )
    Console(width=140).print(table)


def matrix_parameters(config: Any) -> int:
    """Weights of a decoder's matrices, embeddings left out."""
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    attention = config.hidden_size * head * (2 * config.num_attention_heads + 2 * config.num_key_value_heads)
    return int(config.num_hidden_layers * (attention + 3 * config.hidden_size * config.intermediate_size))


def main() -> None:
    """Command line."""
    names = [
        "one at a time",
        "sorted, padded",
        "packed, prompts repeated",
        "packed, prompts shared",
        "packed, compiled",
        "end to end",
    ]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=["tiny", "llama-3-8b"], default="tiny")
    parser.add_argument("--times", type=float, default=0.5, help="size of the mix; 1 is 782 sequences")
    parser.add_argument("--pack-tokens", type=int, default=None, help="8192 on a CPU, 32768 on a GPU")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", default=names, help="the first is what the others are compared with")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    config, dtype = (LLAMA_3_8B, "bfloat16")
    if arguments.shape == "tiny":
        config, dtype = AutoConfig.from_pretrained(TINY), "float32"
        config.max_position_embeddings = 8192
    settings = BackboneSettings(model=str(TINY), dtype=dtype, max_tokens=8192)
    pack_tokens = arguments.pack_tokens or (32_768 if torch.cuda.is_available() else 8192)
    benchmark = Benchmark(RandomBackbone(config), settings, ExtractSettings(pack_tokens=pack_tokens), arguments.times)
    rate = matmul_rate(benchmark.device, getattr(torch, dtype))
    results = measure(benchmark, arguments.ways, arguments.rounds, rate, matrix_parameters(config))
    cuda = benchmark.device.type == "cuda"
    about = {
        "device": torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "matmul_tflops": rate / 1e12,
        "sequences": benchmark.sequences,
        "unique_tokens": benchmark.request.tokens(),
        "repeated_tokens": sum(len(layout.token_ids) for layout in alone(benchmark.groups)),
        "pack_tokens": pack_tokens,
        "packs_full": benchmark.request.tokens() / len(benchmark.packs) / pack_tokens,
        "peak_gpu_bytes": torch.cuda.max_memory_allocated() if cuda else None,
    }
    print(json.dumps(about, indent=2))
    show(results)
    if arguments.json is not None:
        arguments.json.write_text(
            json.dumps({**about, "results": [asdict(measured) for measured in results]}, indent=2)
        )


if __name__ == "__main__":
    main()
