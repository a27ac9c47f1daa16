"""Features of prompts that stay in the store: the same gate, router and weights to the bit as from a held table."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cache import FeatureStore
from cache.errors import DamageError
from gating import prompts as module
from gating.prompts import Prompts, StoredPrompts, prompts_of, some_of
from gating.settings import GateSettings
from gating.task_router import TaskRouter
from gating.training.pairs import GatePairs
from gating.training.train import train_gate
from gating.training.trained_gate import TrainedGate
from tests.cache.rows import flip, new_store, seal, shard_path, some_features, some_keys

PROMPTS, K = 2100, 4  # more than two blocks
SETTINGS = GateSettings(hidden_size=8, hidden_layers=2, steps=60, check_every=20, batch_pairs=32, seeds=2, dropout=0.2)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """Features of prompts in three shards."""
    store = new_store(tmp_path)
    for number in range(3):
        seal(store, f"shard-{number}", number * PROMPTS // 3, (number + 1) * PROMPTS // 3)
    return store


def both(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> tuple[torch.Tensor, StoredPrompts]:
    """Prompts in memory, and the same ones in the store."""
    keys = np.random.default_rng(0).permutation(some_keys(0, PROMPTS))
    held = prompts_of(store, keys)
    monkeypatch.setattr(module, "HELD_BYTES", 0)
    stored = prompts_of(store, keys)
    assert isinstance(held, torch.Tensor)
    assert isinstance(stored, StoredPrompts)
    return held, stored


def trained(prompts: Prompts) -> TrainedGate:
    """A gate over random pairs."""
    random = torch.Generator().manual_seed(1)
    prompt = torch.randint(len(prompts), (900,), generator=random)
    difference = torch.randn(900, K, generator=random)
    pairs = GatePairs(prompts, prompt, difference)
    return train_gate(pairs.at(torch.arange(600)), pairs.at(torch.arange(600, 900)), SETTINGS)


def test_held_where_they_are_small(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    held, stored = both(store, monkeypatch)
    assert held.dtype == torch.float16
    assert stored.shape == held.shape
    rows = torch.tensor([7, 2099, 0, 1500])
    assert torch.equal(stored[rows], held[rows].float())
    some = some_of(stored, rows)
    assert isinstance(some, StoredPrompts)
    assert torch.equal(some[torch.tensor([1])], held[[2099]].float())


def test_the_same_gate(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    of_held, of_stored = (trained(prompts) for prompts in both(store, monkeypatch))
    assert of_held.seed_metrics() == of_stored.seed_metrics()
    for name, value in of_held.gate.state_dict().items():
        assert torch.equal(value, of_stored.gate.state_dict()[name]), name


def test_the_same_router_and_weights(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    held, stored = both(store, monkeypatch)
    task = torch.randint(3, (len(held),), generator=torch.Generator().manual_seed(2))
    routers = [TaskRouter.fit(prompts, task, 3) for prompts in (held, stored)]
    assert torch.equal(routers[0].weight, routers[1].weight)
    assert torch.equal(routers[0].route(held), routers[1].route(stored))
    gate = trained(held).gate
    assert (gate.blockwise(held) == gate.blockwise(stored)).all()


def test_damage_met_while_training_is_told(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    _, stored = both(store, monkeypatch)
    path = shard_path(store, "shard-1")
    for row in range(700, 760):  # some of them are among the training prompts
        flip(path, path.read_bytes().index(some_features(row, row + 1).astype("<f2").tobytes()) + 3)
    with pytest.raises(DamageError, match="does not match its checksum"):
        trained(stored)
