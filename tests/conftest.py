"""Fixtures of all tests: the bundled backbone, encoded conversations, and the folder of real rows, if any."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing here may reach for a network
os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers and their processes share the cores; threads would fight

from extract.backbone import Backbone, find_backbone
from extract.packing import Request
from extract.records import Message, Prompt
from extract.settings import BackboneSettings
from extract.templating import ConversationEncoder, Encoded
from tests.browser import browser  # noqa: F401  # a fixture

ROOT = Path(__file__).parents[1]
TINY = ROOT / "backbones" / "tiny"
settings.register_profile("unhurried", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("unhurried")

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "seven", "lazy", "dogs", "while", "wise", "owls", "count"]


@pytest.fixture(scope="session")
def tiny_settings() -> BackboneSettings:
    """The bundled backbone in float32."""
    return BackboneSettings(model=str(TINY), dtype="float32", max_tokens=2048)


@pytest.fixture(scope="session")
def tiny(tiny_settings: BackboneSettings) -> Backbone:
    """The bundled backbone, found."""
    return find_backbone(tiny_settings)


@pytest.fixture(scope="session")
def encoder(tiny: Backbone, tiny_settings: BackboneSettings) -> ConversationEncoder:
    """The bundled backbone's template and tokenizer."""
    return ConversationEncoder(tiny.tokenizer, tiny_settings, tiny.vocabulary)


def conversations(
    seed: int, prompts: int, most_responses: int = 4, longest: int = 80
) -> list[tuple[Prompt, tuple[str, ...]]]:
    """Random prompts of one or three turns, each with some responses."""
    rng = np.random.default_rng(seed)

    def text(most: int) -> str:
        return " ".join(rng.choice(WORDS, rng.integers(1, most + 1)))

    made: list[tuple[Prompt, tuple[str, ...]]] = []
    for _ in range(prompts):
        prompt: Prompt = (Message("user", text(longest // 2)),)
        if rng.random() < 0.2:
            prompt = (Message("user", text(8)), Message("assistant", text(8)), *prompt)
        made.append((prompt, tuple(text(longest) for _ in range(rng.integers(1, most_responses + 1)))))
    return made


@pytest.fixture
def make_request(encoder: ConversationEncoder) -> Callable[..., Request]:
    """Makes requests for random conversations."""

    def make(seed: int, prompts: int, most_responses: int = 4, longest: int = 80) -> Request:
        request = Request()
        for encoded in encoder.encode(conversations(seed, prompts, most_responses, longest)):
            assert isinstance(encoded, Encoded)
            request.add(encoded)
        return request

    return make


@pytest.fixture(scope="session")
def real_rows() -> Path:
    """A hub-shaped folder of real rows beside the checkout; tests that need it skip where it is not."""
    folder = ROOT.parent / "shared" / "data" / "hub"
    if not folder.is_dir():
        pytest.skip("there is no folder of real rows beside this checkout (../shared/data/hub)")
    return folder
