"""Checks of the installed vllm package: its presence, its release, and the device it runs on."""

import os
from types import ModuleType

import torch

from cache import UserError

TESTED = "0.32"
"""The release that the pooler was tested with. The pooler uses interfaces that vLLM changes between releases; the
extra in pyproject.toml has the same range."""

ENVIRONMENT = {
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",  # standard output belongs to a command's result (`--json`)
    "VLLM_LOGGING_LEVEL": "WARNING",
    # A fork would copy the locks of polars' and the tokenizer's threads in any state.
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    "VLLM_NO_USAGE_STATS": "1",
}
"""Environment variables that vLLM reads when it is imported; a variable that is set already stays."""


def import_vllm() -> ModuleType:
    """The package vllm, if it is of the release that this engine was tested with.

    Raises:
        UserError: it is missing, broken, or of another release.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import vllm
    except ImportError as error:
        if error.name == "vllm":
            raise UserError(
                "extract.engine: 'vllm' needs the package vllm, which is not installed:"
                " run `pip install -e '.[vllm]'`, or use 'packed'"
            ) from None
        raise UserError(
            f"extract.engine: vllm is installed but cannot be imported ({error}): install it anew, or use 'packed'"
        ) from error
    version: str = vllm.__version__
    if not version.startswith(f"{TESTED}."):
        raise UserError(
            f"extract.engine: vllm {version} is installed, and this engine needs {TESTED}:"
            " run `pip install -e '.[vllm]'`, or use 'packed'"
        )
    return vllm


def refuse_device(device: torch.device) -> None:
    """Refuse a device that the installed build would not use.

    Raises:
        UserError: the device is of another kind than the build's, or not the first of its kind.
    """
    from vllm.platforms import current_platform

    if device.type != current_platform.device_type:
        raise UserError(
            f"extract.device is {device}, and the vllm that is installed runs on"
            f" {current_platform.device_type or 'no device of this machine'}: set extract.device to 'auto',"
            " or extract.engine to 'packed'"
        )
    if device.index:
        raise UserError(
            f"this process is to run on {device}, and vLLM takes the first devices it sees:"
            " let it see that one alone (CUDA_VISIBLE_DEVICES), and set extract.device to 'cuda'"
        )
