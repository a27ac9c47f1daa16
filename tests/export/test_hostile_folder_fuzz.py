"""Whatever stands in config.json and in the heads: a sentence, or scores that are finite."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.export.hostile_folder import HEADS, SEVERAL, Tensors, Values, copied, outcome

NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1, 2, 3, 33, 8191, 2**31, 2**63, 10**12, 10**30, 10**400]),
    st.integers(-5, 70),
    st.sampled_from([0.0, -0.5, 1e-300, 1e300, float("nan"), float("inf"), -float("inf")]),
)
SCALARS = st.one_of(
    NUMBERS,
    st.none(),
    st.booleans(),
    st.sampled_from(
        ["", "evil", "evil/kernel", "\ud83d", "\x1b[2J", "../../x", "float16", "llama", "qwen2", "a" * 5000]
    ),
)
VALUES = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=4), part, max_size=3)
)
MORE_KEYS = (
    "_attn_implementation",
    "attn_implementation",
    "auto_map",
    "dtype",
    "is_encoder_decoder",
    "layer_types",
    "num_experts",
    "quantization_config",
    "rope_scaling",
    "sliding_window",
    "text_config",
    "tokenizer_class",
    "use_bidirectional_attention",
)
CHANGES = st.lists(st.tuples(st.integers(0, 10_000), VALUES | st.just("(taken out)")), min_size=1, max_size=3)
DTYPES = (torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.bool, torch.float8_e4m3fn)
TENSOR_CHANGES = st.lists(
    st.tuples(
        st.integers(0, 100),
        st.sampled_from(["nan", "inf", "huge", "zero", "gone", "twice", "shorter", "flat", "new name", *DTYPES]),
    ),
    max_size=2,
)


def places(values: Values, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The keys of a configuration, down to those inside tables."""
    found: list[tuple[str, ...]] = []
    for key, value in values.items():
        found.append((*path, key))
        if isinstance(value, dict):
            found += places(value, (*path, key))
    return found


def put(values: Values, path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        inner = values.get(key)
        if not isinstance(inner, dict):
            return  # another change has put something in its place
        values = inner
    if value == "(taken out)":
        values.pop(path[-1], None)
    else:
        values[path[-1]] = value


def changed(tensor: torch.Tensor, how: Any) -> torch.Tensor:
    if isinstance(how, torch.dtype):
        return tensor.to(how)
    tensor = tensor.float().clone()
    if how in ("nan", "inf", "huge") and tensor.numel():
        tensor.view(-1)[0] = {"nan": float("nan"), "inf": float("inf"), "huge": 3e38}[how]
    if how == "zero":
        tensor.zero_()
    if how == "twice":
        tensor = torch.cat([tensor, tensor])
    if how == "shorter":
        tensor = tensor[:-1].contiguous()
    return tensor.flatten() if how == "flat" else tensor


def of_changed(
    folder: Path, changes: list[tuple[int, Any]], tensor_changes: list[tuple[int, Any]]
) -> str | list[float]:
    """The outcome of a copy of the folder with these changes."""

    def config(values: Values) -> None:
        keys = [*places(values), *((key,) for key in MORE_KEYS)]
        for number, value in changes:
            put(values, keys[number % len(keys)], value)

    def heads(tensors: Tensors) -> None:
        for number, how in tensor_changes:
            name = sorted(tensors)[number % len(tensors)]
            tensor = tensors.pop(name)
            if how != "gone":
                tensors[name + ".0" if how == "new name" else name] = changed(tensor, how)

    with tempfile.TemporaryDirectory(dir=folder.parent) as apart:
        return outcome(copied(folder, Path(apart) / "changed", config=config, heads=heads))


def is_refused_or_scored(told: str | list[float]) -> bool:
    """Whether there is a sentence, or a score for each conversation."""
    return len(told) == len(SEVERAL) if isinstance(told, list) else bool(told.strip())


PROFILE = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))


@given(CHANGES, TENSOR_CHANGES)
@settings(PROFILE, max_examples=30, derandomize=True)
def test_a_changed_folder_is_refused_or_scores(
    small_export: Path, changes: list[tuple[int, Any]], tensor_changes: list[tuple[int, Any]]
) -> None:
    assert is_refused_or_scored(of_changed(small_export, changes, tensor_changes))


@pytest.mark.slow
@given(CHANGES, TENSOR_CHANGES)
@settings(PROFILE, max_examples=4000)
def test_a_changed_folder_is_refused_or_scores_at_length(
    small_export: Path, changes: list[tuple[int, Any]], tensor_changes: list[tuple[int, Any]]
) -> None:
    assert is_refused_or_scored(of_changed(small_export, changes, tensor_changes))


@pytest.mark.slow
@given(st.data())
@settings(PROFILE, max_examples=1000)
def test_bytes_that_changed_are_refused_or_score(small_export: Path, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory(dir=small_export.parent) as apart:
        folder = copied(small_export, Path(apart) / "changed")
        name = data.draw(
            st.sampled_from(["config.json", HEADS, "model.safetensors.index.json", "tokenizer_config.json"])
        )
        content = bytearray((folder / name).read_bytes())
        for place, byte in data.draw(st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1)):
            content[place % min(len(content), 3000)] = byte
        (folder / name).write_bytes(content)
        assert is_refused_or_scored(outcome(folder))
