"""Training the gate by Bradley-Terry on pairs whose deciding objective depends on the prompt."""

from collections.abc import Callable
from typing import NamedTuple

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit
from torch import Tensor
from torch.nn.functional import logsigmoid

from cache import UserError
from gating.gate import Gate
from gating.logistic_weights import logistic_weights
from gating.settings import GateSettings
from gating.training.pairs import GatePairs
from gating.training.train import train_gate
from gating.training.trained_gate import TrainedGate

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

    def forward(self, prompts: Tensor, dropout_mask: Tensor | None = None) -> Tensor:  # noqa: ARG002
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
    return planted(0, 2000), planted(1, 400), planted(2, 2000)


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
    """Accuracy of the deciding objective, which is wrong only where the choice is."""
    return float((data.pairs.difference[torch.arange(len(data.deciding)), data.deciding] > 0).double().mean())


def fixed_accuracy(train: GatePairs, held_out: GatePairs, *, signed: bool) -> float:
    """Accuracy of the one set of weights that suits the training pairs best."""
    weights = logistic_weights(train.difference.numpy(), np.ones(len(train)), signed=signed)
    return float((held_out.difference.numpy() @ weights > 0).mean())


def same(a: TrainedGate, b: TrainedGate) -> bool:
    one, other = a.gate.state_dict(), b.gate.state_dict()
    return a.metrics == b.metrics and all(torch.equal(one[name], other[name]) for name in one)


def test_the_gate_comes_within_a_point_of_the_oracle_where_no_fixed_weights_come_near(
    data: tuple[Planted, Planted, Planted], trained: TrainedGate
) -> None:
    train, _, held_out = data
    oracle, gated = oracle_accuracy(held_out), accuracy(trained.gate, held_out.pairs)
    assert oracle > 0.93
    assert gated > oracle - 0.01
    for fixed in (
        uniform_accuracy(held_out.pairs),
        fixed_accuracy(train.pairs, held_out.pairs, signed=False),
        fixed_accuracy(train.pairs, held_out.pairs, signed=True),
    ):
        assert fixed < 0.75


def test_the_gate_learns_which_objective_decides(data: tuple[Planted, Planted, Planted], trained: TrainedGate) -> None:
    pairs, deciding = data[2]
    with torch.inference_mode():
        strongest = trained.gate(pairs.prompts).argmax(dim=-1)[pairs.prompt]
    assert (strongest == deciding).double().mean() > 0.95


def test_softmax_over_chosen_and_rejected_learns_nothing_on_the_same_pairs(
    data: tuple[Planted, Planted, Planted], trained: TrainedGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gating.training.train.Gate", GateWithTheAxisMistake)
    mistaken = train_gate(data[0].pairs, data[1].pairs, SETTINGS)
    assert isinstance(mistaken.gate, GateWithTheAxisMistake)
    held_out = data[2].pairs
    with torch.inference_mode():
        weights = mistaken.gate(held_out.prompts)
    assert weights.std(dim=0).max() == 0
    assert weights.std(dim=-1).max() == 0
    assert accuracy(mistaken.gate, held_out) == pytest.approx(uniform_accuracy(held_out), abs=0.005)
    assert accuracy(mistaken.gate, held_out) < accuracy(trained.gate, held_out) - 0.15
    assert accuracy(mistaken.gate, held_out) < oracle_accuracy(data[2]) - 0.15


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


def test_the_gate_of_the_best_evaluation_is_kept(data: tuple[Planted, Planted, Planted]) -> None:
    train, validation = planted(3, 20).pairs, data[1].pairs  # few prompts: the gate learns them by heart
    trained = train_gate(train, validation, SETTINGS.model_copy(update={"check_every": 10}))
    gaps = margins(trained.gate, validation)
    assert trained.best == min(trained.metrics, key=lambda each: each.loss)
    assert trained.best.loss < trained.metrics[-1].loss
    assert float(-logsigmoid(gaps).mean()) == pytest.approx(trained.best.loss, rel=1e-6)
    assert float((gaps > 0).double().mean()) == trained.best.accuracy


@pytest.mark.parametrize("patience", [1, 3])
def test_training_stops_after_as_many_evaluations_without_improvement_as_patience_allows(
    data: tuple[Planted, Planted, Planted], patience: int
) -> None:
    settings = SETTINGS.model_copy(update={"check_every": 10, "patience": patience})
    metrics = train_gate(planted(3, 20).pairs, data[1].pairs, settings).metrics
    assert metrics[-1].step < SETTINGS.steps
    lowest = min(range(len(metrics)), key=lambda number: metrics[number].loss)
    assert len(metrics) == lowest + 1 + patience


def test_evaluations_come_every_so_many_steps_and_at_the_end(data: tuple[Planted, Planted, Planted]) -> None:
    settings = SHORT.model_copy(update={"steps": 13})
    trained = train_gate(data[0].pairs, data[1].pairs, settings)
    assert [each.step for each in trained.metrics] == [5, 10, 13]


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


def test_the_logit_scale_starts_where_equal_weights_make_the_pairs_most_likely(
    data: tuple[Planted, Planted, Planted],
) -> None:
    train = data[0].pairs
    tenths = GatePairs(train.prompts, train.prompt, train.difference / 10)

    def scale(**settings: object) -> float:
        still = SHORT.model_copy(update={"scale_learning_rate": 0.0} | settings)
        return train_gate(tenths, data[1].pairs, still).gate.logit_scale.item()

    assert scale(scale_start="published") == 1.0
    fitted = scale()
    margins = fitted * tenths.difference.double().mean(dim=-1)
    slope = (torch.sigmoid(-margins) * margins).mean()  # of the likelihood in the scale's logarithm
    assert abs(slope) < 1e-3
    assert fitted > 1.0


def test_pairs_that_contradict_equal_weights_leave_the_scale_at_1(data: tuple[Planted, Planted, Planted]) -> None:
    train = data[0].pairs
    turned = GatePairs(train.prompts, train.prompt, -train.difference.abs())
    still = SHORT.model_copy(update={"scale_learning_rate": 0.0})
    assert train_gate(turned, data[1].pairs, still).gate.logit_scale.item() == 1.0


def test_the_logit_scale_has_a_learning_rate_of_its_own(data: tuple[Planted, Planted, Planted]) -> None:
    def scale(rate: float) -> float:
        settings = SHORT.model_copy(update={"scale_learning_rate": rate, "scale_start": "published"})
        return train_gate(data[0].pairs, data[1].pairs, settings).gate.logit_scale.item()

    assert scale(0.1) > scale(1e-3) + 0.1 > 1.1


def test_weight_decay_leaves_the_logit_scale_alone(data: tuple[Planted, Planted, Planted]) -> None:
    settings = SHORT.model_copy(update={"scale_learning_rate": 0.0, "weight_decay": 0.5})
    decayed = train_gate(data[0].pairs, data[1].pairs, settings).gate
    plain = train_gate(data[0].pairs, data[1].pairs, settings.model_copy(update={"weight_decay": 0.0})).gate
    assert decayed.logit_scale.item() == 1.0
    assert decayed.layers[0].weight.norm() < plain.layers[0].weight.norm()


def test_dropout_is_in_training_alone_and_repeats(data: tuple[Planted, Planted, Planted]) -> None:
    settings = SHORT.model_copy(update={"dropout": 0.5})
    first, second = (train_gate(data[0].pairs, data[1].pairs, settings) for _ in range(2))
    assert same(first, second)
    assert not same(first, train_gate(data[0].pairs, data[1].pairs, SHORT))
    gaps = margins(first.gate, data[1].pairs)
    assert float(-logsigmoid(gaps).mean()) == pytest.approx(first.best.loss, rel=1e-4)


def test_features_of_any_size_train_alike_once_standardised(data: tuple[Planted, Planted, Planted]) -> None:
    scales = torch.logspace(-2, 2, D)

    def spread_out(pairs: GatePairs) -> GatePairs:
        return GatePairs(pairs.prompts * scales + 10 * scales, pairs.prompt, pairs.difference)

    sides = [spread_out(side.pairs) for side in data]
    standardised = train_gate(sides[0], sides[1], SETTINGS).gate
    plain = train_gate(sides[0], sides[1], SETTINGS.model_copy(update={"standardise": False})).gate
    assert accuracy(standardised, sides[2]) > oracle_accuracy(data[2]) - 0.01
    assert accuracy(standardised, sides[2]) > accuracy(plain, sides[2]) + 0.01


def test_seeds_side_by_side_do_as_each_does_alone_and_the_most_accurate_is_kept(
    data: tuple[Planted, Planted, Planted],
) -> None:
    train, validation = data[0].pairs, data[1].pairs
    together = train_gate(train, validation, SHORT.model_copy(update={"seeds": 3}))
    assert [result.seed for result in together.seeds] == [0, 1, 2]
    accuracies = [result.best.accuracy for result in together.seeds]
    assert together.best.accuracy == max(accuracies)
    assert accuracy(together.gate, validation) == pytest.approx(max(accuracies), abs=0.005)
    # The order of pairs is the first seed's, so that seed alone sees the same batches.
    alone = train_gate(train, validation, SHORT)
    for each, other in zip(together.seeds[0].metrics, alone.metrics, strict=True):
        assert each.loss == pytest.approx(other.loss, rel=1e-4)
    assert len({round(result.best.loss, 6) for result in together.seeds}) == 3


def test_several_seeds_repeat_to_the_bit(data: tuple[Planted, Planted, Planted]) -> None:
    settings = SHORT.model_copy(update={"seeds": 2})
    assert same(*(train_gate(data[0].pairs, data[1].pairs, settings) for _ in range(2)))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_large_batches_repeat_to_the_bit_on_several_threads(precision: str) -> None:
    # Large enough for torch to share sums among threads, where their order could change from run to run.
    train, validation = planted(7, 4000).pairs, planted(8, 500).pairs
    settings = GateSettings.model_validate(
        {"hidden_size": 256, "hidden_layers": 2, "steps": 6, "check_every": 3, "batch_pairs": 8192}
        | {"precision": precision}
    )
    wide = [GatePairs(side.prompts.repeat(1, 100), side.prompt, side.difference) for side in (train, validation)]
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first, second = (train_gate(*wide, settings) for _ in range(2))
    finally:
        torch.set_num_threads(threads)
    assert first.threads == 2
    assert str(first.dtype) == f"torch.{precision}"
    assert same(first, second)


def test_bfloat16_learns_as_much_as_float32(data: tuple[Planted, Planted, Planted]) -> None:
    both = [
        train_gate(data[0].pairs, data[1].pairs, SETTINGS.model_copy(update={"precision": precision}))
        for precision in ("float32", "bfloat16")
    ]
    accuracies = [accuracy(trained.gate, data[2].pairs) for trained in both]
    assert accuracies[1] > accuracies[0] - 0.01
    assert all(value.dtype == torch.float32 for value in both[1].gate.state_dict().values())
    assert both[1].best.loss != both[0].best.loss


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_features_may_be_held_in_half_precision(data: tuple[Planted, Planted, Planted], dtype: torch.dtype) -> None:
    halves = [GatePairs(side.pairs.prompts.to(dtype), side.pairs.prompt, side.pairs.difference) for side in data]
    gate = train_gate(halves[0], halves[1], SETTINGS).gate
    assert accuracy(gate, data[2].pairs) > oracle_accuracy(data[2]) - 0.01


def test_pairs_of_weight_0_teach_nothing(data: tuple[Planted, Planted, Planted]) -> None:
    train = data[0].pairs
    spoilt = GatePairs(
        train.prompts,
        train.prompt.repeat(2),
        torch.cat([train.difference, -train.difference]),
        weight=torch.cat([torch.ones(len(train)), torch.zeros(len(train))]),
    )
    held_out = data[2]
    assert accuracy(train_gate(spoilt, data[1].pairs, SETTINGS).gate, held_out.pairs) > oracle_accuracy(held_out) - 0.01
    unweighted = GatePairs(spoilt.prompts, spoilt.prompt, spoilt.difference)
    assert accuracy(train_gate(unweighted, data[1].pairs, SETTINGS).gate, held_out.pairs) < 0.8


def with_totals(pairs: GatePairs, level: float = 3.0, weight: Tensor | None = None) -> GatePairs:
    """The pairs with rewards whose sums over both responses lie about a level."""
    random = torch.Generator().manual_seed(11)
    total = level + 0.5 * torch.randn(pairs.difference.shape, generator=random)
    return GatePairs(pairs.prompts, pairs.prompt, pairs.difference, weight=weight, total=total)


def uneven(pairs: GatePairs) -> Tensor:
    return torch.rand(len(pairs), generator=torch.Generator().manual_seed(12)) + 0.1


CENTRED = SHORT.model_copy(update={"center_rewards_coefficient": 0.01})


def test_the_loss_of_weighted_and_centred_pairs_is_that_of_the_formula(data: tuple[Planted, Planted, Planted]) -> None:
    train, validation = (with_totals(side.pairs, weight=uneven(side.pairs)) for side in data[:2])
    trained = train_gate(train, validation, CENTRED)
    assert validation.weight is not None
    assert validation.total is not None
    with torch.inference_mode():
        weights = trained.gate(validation.prompts)[validation.prompt].double().numpy()  # (n, k)
    margin, level = ((weights * each.double().numpy()).sum(-1) for each in (validation.difference, validation.total))
    losses = np.log1p(np.exp(-margin)) + 0.01 * level**2
    assert trained.best.loss == pytest.approx(np.average(losses, weights=validation.weight.numpy()), rel=1e-5)


def test_the_gate_of_one_prompt_minimises_the_weighted_and_centred_loss() -> None:
    """Against SciPy, over the logit and the scale that a gate of two objectives and one prompt has."""
    rng = np.random.default_rng(0)
    difference = 0.6 * rng.standard_normal((400, 2)) + np.array([0.5, 0.2])
    total = rng.standard_normal((400, 2)) + np.array([2.0, 0.5])
    weight = rng.uniform(0.1, 3.0, 400)
    coefficient = 0.05

    def loss(at: np.ndarray) -> float:
        share = expit(at[0])
        gate = np.exp(at[1]) * np.array([share, 1 - share])
        losses = np.logaddexp(0.0, -difference @ gate) + coefficient * np.square(total @ gate)
        return float(np.average(losses, weights=weight))

    best = minimize(loss, np.zeros(2), method="BFGS")
    plain = minimize(lambda at: float(np.average(np.logaddexp(0.0, -difference @ at), weights=weight)), np.zeros(2))
    share = expit(best.x[0])
    expected = np.exp(best.x[1]) * np.array([share, 1 - share])
    assert not np.allclose(expected, plain.x, rtol=0.2)
    columns = (torch.from_numpy(each).float() for each in (difference, weight, total))
    columns = dict(zip(("difference", "weight", "total"), columns, strict=True))
    pairs = GatePairs(torch.zeros(1, 3), torch.zeros(400, dtype=torch.int64), **columns)
    settings = GateSettings(
        hidden_layers=0,
        temperature=1.0,
        steps=300,
        batch_pairs=4000,
        learning_rate=0.2,
        scale_learning_rate=0.1,
        center_rewards_coefficient=coefficient,
    )
    trained = train_gate(pairs, pairs, settings)
    assert best.fun * (1 - 1e-6) <= trained.best.loss <= best.fun * (1 + 1e-4)
    with torch.inference_mode():  # batches are drawn, and the loss is flat at its minimum
        np.testing.assert_allclose(trained.gate(torch.zeros(1, 3))[0].numpy(), expected, rtol=0.06)


def test_a_coefficient_of_0_is_the_plain_loss_to_the_bit(data: tuple[Planted, Planted, Planted]) -> None:
    train, validation = data[0].pairs, data[1].pairs
    assert same(train_gate(with_totals(train), with_totals(validation), SHORT), train_gate(train, validation, SHORT))


def test_centring_brings_the_level_of_scores_down(data: tuple[Planted, Planted, Planted]) -> None:
    train, validation, held_out = (with_totals(side.pairs) for side in data)

    def level(settings: GateSettings) -> float:
        gate = train_gate(train, validation, settings).gate
        assert held_out.total is not None
        with torch.inference_mode():
            return float((gate(held_out.prompts)[held_out.prompt] * held_out.total).sum(dim=-1).square().mean())

    assert level(CENTRED.model_copy(update={"steps": 100})) < 0.8 * level(SHORT.model_copy(update={"steps": 100}))


@given(st.floats(0.1, 50))
@hypothesis.settings(max_examples=4, deadline=None)
def test_equal_weights_are_none(weight: float) -> None:
    train, validation = planted(9, 60).pairs, planted(10, 40).pairs

    def weighted(pairs: GatePairs) -> GatePairs:
        return with_totals(pairs, weight=torch.full((len(pairs),), weight))

    one = train_gate(weighted(train), weighted(validation), CENTRED)
    other = train_gate(with_totals(train), with_totals(validation), CENTRED)
    for name, value in one.gate.state_dict().items():
        torch.testing.assert_close(value, other.gate.state_dict()[name], rtol=1e-3, atol=1e-4)
    assert one.best.loss == pytest.approx(other.best.loss, rel=1e-4)


def test_a_whole_weight_is_so_many_pairs_of_the_kind_on_the_validation_pairs(
    data: tuple[Planted, Planted, Planted],
) -> None:
    train, validation = with_totals(data[0].pairs), with_totals(data[1].pairs)
    counts = torch.arange(len(validation)) % 3
    weighted = with_totals(data[1].pairs, weight=counts.float())
    repeated = validation.at(torch.arange(len(validation)).repeat_interleave(counts))
    one, other = (train_gate(train, each, CENTRED).metrics for each in (weighted, repeated))
    assert [each.loss for each in one] == pytest.approx([each.loss for each in other], rel=1e-5)


def test_ties_are_left_out_by_bradley_terry(data: tuple[Planted, Planted, Planted]) -> None:
    train = data[0].pairs
    tied = torch.arange(len(train)) % 3 == 0
    nonsense = torch.where(tied[:, None], -100 * train.difference, train.difference)
    with_ties = train_gate(GatePairs(train.prompts, train.prompt, nonsense, tied), data[1].pairs, SHORT)
    assert same(with_ties, train_gate(train.at(~tied), data[1].pairs, SHORT))
    assert with_ties.tie_threshold is None


def test_the_loss_with_ties_learns_the_planted_threshold() -> None:
    random = torch.Generator().manual_seed(0)
    planted_scale, planted_threshold = 3.0, 1.2

    def sample(n: int) -> GatePairs:
        difference = torch.randn(n, 1, generator=random)
        z, drawn = planted_scale * difference[:, 0], torch.rand(n, generator=random)
        win, loss = torch.sigmoid(z - planted_threshold), torch.sigmoid(-z - planted_threshold)
        lost, tied = (drawn >= win) & (drawn < win + loss), drawn >= win + loss
        prompts = torch.randn(n, 3, generator=random)
        return GatePairs(prompts, torch.arange(n), torch.where(lost[:, None], -difference, difference), tied)

    settings = GateSettings(
        hidden_size=4, hidden_layers=0, steps=600, batch_pairs=1024, scale_learning_rate=0.02, loss="bradley_terry_ties"
    )
    trained = train_gate(sample(20_000), sample(4000), settings)
    assert trained.tie_threshold == pytest.approx(planted_threshold, rel=0.1)
    assert trained.gate.logit_scale.item() == pytest.approx(planted_scale, rel=0.1)


def test_a_margin_asks_for_larger_differences(data: tuple[Planted, Planted, Planted]) -> None:
    train = data[0].pairs
    asked = GatePairs(train.prompts, train.prompt, train.difference, margin=torch.full((len(train),), 5.0))
    plain, wider = (train_gate(pairs, data[1].pairs, SHORT).gate for pairs in (train, asked))
    assert margins(wider, data[2].pairs).abs().mean() > 1.05 * margins(plain, data[2].pairs).abs().mean()


def test_smoothing_keeps_the_scale_down(data: tuple[Planted, Planted, Planted]) -> None:
    smoothed = SETTINGS.model_copy(update={"label_smoothing": 0.2})
    plain, smooth = (train_gate(data[0].pairs, data[1].pairs, settings).gate for settings in (SETTINGS, smoothed))
    assert smooth.logit_scale.item() < plain.logit_scale.item()


def test_a_pair_with_equal_scores_counts_as_wrong() -> None:
    train = planted(4, 20).pairs
    level = GatePairs(train.prompts, train.prompt, torch.zeros_like(train.difference))
    assert train_gate(train, level, SHORT).best.accuracy == 0.0


def spoiled(pairs: GatePairs, field: str, value: float) -> GatePairs:
    tensors = {"prompts": pairs.prompts.clone(), "difference": pairs.difference.clone()}
    tensors[field][0, 0] = value
    return GatePairs(prompt=pairs.prompt, **tensors)


def all_tied(pairs: GatePairs) -> GatePairs:
    return GatePairs(pairs.prompts, pairs.prompt, pairs.difference, torch.ones(len(pairs), dtype=torch.bool))


def without_pairs(pairs: GatePairs) -> GatePairs:
    return GatePairs(pairs.prompts, pairs.prompt[:0], pairs.difference[:0])


@pytest.mark.parametrize("side", ["training", "validation"])
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (without_pairs, "there are no {side} pairs: add a pair set"),
        (all_tied, "all 30 {side} pairs are ties: add a pair set with preferences, or lower gate.ties"),
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
