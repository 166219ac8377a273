"""Functions as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._read_only import call_read_only
from netlayers._serializers import function_name
from netlayers.arrays.convert import as_array
from netlayers.checks import takes
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.metrics.base import Mean, weighted_sum
from netlayers.metrics.targets import with_outputs
from netlayers.registry import lookup, register, register_name, registered, stored_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array, ArrayLike


@register("metric")
class MeanMetricWrapper(Mean):
    """Mean of a function ``fn(y_true, y_pred)``; wraps the functions passed to ``compile``.

    The function receives read-only (batch, ..., outputs) arrays; targets of a single output get an
    output axis, so that nothing is broadcast to (batch, batch). It returns either

    - an array of one number per sample or per output: the result is their mean, with sample
      weights; or
    - one number per batch: the result is the mean over batches, weighted by their number of
      samples, without sample weights. For a number that is not a mean over samples (a root, a
      correlation) it depends on how the data are split into batches.

    Args:
        fn: the function, or the name under which :func:`netlayers.register` registered it. Only a
            registered function can be serialized.
        name: name of the metric, its key in the logs; by default that of the function.
        dtype: see :class:`Metric`.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> def largest_error(y_true, y_pred):
        ...     return np.abs(y_true - y_pred).max(axis=-1)
        >>> metric = nl.metrics.get(largest_error)
        >>> metric.name
        'largest_error'
        >>> metric([[1.0, 2.0], [3.0, 4.0]], [[1.0, 4.0], [3.0, 3.0]])
        1.5
    """

    def __init__(
        self, fn: Callable[..., Any] | str, name: str | None = None, dtype: str | None = None
    ) -> None:
        if isinstance(fn, str):
            fn = lookup("metric", fn)
        if isinstance(fn, type) or not callable(fn):
            raise ConfigurationError(
                f"MeanMetricWrapper: fn must be a function of y_true and y_pred, got {fn!r}."
            )
        if not takes(fn, 2):
            raise ConfigurationError(
                f"metrics: the function {function_name(fn)!r} must take y_true and y_pred."
            )
        self.fn: Callable[..., Any] = fn
        super().__init__(function_name(fn) if name is None else name, dtype)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        register_name("metric", "_largest_error", _largest_error)  # to be written down by
        return [({"fn": _largest_error}, "numbers", "numbers")]

    def update_state(  # type: ignore[override]  # takes targets and predictions, not values
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Call the function and add its result."""
        y_true, y_pred = with_outputs(y_true, y_pred)
        owner = f"metric {self.name!r}"
        values = as_array(owner, "its result", call_read_only(owner, self.fn, y_true, y_pred))
        count = len(y_pred)
        weights = np.shape(np.ones(1) if sample_weight is None else sample_weight)
        by_output = len(weights) == y_pred.ndim and weights[-1] > 1
        if values.ndim == 0 and not by_output:
            self.add(float(values), count)
            return
        if values.ndim == 0:
            raise ShapeError(
                f"metric {self.name!r}: the function returned one number for the batch, which "
                "cannot weigh single outputs, nor leave out unknown targets (mask_nan=True). "
                "Return one number per output."
            )
        if len(values) != count:
            raise ShapeError(
                f"metric {self.name!r}: the function returned an array of shape {values.shape} for "
                f"{count} samples; expected one number per sample or one per batch."
            )
        total, weight = weighted_sum(self, values, sample_weight)
        self._total += total
        self._weight += weight

    def get_config(self) -> dict[str, Any]:
        """Return the registered name of the function and the name of the metric.

        Raises:
            ConfigurationError: it is not registered.
        """
        fn_name = stored_name(self.fn, function_name(self.fn))
        if registered("metric").get(fn_name) is not self.fn:
            raise ConfigurationError(
                f"metric {self.name!r}: only a registered function can be serialized. Register "
                f"{self.fn!r} with netlayers.register('metric')."
            )
        return {"fn": fn_name, "name": self.name, "dtype": self.dtype}


def _largest_error(y_true: Array, y_pred: Array) -> Array:
    """Return what is wrapped in examples."""
    return np.abs(y_true - y_pred).max(axis=-1)


def is_plain_function(value: Any) -> bool:
    """Return whether ``value`` is a callable other than a class."""
    return callable(value) and not isinstance(value, (type, np.ndarray))
