"""The authors' way, and scikit-learn in float64 as the measure of all ways' results.

The authors' public code (`stage-1_train.py` of RLHFlow/RLHF-Reward-Modeling) holds all features in memory as float32,
cut into training and validation rows; for every objective and alpha it fits a `Ridge` with its default solver (here
Cholesky, the fastest for these shapes) on the rows that rate it and judges it on the validation rows; then once more
with the best alpha on all rows. Every fit multiplies x' x anew, which is what their time is spent on.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error

from benchmarks.heads.data import ALPHAS, NAMES, Data, columns_of_patterns
from cache import FeatureStore


def fit(store: FeatureStore, data: Data, folder: Path) -> dict[str, Any]:
    """190 fits of scikit-learn's `Ridge` on features in memory."""
    started = time.perf_counter()
    features = store.gather(data["keys"])[:, 0]  # (n, d) float32
    reading = time.perf_counter() - started
    targets = data["targets"].astype(np.float32)  # (n, k)
    train, held_out = features[~data["held_out"]], features[data["held_out"]]
    y_train, y_held_out = targets[~data["held_out"]], targets[data["held_out"]]
    path = np.full((len(ALPHAS), len(NAMES)), np.nan)
    weights = np.empty((len(NAMES), features.shape[1]))
    for objective in range(len(NAMES)):
        rated, judged = ~np.isnan(y_train[:, objective]), ~np.isnan(y_held_out[:, objective])
        for number, alpha in enumerate(ALPHAS):
            model = Ridge(alpha=alpha, fit_intercept=False).fit(train[rated], y_train[rated, objective])
            path[number, objective] = mean_squared_error(y_held_out[judged, objective], model.predict(held_out[judged]))
        best = ALPHAS[int(np.argmin(path[:, objective]))]
        rated = ~np.isnan(targets[:, objective])
        weights[objective] = (
            Ridge(alpha=best, fit_intercept=False).fit(features[rated], targets[rated, objective]).coef_
        )
    alphas = np.asarray(ALPHAS)[path.argmin(axis=0)]
    np.savez(folder / "authors.npz", path=path, best=path.min(axis=0), alphas=alphas, weights=weights)
    return {"reading": reading}


def fit_exactly(store: FeatureStore, data: Data, folder: Path) -> dict[str, Any]:
    """The final heads by scikit-learn in float64, with the alphas that our way selected."""
    with np.load(folder / "ours.npz") as ours:
        alphas = ours["alphas"]
    weights = np.empty((len(NAMES), store.hidden_size))
    for pattern, columns in enumerate(columns_of_patterns()):
        rows = np.flatnonzero(data["patterns"] == pattern)
        features = store.gather(data["keys"][rows])[:, 0].astype(np.float64)
        model = Ridge(alpha=alphas[columns], fit_intercept=False)
        weights[columns] = model.fit(features, data["targets"][np.ix_(rows, columns)]).coef_
    np.savez(folder / "exact.npz", weights=weights)
    return {}
