"""Training the gate by Bradley-Terry on pairs whose deciding objective depends on the prompt."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from cache import UserError
from gating.gate import Gate
from gating.settings import GateSettings
from gating.training import GatePairs, TrainedGate, train_gate

K = 4
D = 12
SETTINGS = GateSettings(
    hidden_size=32, hidden_layers=1, temperature=1.0, steps=400, batch_pairs=256, learning_rate=1e-2, check_every=50
)
SHORT = SETTINGS.model_copy(update={"steps": 20, "check_every": 5})


class Planted(NamedTuple):
    pairs: GatePairs
    deciding: Tensor
    """(n,) the objective that made each pair's choice."""


class GateWithTheAxisMistake(Gate):
    """The reference training code: softmax over chosen and rejected, which share their prompt's logits."""

    def forward(self, prompts: Tensor, kept: Tensor | None = None) -> Tensor:  # noqa: ARG002
        hidden = prompts
        for layer in self.layers[:-1]:
            hidden = torch.relu(layer(hidden))
        logits = self.layers[-1](hidden) / self.temperature
        both = torch.stack([logits, logits], dim=1)  # (n, 2, k)
        return (torch.softmax(both, dim=1) * self.logit_scale)[:, 0]


def planted(seed: int, prompts: int, pairs_each: int = 3, flipped: float = 0.05) -> Planted:
    """Prompts say which objective decides; the rest of the rewards are noise, and some choices are wrong."""
    rng = torch.Generator().manual_seed(seed)
    topic = torch.randint(K, (prompts,), generator=rng)
    features = torch.randn(prompts, D, generator=rng) * 0.5
    features[torch.arange(prompts), topic] += 3.0
    prompt = torch.arange(prompts).repeat_interleave(pairs_each)
    deciding = topic[prompt]
    difference = torch.randn(len(prompt), K, generator=rng) * 2
    decided = difference[torch.arange(len(prompt)), deciding].sign()
    wrong = torch.rand(len(prompt), generator=rng) < flipped
    difference *= torch.where(wrong, -decided, decided)[:, None]
    return Planted(GatePairs(features, prompt, difference), deciding)


@pytest.fixture(scope="module")
def data() -> tuple[Planted, Planted, Planted]:
    """Training, validation and held-out pairs."""
    return planted(0, 800), planted(1, 200), planted(2, 600)


@pytest.fixture(scope="module")
def trained(data: tuple[Planted, Planted, Planted]) -> TrainedGate:
    return train_gate(data[0].pairs, data[1].pairs, SETTINGS)


def margins(gate: Gate, pairs: GatePairs) -> Tensor:
    with torch.inference_mode():
        return (gate(pairs.prompts)[pairs.prompt] * pairs.difference).sum(dim=-1)


def accuracy(gate: Gate, pairs: GatePairs) -> float:
    return float((margins(gate, pairs) > 0).double().mean())


def uniform_accuracy(pairs: GatePairs) -> float:
    return float((pairs.difference.mean(dim=-1) > 0).double().mean())


def oracle_accuracy(data: Planted) -> float:
    """Of the objective that decides, which is wrong only where the choice is."""
    return float((data.pairs.difference[torch.arange(len(data.deciding)), data.deciding] > 0).double().mean())


def same(a: TrainedGate, b: TrainedGate) -> bool:
    one, other = a.gate.state_dict(), b.gate.state_dict()
    return a.looks == b.looks and all(torch.equal(one[name], other[name]) for name in one)


def test_the_gate_beats_uniform_weights_and_comes_near_the_oracle_on_held_out_prompts(
    data: tuple[Planted, Planted, Planted], trained: TrainedGate
) -> None:
    held_out = data[2]
    gated = accuracy(trained.gate, held_out.pairs)
    assert uniform_accuracy(held_out.pairs) < 0.72
    assert oracle_accuracy(held_out) > 0.93
    assert gated > uniform_accuracy(held_out.pairs) + 0.15
    assert gated > oracle_accuracy(held_out) - 0.03


def test_the_gate_learns_which_objective_decides(data: tuple[Planted, Planted, Planted], trained: TrainedGate) -> None:
    pairs, deciding = data[2]
    with torch.inference_mode():
        strongest = trained.gate(pairs.prompts).argmax(dim=-1)[pairs.prompt]
    assert (strongest == deciding).double().mean() > 0.95


def test_softmax_over_chosen_and_rejected_learns_nothing_on_the_same_pairs(
    data: tuple[Planted, Planted, Planted], trained: TrainedGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gating.training.Gate", GateWithTheAxisMistake)
    mistaken = train_gate(data[0].pairs, data[1].pairs, SETTINGS)
    assert isinstance(mistaken.gate, GateWithTheAxisMistake)
    held_out = data[2].pairs
    with torch.inference_mode():
        weights = mistaken.gate(held_out.prompts)
    assert weights.std(dim=0).max() == 0
    assert weights.std(dim=-1).max() == 0
    assert accuracy(mistaken.gate, held_out) == pytest.approx(uniform_accuracy(held_out), abs=0.005)
    assert accuracy(mistaken.gate, held_out) < accuracy(trained.gate, held_out) - 0.15


def test_the_same_seed_gives_the_same_gate_to_the_bit(data: tuple[Planted, Planted, Planted]) -> None:
    train, validation, _ = (side.pairs for side in data)
    first = train_gate(train, validation, SHORT)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12345)
        assert same(first, train_gate(train, validation, SHORT))


def test_another_seed_gives_another_gate(data: tuple[Planted, Planted, Planted]) -> None:
    train, validation, _ = (side.pairs for side in data)
    other = train_gate(train, validation, SHORT.model_copy(update={"seed": 1}))
    assert not same(train_gate(train, validation, SHORT), other)


def test_training_leaves_the_random_state_of_its_caller_alone(data: tuple[Planted, Planted, Planted]) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(98765)
        before = torch.random.get_rng_state()
        train_gate(data[0].pairs, data[1].pairs, SHORT)
        assert torch.equal(torch.random.get_rng_state(), before)


def test_the_gate_of_the_best_look_is_kept(data: tuple[Planted, Planted, Planted]) -> None:
    train, validation = planted(3, 20).pairs, data[1].pairs  # few prompts: the gate learns them by heart
    trained = train_gate(train, validation, SETTINGS.model_copy(update={"check_every": 10}))
    kept = margins(trained.gate, validation)
    assert trained.best == min(trained.looks, key=lambda look: look.loss)
    assert trained.best.loss < trained.looks[-1].loss
    assert float(-logsigmoid(kept).mean()) == pytest.approx(trained.best.loss, rel=1e-6)
    assert float((kept > 0).double().mean()) == trained.best.accuracy


@pytest.mark.parametrize("patience", [1, 3])
def test_training_stops_after_as_many_looks_without_improvement_as_patience_allows(
    data: tuple[Planted, Planted, Planted], patience: int
) -> None:
    settings = SETTINGS.model_copy(update={"check_every": 10, "patience": patience})
    looks = train_gate(planted(3, 20).pairs, data[1].pairs, settings).looks
    assert looks[-1].step < SETTINGS.steps
    lowest = min(range(len(looks)), key=lambda number: looks[number].loss)
    assert len(looks) == lowest + 1 + patience


def test_looks_come_every_so_many_steps_and_at_the_end(data: tuple[Planted, Planted, Planted]) -> None:
    settings = SHORT.model_copy(update={"steps": 13})
    trained = train_gate(data[0].pairs, data[1].pairs, settings)
    assert [look.step for look in trained.looks] == [5, 10, 13]


def test_progress_ends_complete_even_when_training_stops_early(data: tuple[Planted, Planted, Planted]) -> None:
    told: list[tuple[int, int | None]] = []

    def progress(what: str, done: int, total: int | None, unit: str) -> None:
        told.append((done, total))

    settings = SETTINGS.model_copy(update={"check_every": 10, "patience": 1})
    train_gate(planted(3, 20).pairs, data[1].pairs, settings, progress)
    assert told[-1] == (SETTINGS.steps, SETTINGS.steps)
    assert told == sorted(told)


def test_it_does_not_matter_whether_pairs_share_a_prompts_row(data: tuple[Planted, Planted, Planted]) -> None:
    shared = data[0].pairs
    repeated = GatePairs(shared.prompts[shared.prompt], torch.arange(len(shared.prompt)), shared.difference)
    one, other = (train_gate(pairs, data[1].pairs, SHORT) for pairs in (shared, repeated))
    for name, value in one.gate.state_dict().items():
        torch.testing.assert_close(value, other.gate.state_dict()[name], rtol=1e-3, atol=1e-4)


def test_the_logit_scale_has_a_learning_rate_of_its_own(data: tuple[Planted, Planted, Planted]) -> None:
    def scale(**settings: float) -> float:
        trained = train_gate(data[0].pairs, data[1].pairs, SHORT.model_copy(update=settings))
        return trained.gate.logit_scale.item()

    assert scale(scale_learning_rate=0.0) == 1.0
    assert scale(scale_learning_rate=0.1) > scale(scale_learning_rate=1e-3) + 0.1 > 1.1


def test_weight_decay_leaves_the_logit_scale_alone(data: tuple[Planted, Planted, Planted]) -> None:
    settings = SHORT.model_copy(update={"scale_learning_rate": 0.0, "weight_decay": 0.5})
    decayed = train_gate(data[0].pairs, data[1].pairs, settings).gate
    plain = train_gate(data[0].pairs, data[1].pairs, settings.model_copy(update={"weight_decay": 0.0})).gate
    assert decayed.logit_scale.item() == 1.0
    assert decayed.layers[0].weight.norm() < plain.layers[0].weight.norm()


def test_an_undecided_pair_counts_as_wrong() -> None:
    train = planted(4, 20).pairs
    level = GatePairs(train.prompts, train.prompt, torch.zeros_like(train.difference))
    assert train_gate(train, level, SHORT).best.accuracy == 0.0


def spoiled(pairs: GatePairs, field: str, value: float) -> GatePairs:
    tensors = {"prompts": pairs.prompts.clone(), "difference": pairs.difference.clone()}
    tensors[field][0, 0] = value
    return GatePairs(prompt=pairs.prompt, **tensors)


def without_pairs(pairs: GatePairs) -> GatePairs:
    return GatePairs(pairs.prompts, pairs.prompt[:0], pairs.difference[:0])


@pytest.mark.parametrize("side", ["training", "validation"])
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (without_pairs, "there are no {side} pairs: add a pair set"),
        (
            lambda pairs: spoiled(pairs, "difference", float("nan")),
            r"reward of the {side} pairs is not finite \(pair 0, objective 0\)",
        ),
        (
            lambda pairs: spoiled(pairs, "difference", float("inf")),
            r"reward of the {side} pairs is not finite \(pair 0, objective 0\)",
        ),
        (lambda pairs: spoiled(pairs, "prompts", float("nan")), "feature of the {side} pairs is not finite"),
    ],
)
def test_pairs_that_cannot_be_learned_from_are_refused(
    side: str, spoil: Callable[[GatePairs], GatePairs], sentence: str
) -> None:
    pairs = {"training": planted(5, 10).pairs, "validation": planted(6, 10).pairs}
    pairs[side] = spoil(pairs[side])
    with pytest.raises(UserError, match=sentence.format(side=side)):
        train_gate(pairs["training"], pairs["validation"], SHORT)
