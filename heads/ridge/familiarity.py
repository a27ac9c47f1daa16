"""Calibration of a fit's uncertainty on validation rows: familiar leverages, and how the heads' errors go together."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import key_column
from heads.objectives import Objective
from heads.ridge.error_covariance import error_covariance, residual_correlation
from heads.ridge.from_store import Scales, targets_of
from heads.ridge.subset import VALIDATION
from heads.ridge.symmetric import Real, unpacked
from heads.ridge.training_factors import TrainingFactors
from heads.ridge.uncertainty import NOT_KNOWN, PERCENTILES, Uncertainty, squared_lengths
from heads.ridge.whitening import rows_of, whitening

FEWEST_ROWS = 20
"""Fewer validation rows than this set no threshold."""

PERCENT = np.linspace(0.0, 1.0, PERCENTILES)

CALIBRATION_ROWS = 1024
"""Validation rows of each rating set, at most: a quantile of 0.99 then has ten rows beyond it."""


def calibrate_on_store(
    factors: TrainingFactors,
    store: FeatureStore,
    examples: pl.DataFrame,
    objectives: Sequence[Objective],
    scales: Scales,
    seed: int,
) -> Uncertainty:
    """Calibrate on a random sample of each rating set's validation rows.

    Args:
        factors: of the heads of `objectives`.
        store: holds the rows' features.
        examples: table of rated responses.
        objectives: the k heads' objectives, in their order.
        scales: scales of data sets that differ from the objectives' own.
        seed: seed of the sample.
    """
    validation = examples.filter(pl.col("split") == VALIDATION)
    rng = np.random.default_rng(abs(seed))
    rows: list[int] = []
    for name in sorted(validation["dataset"].unique()):
        of_set = np.flatnonzero(validation["dataset"].to_numpy() == name)
        rows += rng.choice(of_set, min(len(of_set), CALIBRATION_ROWS), replace=False).tolist()
    sample = validation[sorted(rows)]
    features = store.gather(key_column(sample["response_key"]))  # (n, layers, d)
    targets = targets_of(sample, objectives, scales)  # (n, k)
    return calibrate(factors, features.reshape(len(features), -1), targets, seed)


def calibrate(
    factors: TrainingFactors, features: Real, targets: NDArray[np.float64], seed: int = 0, rows: int | None = None
) -> Uncertainty:
    """The uncertainty of a fit.

    Args:
        factors: of the training rows.
        features: (n, layers * d) of validation rows.
        targets: (n, k) their ratings, NaN where not rated.
        seed: seed of the sketch of wide factors.
        rows: number of rows of a factor's `whitening`; None: as many as its width asks for.
    """
    width = factors.weight.shape[-1]
    columns = features[:, factors.first_column : factors.first_column + width].astype(np.float32)  # (n, c)
    rated = ~np.isnan(targets)  # (n, k)
    matrices: list[NDArray[np.float32]] = []
    quantiles: list[NDArray[np.float64]] = []
    thresholds: list[float] = []

    def add(known: NDArray[np.float64]) -> None:
        """Quantiles and threshold of a factor from leverages (m,) of validation rows."""
        tells = len(known) >= FEWEST_ROWS
        quantiles.append(np.quantile(known, PERCENT) if tells else np.full(PERCENTILES, NOT_KNOWN))
        thresholds.append(float(np.quantile(known, factors.quantile, method="higher")) if tells else NOT_KNOWN)

    for number, packed in enumerate(factors.factors):
        matrices.append(whitening(unpacked(packed), rows or rows_of(width), seed))  # (m, c)
        own = columns[rated[:, factors.factor_of == number].any(axis=-1)]  # (n of this factor, c)
        add(squared_lengths(own @ matrices[-1].T))
    matrices.append(whitening(unpacked(factors.all_rows), rows or rows_of(width), seed))  # (m, c)
    add(squared_lengths(columns[rated.any(axis=-1)] @ matrices[-1].T))
    residuals = targets - columns @ factors.weight.T  # (n, k)
    return Uncertainty(
        whitening=np.stack(matrices),
        factor_of=factors.factor_of,
        covariance=error_covariance(factors.noise, residual_correlation(residuals), factors.shared),
        quantiles=np.stack(quantiles),
        thresholds=np.array(thresholds),
        quantile=factors.quantile,
        first_column=factors.first_column,
    )
