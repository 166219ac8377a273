"""Functions as losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._read_only import call_read_only
from netlayers._serializers import function_name
from netlayers._warn import warn
from netlayers.arrays.convert import as_array, as_float
from netlayers.arrays.derivatives import BatchDerivative, code_name, cost, sample_size
from netlayers.checks import takes
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.losses.base import Loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array, ArrayLike, Dtype, Shape

_EXAMPLE = """\
    class MyLoss(nl.losses.Loss):
        def forward_samples(self, y_true, y_pred):
            self.cache.t, self.cache.p = y_true, y_pred
            return {function}(y_true, y_pred)

        def backward_samples(self, dl):
            t, p = self.cache.t, self.cache.p
            return dl * ...  # d{function}/dp, in the shape of p
"""


class FunctionLoss(Loss):
    """A plain function as a loss, with a numerical derivative; ``compile`` wraps functions in it.

    The function gets read-only arrays: the predictions (batch, ..., outputs), and the targets with
    an output axis if there is one output. It returns an array with one number per sample or output,
    whose mean is the loss, or one number per batch.

    The derivative takes one more evaluation of the function (complex step), or two (central
    differences), for each of the at most 64 outputs of a sample in each training step; of a
    function that returns one number per batch, for each output of the batch.

    Args:
        fn: the function of ``y_true`` and ``y_pred``.
        reduction: see :class:`Loss`.
        name: by default that of the function.
        dtype: see :class:`Loss`.

    Raises:
        ConfigurationError: it does not take two arguments; or its result for a sample depends on
            other samples.
        ShapeError: a sample has more than 64 outputs, in ``backward``; or the result has another
            length than the batch.

    Example:
        >>> import warnings, numpy as np, netlayers as nl
        >>> loss = nl.losses.get(lambda t, p: np.mean(np.square(t - p), axis=-1))
        >>> loss.forward([[1.0, 2.0]], [[1.0, 4.0]])
        2.0
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     loss.backward()
        array([[0., 2.]], dtype=float32)
    """

    def __init__(
        self,
        fn: Callable[[Any, Any], Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        if isinstance(fn, type) or not callable(fn) or not takes(fn, 2):
            raise ConfigurationError(
                f"loss: the function must take y_true and y_pred, got {fn!r:.200}."
            )
        self.fn = fn
        self._warned = False
        super().__init__(reduction, function_name(fn) if name is None else name, dtype)

    def _set_up(self) -> None:
        super()._set_up()
        owner = f"loss {self.name!r}"
        self._derivative = BatchDerivative(owner, lambda p: self.fn(self.cache.t, p))

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k != "_derivative"}

    def targets(self, y_true: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the targets, with an output axis if there is one output; of any other shape.

        Raises:
            ShapeError: they are not as many as the predictions.
        """
        t = as_float(f"loss {self.name!r}", "y_true", y_true, dtype)
        if len(t) != shape[0]:
            raise ShapeError(
                f"loss {self.name!r}: y_true has {len(t)} samples, y_pred has {shape[0]}."
            )
        return t[..., None] if t.shape == shape[:-1] and shape[-1] == 1 else t

    def check_targets(self, y: Array, output_shape: Shape) -> None:
        """Accept all targets."""

    def forward_samples(self, y_true: Array, y_pred: Array) -> Array:
        """Return what the function returns, one number for each sample."""
        owner = f"loss {self.name!r}"
        self.cache.t, self.cache.p = y_true, y_pred
        values = as_array(owner, "its result", call_read_only(owner, self.fn, y_true, y_pred))
        count = len(y_pred)
        self.cache.whole = values.ndim == 0
        if values.ndim == 0:
            return np.broadcast_to(values, (count,))
        if len(values) != count:
            raise ShapeError(
                f"{owner}: the function returned an array of the shape {values.shape} for {count} "
                "samples; expected one number per sample, or one per batch."
            )
        return values

    def _effective_weights(self, losses: Array, sample_weight: ArrayLike | None) -> Any:
        if self.cache.whole:
            raise ShapeError(
                f"loss {self.name!r}: the function returned one number for the batch, which "
                "sample_weight cannot weigh. Return one number per sample."
            )
        return super()._effective_weights(losses, sample_weight)

    def _broadcastable(self, scale: Array) -> Array:
        return scale

    def backward_samples(self, dl: float | Array) -> Array:
        """Return dL/dy_pred for dL/dl, a number or an array of the shape of the losses."""
        p, whole, derivative = self.cache.p, self.cache.whole, self._derivative
        count = len(p)
        kind = "a subclass of nl.losses.Loss with forward_samples and backward_samples"
        size = sample_size(f"loss {self.name!r}", p, kind)
        x = p.astype(np.float64)
        if derivative.method is None:
            derivative.choose(x)
        if not self._warned:
            self._warned = True
            example = _EXAMPLE.format(function=code_name(self.fn))
            times = size * count if whole else size
            warn(cost(f"loss {self.name!r}", derivative.method, times, example))
        dy, direction = self.buffer("dy", p), np.zeros(x.shape)
        columns, moved = dy.reshape(count, size), direction.reshape(count, size)
        rows = range(count) if whole else [slice(None)]
        for i in rows:
            for k in range(size):
                moved[i, k] = 1
                change = derivative.along(x, direction)
                moved[i, k] = 0
                if whole:
                    columns[i, k] = count * dl * change
                else:
                    columns[:, k] = (dl * change).reshape(count, -1).sum(axis=1)
        return dy

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments, with the function itself: a file holds its name."""
        return {"fn": self.fn, "reduction": self.reduction, "name": self.name, "dtype": self.dtype}
