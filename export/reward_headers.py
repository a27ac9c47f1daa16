"""The reward model's tensors in a folder by their headers: which there are, in which file, of what shape and dtype."""

from pathlib import Path

from cache import UserError
from export.model_folder import REMEDY
from extract.stored_weights import StoredTensor, read_headers
from extract.style import STYLE
from gating.reward import GATE_PREFIX
from gating.settings import RESPONSE_TOKENS

DTYPES = ("F32", "F64", "F16", "BF16")
"""Dtypes, as safetensors names them, in which heads can be stored. All are read as float32."""

REGRESSION = "regression_layer.weight"
TRANSFORM = "reward_transform_matrix"

PENALTIES = {
    RESPONSE_TOKENS: "length_penalty",
    **{mark: f"{mark}_penalty" for mark in STYLE},
}
"""Variable that is measured in the response -> a tensor of this project's own, stored only where it is taken out."""

UNCERTAINTY_PREFIX = "uncertainty."
"""Prefix of tensors of this project's own, stored where the heads' uncertainty is known."""


INTERVALS_PREFIX = "intervals."
"""Prefix of tensors of this project's own, stored where the intervals of ratings are known."""


def head_headers(folder: Path) -> dict[str, StoredTensor]:
    """Headers of heads, transform, penalties, gate, uncertainty and intervals, by name; the first two are there.

    Raises:
        UserError: one of the two is missing, a tensor is in two files or of a dtype that is no number's, or a file is
            damaged.
    """
    found: dict[str, StoredTensor] = {}
    for header in read_headers(folder):
        alone = header.name in (REGRESSION, TRANSFORM, *PENALTIES.values())
        if not alone and not header.name.startswith((GATE_PREFIX, UNCERTAINTY_PREFIX, INTERVALS_PREFIX)):
            continue
        if header.name in found:
            raise UserError(
                f"{header.name} is in {found[header.name].path} and in {header.path.name}, and which of them counts is"
                " not known: take one of the files out"
            )
        if header.dtype not in DTYPES:
            raise UserError(
                f"{header.name} in {header.path} is {header.dtype}, not one of {', '.join(DTYPES)}: {REMEDY}"
            )
        found[header.name] = header
    for name in (REGRESSION, TRANSFORM):
        if name not in found:
            raise UserError(f"the weights in {folder} have no {name}: {REMEDY}")
    if len(found[REGRESSION].shape) != 2:
        raise UserError(f"{REGRESSION} in {folder} is no matrix: {REMEDY}")
    return found
