"""Accuracy of weights learned from few pairs, on planted users, beside the gate and an unregularised fit.

    python -m benchmarks.personalise --json benchmarks/personalise.json
    python -m benchmarks.personalise --quick

Nineteen objectives with correlated rewards and a gate whose weights differ by prompt. A user's weights are the gate's
plus own ones, whose part of a margin is 0, 0.5, 1.5 or 4 times the gate's. Choices are drawn from sigmoid(margin / T)
with T a third of the typical margin, and one in twenty is then turned round. Accuracy is that of 1,000 fresh pairs
against what the user holds better, without the noise. "offered" is what `armorm personalise` gives: the fit where it
beats the gate beyond noise on the pairs left out, and else the gate.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from benchmarks.conditions import Conditions
from gating.personal import personalise

Array = NDArray[np.float64]

OBJECTIVES, FRESH, REPEATS = 19, 1000, 9
OWN_PARTS = (0.0, 0.5, 1.5, 4.0)
PAIRS = (5, 10, 20, 50, 100, 200)
USERS = 200
QUICK_OWN_PARTS, QUICK_PAIRS, QUICK_USERS = (0.0, 1.5), (5, 20, 50), 20
TURNED = 0.05
SHARPNESS = 3.0
"""Logit of a user's typical pair."""


@dataclass(frozen=True, slots=True, eq=False)
class User:
    """One user, the gate, and the pairs of prompts that both see."""

    rng: np.random.Generator
    root: Array
    """(k, k) factor of the covariance of reward differences."""
    base: Array
    """(k,) logits of the gate's weights, around which prompts vary."""
    own: Array
    """(k,) the user's weights beside the gate's."""
    temperature: float

    @classmethod
    def planted(cls, own_part: float, seed: list[int]) -> "User":
        """A user whose own part of a margin is about `own_part` times the gate's."""
        rng = np.random.default_rng(seed)
        shared = rng.standard_normal((OBJECTIVES, 3))
        spread = np.exp(rng.normal(-1.5, 0.5, OBJECTIVES))
        root = (
            np.linalg.cholesky(0.3 * shared @ shared.T + 0.7 * np.eye(OBJECTIVES)).astype(np.float64) * spread[:, None]
        )
        user = cls(rng, root, rng.standard_normal(OBJECTIVES), np.zeros(OBJECTIVES), 1.0)
        gate, differences = user.pairs(FRESH)
        size = np.sqrt(np.square(differences @ gate.mean(axis=0)).mean())
        unit = size / np.sqrt(OBJECTIVES) / np.sqrt(np.square(differences).mean(axis=0))
        own = own_part * unit * rng.standard_normal(OBJECTIVES)
        typical = np.sqrt(np.square(_margins(gate, differences) + differences @ own).mean())
        return cls(rng, root, user.base, own, float(typical) / SHARPNESS)

    def pairs(self, n: int) -> tuple[Array, Array]:
        """The gate's weights (n, k) for prompts, and reward differences (n, k) of two responses to each."""
        weights = np.exp(self.base + 0.7 * self.rng.standard_normal((n, OBJECTIVES)))
        differences = self.rng.standard_normal((n, OBJECTIVES)) @ self.root.T
        return 3.0 * weights / weights.sum(axis=-1, keepdims=True), differences

    def chosen(self, n: int) -> tuple[Array, Array]:
        """Pairs as the user gave them: differences are those of the chosen response less the rejected."""
        gate, differences = self.pairs(n)
        margins = _margins(gate, differences) + differences @ self.own
        first = (self.rng.random(n) < expit(margins / self.temperature)) != (self.rng.random(n) < TURNED)
        return gate, np.where(first, 1.0, -1.0)[:, None] * differences


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--users", type=int, help="users with 5 pairs; a quarter of them with more")
    parser.add_argument("--own-part", type=float, nargs="+", help="sizes of the users' own parts")
    parser.add_argument("--quick", action="store_true", help="fewer users, sizes and numbers of pairs")
    arguments = parser.parse_args()
    conditions = Conditions()
    quick = arguments.quick
    own_parts, every_n = (QUICK_OWN_PARTS, QUICK_PAIRS) if quick else (OWN_PARTS, PAIRS)
    users = arguments.users or (QUICK_USERS if quick else USERS)
    report: dict[str, Any] = {"cpu_seconds": speed(), "accuracy": []}
    for own_part in arguments.own_part or own_parts:
        for n in every_n:
            report["accuracy"].append(accuracy(own_part, n, users if n == every_n[0] else max(2, users // 4)))
            conditions.write(arguments.json, report)
    sys.stdout.write(table(report))


def table(report: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    head = (
        *("own part", "pairs", "users", "gate", "unregularised fit", "replace", "add", "offered"),
        *("offered - gate ± standard error", "profiles"),
    )
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [
        f"| {each['own_part']:g} | {each['pairs']} | {each['users']} | {each['gate']:.3f} |"
        f" {each['unregularised']:.3f} | {each['replace']:.3f} | {each['add']:.3f} | {each['offered']:.3f} |"
        f" {each['gain']:+.4f} ± {each['gain_error']:.4f} | {each['profiles']:.0%} |"
        for each in report["accuracy"]
    ]
    milliseconds = 1000 * report["cpu_seconds"]
    lines += ["", f"20 pairs of {OBJECTIVES} objectives, each left out in turn: {milliseconds:.0f} ms of a core"]
    return "\n".join(lines) + "\n"


def speed() -> float:
    """Median seconds of a core for 20 pairs."""
    gate, differences = User.planted(1.5, [0]).chosen(20)
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        personalise(differences, gate)
        seconds.append(time.process_time() - started)
    return float(np.median(seconds))


def accuracy(own_part: float, n: int, users: int) -> dict[str, Any]:
    """Mean accuracies over users, and the gain over the gate of what they are offered."""
    rows = np.array([_accuracies(own_part, n, number) for number in range(users)])  # (users, 6)
    gain = rows[:, 4] - rows[:, 0]  # (users,)
    names = ("gate", "unregularised", "replace", "add", "offered", "profiles")
    return {
        "own_part": own_part,
        "pairs": n,
        "users": users,
        **dict(zip(names, rows.mean(axis=0).tolist(), strict=True)),
        "gain": float(gain.mean()),
        "gain_error": float(gain.std() / np.sqrt(users)),
    }


def _accuracies(own_part: float, n: int, number: int) -> list[float]:
    user = User.planted(own_part, [number, n, round(10 * own_part)])
    gate, differences = user.chosen(n)
    fresh_gate, fresh = user.pairs(FRESH)
    by_gate = _margins(fresh_gate, fresh)  # (FRESH,)
    truth = by_gate + fresh @ user.own > 0

    def right(margins: Array) -> float:
        return float(((margins > 0) == truth).mean())

    replaced, added = personalise(differences, gate, "replace"), personalise(differences, gate, "add")
    add = right(by_gate + fresh @ added.weights)
    return [
        right(by_gate),
        right(fresh @ _unregularised(differences)),
        right(fresh @ replaced.weights),
        add,
        add if added.better else right(by_gate),
        float(added.better),
    ]


def _margins(weights: Array, differences: Array) -> Array:
    margins: Array = (weights * differences).sum(axis=-1)
    return margins


def _unregularised(differences: Array) -> Array:
    """Weights (k,) of the largest likelihood; of separable pairs, where the optimiser stops."""

    def loss(weights: Array) -> tuple[float, Array]:
        margins = differences @ weights
        return float(np.logaddexp(0.0, -margins).sum()), -(expit(-margins) @ differences)

    weights: Array = minimize(loss, np.zeros(differences.shape[-1]), jac=True, method="L-BFGS-B").x
    return weights


if __name__ == "__main__":
    main()
