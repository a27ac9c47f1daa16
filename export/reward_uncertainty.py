"""The uncertainty of rewards in an exported folder: four tensors below `uncertainty.`, and a table in config.json."""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from cache import UserError
from export.model_folder import REMEDY
from export.reward_headers import UNCERTAINTY_PREFIX
from heads.ridge.uncertainty import PERCENTILES, Uncertainty

WHITENING, COVARIANCE, QUANTILES, THRESHOLDS = (
    UNCERTAINTY_PREFIX + name for name in ("whitening", "covariance", "quantiles", "thresholds")
)


class UncertaintyTable(BaseModel):
    """The table `uncertainty` of config.json's `armorm`: the sizes of the tensors, and what is no tensor."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    factor_of: tuple[Annotated[int, Field(ge=0, lt=2**16)], ...] = Field(min_length=1)
    """Index of each objective's factor."""
    factors: int = Field(ge=1, le=2**16)
    """Number of factors; the last is that of all rated rows."""
    rows: int = Field(ge=1)
    """Rows of a factor's matrix."""
    columns: int = Field(ge=1)
    """Columns of a feature that the heads read."""
    first_column: int = Field(ge=0)
    """The first of them."""
    quantile: float = Field(gt=0, lt=1)
    """Fraction of the validation rows that counts as familiar."""
    familiar: bool
    """Whether enough validation rows told what is familiar."""

    @classmethod
    def of(cls, uncertainty: Uncertainty) -> "UncertaintyTable":
        """The table of a fitted uncertainty."""
        factors, rows, columns = uncertainty.whitening.shape
        return cls(
            factor_of=tuple(uncertainty.factor_of.tolist()),
            factors=factors,
            rows=rows,
            columns=columns,
            first_column=uncertainty.first_column,
            quantile=uncertainty.quantile,
            familiar=uncertainty.tells_familiar,
        )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Tensor -> its shape."""
        k, factors = len(self.factor_of), self.factors
        return {
            WHITENING: (factors, self.rows, self.columns),
            COVARIANCE: (k, k),
            QUANTILES: (factors, PERCENTILES),
            THRESHOLDS: (factors,),
        }


def uncertainty_tensors(uncertainty: Uncertainty) -> dict[str, torch.Tensor]:
    """The tensors of a folder, float32."""
    values = {
        WHITENING: uncertainty.whitening,
        COVARIANCE: uncertainty.covariance,
        QUANTILES: uncertainty.quantiles,
        THRESHOLDS: uncertainty.thresholds,
    }
    return {name: torch.from_numpy(np.asarray(value, dtype=np.float32)) for name, value in values.items()}


def uncertainty_bytes(uncertainty: Uncertainty) -> int:
    """Size of the tensors of a folder."""
    return sum(tensor.nbytes for tensor in uncertainty_tensors(uncertainty).values())


def read_uncertainty(table: UncertaintyTable, tensors: Mapping[str, torch.Tensor], folder: object) -> Uncertainty:
    """The uncertainty of a folder.

    Args:
        table: the table in its config.json.
        tensors: its tensors by name, of the table's shapes, finite.
        folder: named in errors.

    Raises:
        UserError: a variance is negative, or an objective has a factor that is not there.
    """
    if max(table.factor_of) >= table.factors:
        raise UserError(f"config.json in {folder} names a factor of its uncertainty that it does not have: {REMEDY}")
    covariance = tensors[COVARIANCE].double().numpy()
    if (np.diagonal(covariance) < 0.0).any():
        raise UserError(f"{COVARIANCE} in {folder} holds a negative variance: {REMEDY}")
    return Uncertainty(
        whitening=tensors[WHITENING].numpy(),
        factor_of=np.asarray(table.factor_of, dtype=np.int64),
        covariance=covariance,
        quantiles=tensors[QUANTILES].double().numpy(),
        thresholds=tensors[THRESHOLDS].double().numpy(),
        quantile=table.quantile,
        first_column=table.first_column,
    )
