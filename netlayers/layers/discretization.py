"""Numbers in bins."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.checks import as_data, check_values
from netlayers.arrays.spec import InputSpec
from netlayers.checks import check_integer, check_list, check_number
from netlayers.data.adapting import batches_for_adapt
from netlayers.data.structure import arrays_by_name
from netlayers.errors import ConfigurationError, DataError
from netlayers.layers.categorical import ENCODINGS, CategoricalLayer, check_dense, check_mode
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlayers._typing import Array, Examples

_FLOAT64 = np.dtype(np.float64)


@register("layer")
class Discretization(CategoricalLayer):
    """Number of the bin that a number lies in: ``y = i`` for ``b_i <= x < b_(i+1)``.

    The boundaries b are given, or quantiles of data, by :meth:`adapt`: bins then hold about equally
    many of these. Bin 0 is below the first boundary, and the last bin has no upper end. Training
    leaves the boundaries as they are; missing values (NaN) are refused, as in every layer that
    takes numbers.

    Shapes: ``x`` numbers (batch, ...), ``y`` integers of the same shape; for the other modes see
    :class:`CategoryEncoding`.

    Args:
        bin_boundaries: increasing numbers; the bins are one more.
        num_bins: number of bins that :meth:`adapt` computes. Give this or ``bin_boundaries``.
        epsilon: how far a quantile may be off, as a fraction of the data. Data in one array whose
            rank is below ``1 / epsilon`` have exact quantiles.
        output_mode: ``"int"``, ``"one_hot"``, ``"multi_hot"`` or ``"count"``.
        sparse: must be ``False``.
        kwargs: ``name``, ``dtype``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Discretization(bin_boundaries=[0.0, 1.0, 2.0])
        >>> layer(np.array([[-1.5, 1.0, 3.4, 0.5]])).tolist()
        [[0, 2, 3, 1]]
    """

    input_spec = InputSpec(gradient=False, keeps_precision=True)
    arguments_without_effect = ("sparse", "num_bins", "epsilon")  # of adapt

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_bins is not None:
            num_bins = check_integer("Discretization", "num_bins", num_bins, minimum=1)
        if (num_bins is None) == (bin_boundaries is None):
            which = "both" if num_bins is not None else "neither"
            raise ConfigurationError(
                f"Discretization: give num_bins, for adapt(), or bin_boundaries; got {which}."
            )
        self.num_bins = num_bins
        self._given = bin_boundaries is not None
        self.bin_boundaries: list[float] | None = None
        if bin_boundaries is not None:
            self.bin_boundaries = _boundaries("Discretization", bin_boundaries)
        self.epsilon = check_number("Discretization", "epsilon", epsilon, above=0, below=1)
        self.output_mode = check_mode("Discretization", output_mode, ("int", *ENCODINGS))
        self.sparse = check_dense("Discretization", sparse)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"bin_boundaries": [-0.5, 0.5]}, (4, 3)),
            ({"bin_boundaries": [0.0], "output_mode": "one_hot"}, (4, 2)),
            ({"bin_boundaries": [-0.1, 0.0, 0.7], "output_mode": "count"}, (2, 3, 2)),
        ]

    @property
    def depth(self) -> int:
        """Length of an encoded row: the number of bins."""
        if self.bin_boundaries is not None:
            return len(self.bin_boundaries) + 1
        assert self.num_bins is not None
        return self.num_bins

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Set the boundaries to quantiles of data: ``1 / num_bins``, ``2 / num_bins``, ...

        Equal quantiles make empty bins.

        Args:
            data: array-like, or data in batches, in any form that ``fit`` takes; all numbers count,
                whatever their place.
            batch_size: rows read at a time; by default 2^18 numbers.
            steps: number of batches to read; by default all.

        Raises:
            ConfigurationError: ``bin_boundaries`` was given to the constructor.
            DataError: the data are empty or not finite.

        Source:
            Quantiles of data in batches from summaries, values with weights, that are merged and
            thinned out to ``1 / epsilon`` values: M. Greenwald, S. Khanna, "Power-conserving
            computation of order-statistics over sensor networks", PODS 2004.
        """
        owner = f"{self.owner}: adapt()"
        if self._given or self.num_bins is None:
            raise ConfigurationError(
                f"{owner}: bin_boundaries was given to the constructor; there is nothing to adapt. "
                "Give num_bins there instead."
            )
        values, weights = np.empty(0), np.empty(0)
        for batch in batches_for_adapt(owner, data, steps, axes=1):
            (array,) = arrays_by_name(owner, "data", batch, ["x"])
            array = as_data(owner, "data", array)
            check_values(owner, "data", array, _FLOAT64)
            row = max(1, int(np.prod(array.shape[1:])))
            rows = batch_size or max(1, (1 << 18) // row)
            for start in range(0, len(array), rows):
                new = np.asarray(array[start : start + rows], np.float64).reshape(-1)
                values = np.concatenate([values, new])
                weights = np.concatenate([weights, np.ones(new.size)])
                order = np.argsort(values, kind="stable")
                values, weights = values[order], weights[order]
                if len(values) > 4 * rows * row:
                    values, weights = _thinned(values, weights, self.epsilon)
        if not len(values):
            raise DataError(f"{owner}: the data are empty; give one sample or more.")
        levels = np.arange(1, self.num_bins) / self.num_bins
        self.bin_boundaries = _quantiles(values, weights, levels).tolist()

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = i`` for ``b_i <= x < b_(i+1)``."""
        if self.bin_boundaries is None:
            raise ConfigurationError(
                f"{self.owner} (Discretization): it has no boundaries yet; call adapt() with data, "
                "or give bin_boundaries."
            )
        x = self.prepare(x)
        found = np.searchsorted(np.asarray(self.bin_boundaries), x, side="right")
        return self._encoded(found.astype(np.int64, copy=False), training)

    def _argument(self, name: str) -> Any:
        """Return the value of a constructor argument; boundaries of ``adapt`` are an asset."""
        if name == "bin_boundaries" and not self._given:
            return None
        return super()._argument(name)

    def get_assets(self) -> dict[str, list[str] | bytes]:
        """Return the boundaries that ``adapt`` found."""
        if self._given or self.bin_boundaries is None:
            return {}
        return {"boundaries": np.asarray(self.bin_boundaries, "<f8").tobytes()}

    def set_assets(self, assets: Mapping[str, list[str] | bytes]) -> None:
        """Restore what :meth:`get_assets` returned."""
        if self._given:
            if assets:
                raise ValueError("bin_boundaries are given to the constructor")
            return
        data = assets.get("boundaries")
        if data is None:
            self.bin_boundaries = None
            return
        assert isinstance(data, bytes)
        values = np.frombuffer(data, "<f8")
        if len(values) + 1 != self.num_bins or not np.isfinite(values).all():
            raise ValueError(f"expected {self.num_bins} - 1 finite boundaries")
        if (np.diff(values) < 0).any():
            raise ValueError("boundaries must increase")
        self.bin_boundaries = values.tolist()


def _boundaries(owner: str, values: Any) -> list[float]:
    """Return boundaries as a list of increasing numbers."""
    listed = check_list(owner, "bin_boundaries", values, "numbers")
    found = [check_number(owner, "each of bin_boundaries", v) for v in listed]
    if any(a > b for a, b in pairwise(found)):
        raise ConfigurationError(f"{owner}: bin_boundaries must increase, got {values!r}.")
    return found


def _quantiles(values: Array, weights: Array, levels: Array) -> Array:
    """Return quantiles of sorted values, linear between them, as in Keras."""
    total = np.cumsum(weights)
    return np.interp(levels, total / total[-1], values)


def _thinned(values: Array, weights: Array, epsilon: float) -> tuple[Array, Array]:
    """Return fewer sorted values with the weights of those that they stand for."""
    total = np.cumsum(weights)
    count = int(np.ceil(4 / epsilon))
    at = np.unique(np.searchsorted(total, np.linspace(0, total[-1], count + 1)[1:], side="left"))
    at = np.minimum(at, len(values) - 1)
    return values[at], np.diff(total[at], prepend=0)
