"""Transforms for tests."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gating.settings import Verbosity, in_order, variables_of
from gating.transform import Transform


def transform_of(lambdas: NDArray[np.float64], verbosity: Verbosity, objectives: Sequence[str]) -> Transform:
    """The transform of as many rows of lambdas, (k,) or (rows, k), as there are variables."""
    variables = in_order(variables_of(verbosity), objectives)
    return Transform.of_lambdas(np.atleast_2d(lambdas)[: len(variables)], variables, objectives)
