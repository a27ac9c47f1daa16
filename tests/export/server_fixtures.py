"""A model folder, the model in it, and a server over it, each made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from export.reward_model import RewardModel
from tests.export.published_layout import published_checkpoint
from tests.export.server_process import Served, serving


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled backbone with random heads, in float32."""
    return published_checkpoint(tmp_path_factory.mktemp("served") / "model", dtype=torch.float32)


@pytest.fixture(scope="session")
def model(model_folder: Path) -> RewardModel:
    """The server in this process."""
    return RewardModel.load(model_folder, device="cpu")


@pytest.fixture(scope="session")
def served(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with the options it has by itself."""
    with serving(model_folder, tmp_path_factory.mktemp("server")) as started:
        yield started
