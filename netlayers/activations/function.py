"""Functions as activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._read_only import call_read_only
from netlayers._serializers import function_name
from netlayers._warn import warn
from netlayers.activations.base import ActivationLayer
from netlayers.arrays.derivatives import BatchDerivative, code_name, cost, sample_size
from netlayers.checks import takes
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.registry import own_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

_EXAMPLE = """\
    class MyActivation(nl.activations.ActivationLayer):
        needs_input = True

        def forward(self, x, training=False, inplace=False):
            x, y = self.start_forward(x, training, inplace)
            y[...] = {function}(x)
            return y

        def backward(self, dy):
            dy, dx = self.start_backward(dy)
            x = self.cache.x
            dx[...] = dy * ...  # d{function}/dx
            return dx
"""


class FunctionActivation(ActivationLayer):
    """A plain function as activation, with a numerical derivative.

    The function gets a read-only array (batch, ...), and returns one of the same shape. The
    derivative takes one more evaluation of the function (complex step), or two (central
    differences), for each of the at most 64 values of a sample in each training step.

    Args:
        fn: the function; in a file, its name, which ``custom_objects`` of ``load_model`` resolves,
            or ``nl.register("activation")``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ConfigurationError: it does not take one argument; or its result for a sample depends on
            other samples.
        ShapeError: the result has another shape than the input; or a sample has more than 64
            values, in ``backward``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(3, activation=lambda z: z**3)
        >>> layer.activation.forward(np.array([[1.0, 2.0]], np.float32))
        array([[1., 8.]], dtype=float32)
    """

    needs_input = True

    def __init__(self, fn: Callable[[Any], Any] | str, **kwargs: Any) -> None:
        if isinstance(fn, str):
            name, found = fn, own_function("activation", fn)
            if found is None:
                raise ConfigurationError(
                    f"activation: {name[:80]!r} is a function of the user; pass "
                    f"custom_objects={{{name[:80]!r}: ...}}, or register it with "
                    "netlayers.register('activation')."
                )
            fn = found
        if isinstance(fn, type) or not callable(fn) or not takes(fn, 1):
            raise ConfigurationError(
                f"activation: the function must take one array, got {fn!r:.200}."
            )
        super().__init__(**kwargs)
        self.fn = fn
        self._warned = False

    def _set_up(self) -> None:
        super()._set_up()
        self._derivative = BatchDerivative(self._title, lambda x: self.fn(x))  # noqa: PLW0108 - fn is set later

    @property
    def _title(self) -> str:
        return f"activation {function_name(vars(self).get('fn', 'function'))!r}"

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k != "_derivative"}

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """Return f(x)."""
        x, y = self.start_forward(x, training, inplace)
        result = np.asarray(call_read_only(self._title, self.fn, x))
        if result.shape != x.shape:
            raise ShapeError(
                f"{self._title}: the function must return an array of the shape of its argument, "
                f"{x.shape}, got {result.shape}."
            )
        y[...] = result
        return y

    def backward(self, dy: Array) -> Array:
        """Return Σ_j dL/dy_j df_j/dx for each value x of a sample."""
        dy, dx = self.start_backward(dy)
        x = self.cache.x.astype(np.float64)
        count, derivative = len(x), self._derivative
        derivative.owner = self._title
        kind = "a subclass of nl.activations.ActivationLayer with forward and backward"
        size = sample_size(self._title, x, kind)
        if derivative.method is None:
            derivative.choose(x)
        if not self._warned:
            self._warned = True
            example = _EXAMPLE.format(function=code_name(self.fn))
            warn(cost(self._title, derivative.method, size, example))
        direction = np.zeros(x.shape)
        columns, moved = dx.reshape(count, size), direction.reshape(count, size)
        for k in range(size):
            moved[:, k] = 1
            columns[:, k] = (dy * derivative.along(x, direction)).reshape(count, size).sum(axis=1)
            moved[:, k] = 0
        return dx

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments, with the function itself: a file holds its name."""
        return {**super().get_config(), "fn": self.fn}
