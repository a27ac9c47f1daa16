"""The vLLM engine: vLLM's scheduler and kernels compute the states of token sequences.

It is an optional extra (`pip install -e '.[vllm]'`). docs/vllm.md says when to use it and what it cannot do.
"""

import atexit
import weakref
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from cache import UserError
from extract.backbone import Backbone
from extract.engines.vllm_installation import import_vllm, refuse_device
from extract.engines.vllm_requests import TASK, StateRequest, state_requests
from extract.packing import PackLayout
from extract.settings import BackboneSettings, ExtractSettings

CALL_STEPS = 16
"""Number of steps whose tokens make one call of vLLM. The last step of a call is not full, and the device waits while
the results of one call are read and the requests of the next are made; so a call must be many steps."""


class VllmEngine:
    """Passes each conversation of a pack to vLLM, which makes batches itself and computes prompts once by its cache."""

    def __init__(
        self,
        backbone: Backbone,
        settings: BackboneSettings,
        extract: ExtractSettings,
        device: torch.device,
        **overrides: Any,
    ) -> None:
        """Load vLLM and the backbone.

        Args:
            backbone: the backbone on the disk.
            settings: `[backbone]` of the recipe.
            extract: `[extract]` of the recipe.
            device: the recipe's device; it must be the one that the installed build of vLLM runs on.
            overrides: further arguments of vLLM's `EngineArgs`, for tests and measurements.

        Raises:
            UserError: vllm is missing or of another release, or cannot do what the recipe asks for.
        """
        _refuse_gguf(backbone)
        _refuse_layers(backbone, settings)
        self._vllm = import_vllm()
        refuse_device(device)
        self._hidden_size = backbone.hidden_size
        self._call_tokens = CALL_STEPS * extract.vllm.max_num_batched_tokens
        self._llm = self._start(_arguments(backbone, settings, extract) | overrides)
        self._stop = weakref.finalize(self, self._llm.llm_engine.engine_core.shutdown)
        # Runs before multiprocessing ends its children at exit. vLLM would take their end for a crash: its clean-up
        # thread would die with the interpreter, and the process with it ("terminate called without an active
        # exception").
        atexit.register(self._stop)

    def features(self, layouts: Iterable[PackLayout]) -> Iterator[NDArray[np.float32]]:
        """See `Engine.features`. vLLM gets many packs at once and divides them into steps itself.

        Raises:
            RuntimeError: vLLM did not compute a requested state.
        """
        for group in _groups(layouts, self._call_tokens):
            requests = [state_requests(layout) for layout in group]
            states = iter(self._states(self._llm, [request for some in requests for request in some]))
            for layout, some in zip(group, requests, strict=True):
                yield _in_order(layout, some, list(islice(states, len(some))))

    def _start(self, arguments: dict[str, Any]) -> Any:
        """Start vLLM, install the pooler and try both on three tokens: some failures show only then."""
        from vllm.v1.engine.exceptions import EngineDeadError

        trial = StateRequest(np.arange(3), positions=(1, 2), features=(0, 1))
        try:
            llm = self._vllm.LLM(**arguments)
            llm.collective_rpc("install_position_pooler")
            (states,) = self._states(llm, [trial])
        except (ValueError, RuntimeError, EngineDeadError) as error:
            raise UserError(
                f"vLLM cannot run {arguments['model']} as the recipe says: {_reason(error)}"
                " (what it logged may say more): change what it names, or set extract.engine to 'packed'"
            ) from error
        assert states.shape == (2, self._hidden_size), "vLLM does not use the pooler it was given"
        return llm

    def _states(self, llm: Any, requests: list[StateRequest]) -> list[NDArray[np.float32]]:
        """The states of each request: (positions, d) float32."""
        outputs = llm.encode(
            [self._vllm.TokensPrompt(prompt_token_ids=request.token_ids.tolist()) for request in requests],
            pooling_params=[
                self._vllm.PoolingParams(
                    skip_reading_prefix_cache=not request.reads_last_token_only,
                    extra_kwargs={"positions": list(request.positions)},
                )
                for request in requests
            ],
            pooling_task=TASK,
            use_tqdm=False,
        )
        return [output.outputs.data.numpy() for output in outputs]


def _refuse_gguf(backbone: Backbone) -> None:
    if backbone.gguf_file is not None:
        raise UserError(
            f"backbone.gguf_file is {backbone.gguf_file}, which the engine 'vllm' would read with kernels and roundings"
            " of its own: set extract.engine to 'packed', or name a folder of safetensors"
        )


def _refuse_layers(backbone: Backbone, settings: BackboneSettings) -> None:
    if settings.layers not in ((-1,), (backbone.hidden_layers,)):
        raise UserError(
            f"backbone.layers is {list(settings.layers)}, and vLLM gives only the last layer's states,"
            " after the final norm: use [-1], or set extract.engine to 'packed'"
        )


def _arguments(backbone: Backbone, settings: BackboneSettings, extract: ExtractSettings) -> dict[str, Any]:
    from vllm.config import PoolerConfig

    chosen = extract.vllm
    return {
        "model": str(backbone.folder),
        "dtype": settings.dtype,
        "max_model_len": settings.max_tokens,
        "runner": "pooling",
        "convert": "embed",
        "pooler_config": PoolerConfig(task=TASK, use_activation=False),
        "worker_extension_cls": "extract.engines.vllm_pooler.PoolerInstaller",
        "enable_chunked_prefill": True,
        "enable_prefix_caching": chosen.enable_prefix_caching,
        "tensor_parallel_size": chosen.tensor_parallel_size,
        "gpu_memory_utilization": chosen.gpu_memory_utilization,
        "kv_cache_memory_bytes": chosen.kv_cache_memory_bytes,
        "max_num_batched_tokens": chosen.max_num_batched_tokens,
        # A step cannot have more sequences than tokens, and vLLM refuses such settings.
        "max_num_seqs": min(chosen.max_num_seqs, chosen.max_num_batched_tokens),
        "enforce_eager": chosen.enforce_eager,
        "use_tqdm_on_load": False,
    }


def _reason(error: Exception) -> str:
    """The first line of vLLM's error; for a pydantic error only its message."""
    text = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    return text.removeprefix("Value error, ").strip().split("\n", maxsplit=1)[0][:300].rstrip(" .")


def _groups(layouts: Iterable[PackLayout], tokens: int) -> Iterator[list[PackLayout]]:
    """Groups of consecutive packs, each with at least `tokens` tokens but for the last."""
    group: list[PackLayout] = []
    for layout in layouts:
        group.append(layout)
        if sum(len(member.token_ids) for member in group) >= tokens:
            yield group
            group = []
    if group:
        yield group


def _in_order(
    layout: PackLayout, requests: list[StateRequest], states: list[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """The states of a pack's requests in the order of its features. Shape (features, 1, d), float32."""
    for request, rows in zip(requests, states, strict=True):
        if len(rows) != len(request.positions):
            raise RuntimeError(
                f"vLLM computed {len(rows)} of {len(request.positions)} states of the sequence"
                f" {layout.keys[request.features[-1]].tobytes().hex()}: the rest lay in its prefix cache,"
                " which it was told not to read"
            )
    order = np.argsort(np.concatenate([request.features for request in requests]))  # (features,)
    return np.concatenate(states)[order, None]
