"""Bayesian logistic regression with a Gaussian prior: the mode by Newton steps, and Laplace's approximation around it.

The model is P(y = 1) = sigmoid(offset + scale * row · a) with a ~ N(0, I), and every row says y = 1. Many fits of the
same rows go through one loop: over a grid of scales, or with one row left out of each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]

MOST_STEPS = 100
"""Newton steps at most. The loss is strictly convex, so that damped steps converge, mostly within ten."""

TOLERANCE = 1e-12
"""Squared length, in units of the prior, of the last Newton step. Steps converge quadratically: the error after it
is of the order of its square."""


@dataclass(frozen=True, slots=True, eq=False)
class LogisticPosterior:
    """The posteriors of b fits."""

    mode: Array
    """(b, k)"""
    precision: Array
    """(b, k, k) inverse covariance of Laplace's approximation: the Hessian at the mode."""
    log_evidence: Array
    """(b,) logarithm of the probability of the rows under the model."""

    def one(self, number: int) -> "LogisticPosterior":
        """One of the fits, with b = 1."""
        here = slice(number, number + 1)
        return LogisticPosterior(self.mode[here], self.precision[here], self.log_evidence[here])


def fit(
    rows: Array, offset: Array, scale: Array, used: Array | None = None, start: Array | None = None
) -> LogisticPosterior:
    """Fit the model b times.

    The evidence is Laplace's: log-likelihood at the mode - |mode|² / 2 - log det(precision) / 2 (MacKay, "The evidence
    framework applied to classification networks", Neural Computation 4, 1992, section 3).

    Args:
        rows: (n, k) rows, the same in all fits.
        offset: (b, n) known part of the logits.
        scale: (b,) standard deviation of a coefficient, as a factor of the rows.
        used: (b, n) 1 for a row that counts in a fit, 0 for one that is left out; None: all count.
        start: (b, k) modes near the ones sought; None: 0.
    """
    counted = np.ones_like(offset) if used is None else used
    mode = np.zeros((len(offset), rows.shape[-1])) if start is None else start.copy()  # (b, k)
    going = np.arange(len(offset))  # fits that have not converged
    for _ in range(MOST_STEPS):
        problem = _Problem(rows, offset[going], scale[going, None], counted[going])
        mode[going], decrement = problem.stepped(mode[going])
        going = going[decrement > TOLERANCE]
        if not len(going):
            break
    problem = _Problem(rows, offset, scale[:, None], counted)
    precision = problem.hessian(mode)
    return LogisticPosterior(mode, precision, -problem.loss(mode) - np.linalg.slogdet(precision).logabsdet / 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """Some of the fits; the loss of each is -log-likelihood + |mode|² / 2."""

    rows: Array
    """(n, k)"""
    offset: Array
    """(b, n)"""
    scale: Array
    """(b, 1)"""
    counted: Array
    """(b, n)"""

    def logits(self, mode: Array) -> Array:
        """Shape (b, n)."""
        logits: Array = self.offset + self.scale * (mode @ self.rows.T)
        return logits

    def loss(self, mode: Array) -> Array:
        """Shape (b,)."""
        fitted = (self.counted * np.logaddexp(0.0, -self.logits(mode))).sum(axis=-1)
        loss: Array = fitted + np.square(mode).sum(axis=-1) / 2
        return loss

    def gradient(self, mode: Array) -> Array:
        """Shape (b, k)."""
        gradient: Array = mode - self.scale * ((self.counted * expit(-self.logits(mode))) @ self.rows)
        return gradient

    def hessian(self, mode: Array) -> Array:
        """Shape (b, k, k)."""
        logits = self.logits(mode)
        curvature = self.counted * expit(logits) * expit(-logits) * np.square(self.scale)  # (b, n)
        hessian: Array = (self.rows.T * curvature[:, None, :]) @ self.rows
        return hessian + np.eye(self.rows.shape[-1])

    def stepped(self, mode: Array) -> tuple[Array, Array]:
        """The modes (b, k) after a Newton step, halved until the loss falls, and the steps' squared lengths (b,)."""
        gradient = self.gradient(mode)
        step = np.linalg.solve(self.hessian(mode), gradient[..., None])[..., 0]  # (b, k)
        decrement = (gradient * step).sum(axis=-1)  # (b,)
        before = self.loss(mode)
        length = np.ones_like(before)
        while True:
            tried = mode - length[:, None] * step
            # Near the mode the decrease drowns in rounding.
            too_far = self.loss(tried) > before - 1e-4 * length * decrement + 1e-12 * (1.0 + before)
            if not too_far.any():
                return tried, decrement
            length[too_far] /= 2


def left_out_logits(rows: Array, offset: Array, scale: float, posterior: LogisticPosterior) -> Array:
    """Logit of each row under the fit without it, approximately: one Newton step from the mode. Shape (n,).

    With h = row' H^-1 row and curvature c of a row of logit t, the row's removal takes h / (1 - c h) * (1 - sigmoid(t))
    from its logit (Rad and Maleki, "A scalable estimate of the out-of-sample prediction error via approximate
    leave-one-out cross-validation", arXiv 1801.10243, section 2; Pregibon, "Logistic regression diagnostics", 1981).

    Args:
        rows: (n, k)
        offset: (n,)
        scale: of the fit.
        posterior: of one fit (b = 1) of all rows.
    """
    scaled = scale * rows  # (n, k)
    logits = offset + scaled @ posterior.mode[0]  # (n,)
    leverage = (scaled * np.linalg.solve(posterior.precision[0], scaled.T).T).sum(axis=-1)  # (n,)
    curvature = expit(logits) * expit(-logits)
    left_out: Array = logits - leverage / (1.0 - curvature * leverage) * expit(-logits)
    return left_out
