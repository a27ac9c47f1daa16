"""The intervals of ratings in an exported folder: two tensors below `intervals.`, and a table in config.json."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from export.reward_headers import INTERVALS_PREFIX
from heads.ridge.conformal import ConformalIntervals
from heads.ridge.uncertainty import NOT_KNOWN, Uncertainty

HALF_WIDTH, LEVERAGE_HALF_WIDTH = (INTERVALS_PREFIX + name for name in ("half_width", "leverage_half_width"))


class IntervalsTable(BaseModel):
    """The table `intervals` of config.json's `armorm`."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    coverage: float = Field(gt=0, lt=1)
    """Fraction of new ratings that the intervals were made to contain."""

    def shapes(self, k: int) -> dict[str, tuple[int, ...]]:
        """Tensor -> its shape, for k objectives."""
        return {HALF_WIDTH: (k,), LEVERAGE_HALF_WIDTH: (k,)}


def intervals_tensors(intervals: ConformalIntervals) -> dict[str, torch.Tensor]:
    """The tensors of a folder, (k,) float32 each; `NOT_KNOWN` in place of NaN."""
    values = {HALF_WIDTH: intervals.half_width, LEVERAGE_HALF_WIDTH: intervals.leverage_half_width}
    return {
        name: torch.from_numpy(np.where(np.isnan(value), NOT_KNOWN, value).astype(np.float32))
        for name, value in values.items()
    }


def read_intervals(
    table: IntervalsTable, tensors: Mapping[str, torch.Tensor], uncertainty: Uncertainty | None
) -> ConformalIntervals:
    """The intervals of a folder.

    Args:
        table: the table in its config.json.
        tensors: its tensors by name, of the table's shapes, finite.
        uncertainty: that of the folder, whose factors the intervals' leverages are.
    """
    half_width = _read(tensors[HALF_WIDTH])
    factor_of = np.zeros(len(half_width), dtype=np.int64) if uncertainty is None else uncertainty.factor_of
    return ConformalIntervals(table.coverage, half_width, _read(tensors[LEVERAGE_HALF_WIDTH]), factor_of)


def _read(tensor: torch.Tensor) -> NDArray[np.float64]:
    values = tensor.double().numpy()
    return np.where(values < 0.0, np.nan, values)
