"""The reward model's tensors in an exported folder, by the published checkpoint's names."""

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from cache import UserError
from gating.gate import Gate, GateShapeError
from gating.reward import GATE_PREFIX, RewardParts
from gating.settings import GateSettings
from gating.transform import Transform

REGRESSION = "regression_layer.weight"
TRANSFORM = "reward_transform_matrix"

LENGTH_PENALTY = "length_penalty"
"""A tensor of this project's own, stored only where verbosity is the number of tokens."""


def reward_tensors(parts: RewardParts) -> dict[str, torch.Tensor]:
    """The tensors that a folder holds besides the backbone's, float32."""
    transform = parts.transform
    tensors = {
        REGRESSION: torch.from_numpy(parts.weight),
        TRANSFORM: torch.from_numpy(transform.matrix.astype(np.float32)),
        **{GATE_PREFIX + name: value for name, value in parts.gate.state_dict().items()},
    }
    if transform.on_length is not None:
        tensors[LENGTH_PENALTY] = torch.from_numpy(transform.on_length.astype(np.float32))
    return {name: tensor.float().contiguous() for name, tensor in tensors.items()}


def read_reward_parts(folder: Path, objectives: tuple[str, ...], settings: GateSettings) -> RewardParts:
    """Read a folder's reward model, whichever of its safetensors files the tensors are in.

    Args:
        folder: exported folder, or the published checkpoint.
        objectives: names of the rewards; their number is not checked here.
        settings: the shape of the gate.

    Raises:
        UserError: a tensor is missing, of another shape, or a file is damaged.
    """
    tensors = _read(folder)
    for name in (REGRESSION, TRANSFORM):
        if name not in tensors:
            raise UserError(f"the weights in {folder} have no {name}: export or fetch the folder again")
    weight, transform = tensors.pop(REGRESSION), tensors.pop(TRANSFORM)
    on_length = tensors.pop(LENGTH_PENALTY, None)
    if weight.ndim != 2:
        raise UserError(f"{REGRESSION} in {folder} is no matrix: export or fetch the folder again")
    k, d = weight.shape
    if transform.shape != (k, k) or (on_length is not None and on_length.shape != (k,)):
        raise UserError(f"{TRANSFORM} in {folder} does not fit {k} objectives: export or fetch the folder again")
    state = {name.removeprefix(GATE_PREFIX): value for name, value in tensors.items()}
    try:
        gate = Gate.of_state(state, d, k, settings)
    except GateShapeError:
        raise UserError(
            f"the gate in {folder} is not as wide or deep as its config.json says: export or fetch the folder again"
        ) from None
    return RewardParts(
        objectives,
        weight.numpy(),
        Transform.of_matrix(transform.double().numpy(), None if on_length is None else on_length.double().numpy()),
        gate,
    )


def _read(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of heads, transform and gate, float32."""
    found: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - a safe_open is no dictionary
                    if name in (REGRESSION, TRANSFORM, LENGTH_PENALTY) or name.startswith(GATE_PREFIX):
                        found[name] = file.get_tensor(name).float()
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path} is damaged ({error}): export or fetch the folder again") from None
    return found
