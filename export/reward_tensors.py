"""The reward model's tensors in an exported folder, by the published checkpoint's names."""

from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from cache import UserError
from cache.errors import refusing
from export.model_folder import REMEDY
from export.reward_config import RewardConfig
from export.reward_headers import (
    INTERVALS_PREFIX,
    PENALTIES,
    REGRESSION,
    TRANSFORM,
    UNCERTAINTY_PREFIX,
    head_headers,
)
from export.reward_intervals import intervals_tensors, read_intervals
from export.reward_uncertainty import read_uncertainty, uncertainty_tensors
from extract.stored_weights import StoredTensor
from gating.gate import Gate, GateShapeError
from gating.reward import GATE_PREFIX, RewardParts
from gating.settings import GateSettings, variables_of
from gating.transform import Transform


def reward_tensors(parts: RewardParts) -> dict[str, torch.Tensor]:
    """The tensors that a folder holds besides the backbone's, float32."""
    transform = parts.transform
    tensors = {
        REGRESSION: torch.from_numpy(parts.weight),
        TRANSFORM: torch.from_numpy(transform.matrix.astype(np.float32)),
        **{GATE_PREFIX + name: value for name, value in parts.gate.state_dict().items()},
    }
    for name, lambdas in transform.on_measured.items():
        tensors[PENALTIES[name]] = torch.from_numpy(lambdas.astype(np.float32))
    if parts.uncertainty is not None:
        tensors |= uncertainty_tensors(parts.uncertainty)
    if parts.intervals is not None:
        tensors |= intervals_tensors(parts.intervals)
    return {name: tensor.float().contiguous() for name, tensor in tensors.items()}


def read_reward_parts(folder: Path, config: RewardConfig, settings: GateSettings, hidden_size: int) -> RewardParts:
    """Read a folder's reward model, whichever of its safetensors files the tensors are in.

    Every shape is compared before a tensor is read, and every number is looked at before one is used.

    Args:
        folder: exported folder, or the published checkpoint.
        config: its table `armorm`, with names.
        settings: the shape of the gate.
        hidden_size: length of a state of its backbone.

    Raises:
        UserError: a tensor is missing, in two files, of another shape or dtype, not finite, or a file is damaged.
    """
    headers = head_headers(folder)
    k, d = len(config.objectives), len(config.layers) * hidden_size
    _check_shape(headers[REGRESSION], (k, d))
    _check_shape(headers[TRANSFORM], (k, k))
    if config.features not in (None, d):
        raise UserError(f"config.json in {folder} says that features is {config.features}, and it is {d}: {REMEDY}")
    measured = {name: tensor for name, tensor in PENALTIES.items() if name in variables_of(config.verbosity)}
    for name, tensor in PENALTIES.items():
        if (tensor in headers) != (name in measured):
            raise UserError(
                f"config.json in {folder} says that verbosity is {config.verbosity!r}, and {tensor} is"
                f" {'there' if tensor in headers else 'missing'}: {REMEDY}"
            )
        if tensor in headers:
            _check_shape(headers[tensor], (k,))
    _check_uncertainty(folder, config, headers, d)
    _check_intervals(folder, config, headers)
    tensors = {name: _read(header) for name, header in headers.items()}
    state = {name.removeprefix(GATE_PREFIX): value for name, value in tensors.items() if name.startswith(GATE_PREFIX)}
    try:
        gate = Gate.of_state(state, d, k, settings)
    except GateShapeError as error:
        raise UserError(
            f"the gate in {folder} is not as wide or deep as its config.json says ({error}): {REMEDY}"
        ) from None
    table, between = config.uncertainty, config.intervals
    uncertainty = None if table is None else read_uncertainty(table, tensors, folder)
    return RewardParts(
        config.objectives,
        tensors[REGRESSION].numpy(),
        Transform.of_matrix(
            tensors[TRANSFORM].double().numpy(),
            {name: tensors[tensor].double().numpy() for name, tensor in measured.items()},
        ),
        gate,
        uncertainty,
        None if between is None else read_intervals(between, tensors, uncertainty),
    )


def _check_uncertainty(folder: Path, config: RewardConfig, headers: dict[str, StoredTensor], d: int) -> None:
    """Refuse tensors of the uncertainty that are not those of config.json; nothing is allocated for a number there."""
    table = config.uncertainty
    shapes = {} if table is None else table.shapes()
    _check_there(folder, "uncertainty is", UNCERTAINTY_PREFIX, headers, shapes)
    if table is None:
        return
    if len(table.factor_of) != len(config.objectives) or table.first_column + table.columns > d:
        raise UserError(
            f"the uncertainty in config.json in {folder} is that of {len(table.factor_of)} objectives over columns"
            f" {table.first_column} to {table.first_column + table.columns}, and there are {len(config.objectives)}"
            f" objectives over {d}: {REMEDY}"
        )
    for name, shape in shapes.items():
        _check_shape(headers[name], shape)


def _check_intervals(folder: Path, config: RewardConfig, headers: dict[str, StoredTensor]) -> None:
    """Refuse tensors of the intervals that are not those of config.json."""
    shapes = {} if config.intervals is None else config.intervals.shapes(len(config.objectives))
    _check_there(folder, "intervals are", INTERVALS_PREFIX, headers, shapes)
    for name, shape in shapes.items():
        _check_shape(headers[name], shape)


def _check_there(
    folder: Path, what: str, prefix: str, headers: dict[str, StoredTensor], shapes: dict[str, tuple[int, ...]]
) -> None:
    """Refuse a folder in which the tensors below a prefix are not those that config.json asks for."""
    stored = {name for name in headers if name.startswith(prefix)}
    if different := sorted(stored ^ set(shapes)):
        raise UserError(
            f"config.json in {folder} says that the {what} {'there' if shapes else 'left out'}, and"
            f" {different[0]} is {'there' if different[0] in stored else 'missing'}: {REMEDY}"
        )


def _check_shape(header: StoredTensor, expected: tuple[int, ...]) -> None:
    if header.shape != expected:
        raise UserError(
            f"{header.name} in {header.path} is {_times(header.shape)}, and config.json there asks for"
            f" {_times(expected)}: {REMEDY}"
        )


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "a single number"


def _read(header: StoredTensor) -> torch.Tensor:
    """A tensor as float32."""
    with refusing(f"{header.path} is damaged", REMEDY), safe_open(header.path, framework="pt") as file:
        tensor: torch.Tensor = file.get_tensor(header.name).float()
    if not bool(tensor.isfinite().all()):
        raise UserError(f"{header.name} in {header.path} holds a value that is not finite: {REMEDY}")
    return tensor
