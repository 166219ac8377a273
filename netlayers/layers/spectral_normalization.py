"""Spectral normalization: the largest singular value of a kernel is 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_integer
from netlayers.core.layer import Layer
from netlayers.errors import ConfigurationError
from netlayers.layers.dense import AffineLayer
from netlayers.layers.network import backward_of
from netlayers.layers.wrapper import Wrapper
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array, Examples, Shape

_MOST_ITERATIONS = 100  # then the singular value decomposition is computed
_FLOAT64 = np.dtype(np.float64)
_TOLERANCE = {4: 1e-4, 8: 1e-9}  # of the singular vectors, by itemsize


@register("layer")
class SpectralNormalization(Wrapper):
    """A layer that computes with ``W / σ(W)``, where σ is the largest singular value.

    The kernel of a convolution is a matrix with a column for each filter. The slope of a Dense
    layer, before its activation, is then at most 1 in any direction, which keeps the discriminator
    of a GAN smooth. The kernel ``W`` itself is learned, and can grow and shrink.

    Shapes: those of the layer.

    Args:
        layer: a layer with a ``kernel``: ``Dense`` or a convolution.
        power_iterations: the least number of power iterations in a training step. They start where
            those of the last step ended, and continue until the singular vectors no longer change,
            because the gradient is exact only then.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Keras normalizes the stored kernel in each forward pass of the training, and leaves it as it is
    at inference; here both compute with ``W / σ(W)``.

    Source:
        T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, "Spectral Normalization for Generative
        Adversarial Networks", ICLR 2018, algorithm 1 and the gradient in equation (11).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> dense = nl.layers.Dense(2, use_bias=False, dtype="float64")
        >>> layer = nl.layers.SpectralNormalization(dense, dtype="float64")
        >>> layer.build((None, 2))
        >>> dense.kernel[...] = [[3.0, 0.0], [0.0, 4.0]]
        >>> layer(np.eye(2)).tolist()
        [[0.75, 0.0], [0.0, 1.0]]
    """

    can_skip_input_gradient = True
    arguments_without_effect = ("power_iterations",)  # on more than the last digits

    def __init__(self, layer: Any, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.power_iterations = check_integer(
            "SpectralNormalization", "power_iterations", power_iterations, minimum=1
        )
        self._add_sublayer(_Vector(name="singular_vector"))

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        dense = {"class_name": "Dense", "config": {"units": 3, "activation": "tanh"}}
        plain = {"class_name": "Dense", "config": {"units": 2, "use_bias": False}}
        return [
            ({"layer": dense}, (4, 5)),
            ({"layer": plain, "power_iterations": 3}, (2, 3, 4)),
        ]

    def build(self, input_shape: Shape) -> None:
        """Build the layer, and the vector in which the power iterations start.

        Raises:
            ConfigurationError: the layer has no kernel.
        """
        self._build_sublayers(self._build_order(input_shape))

    def _build_order(self, input_shape: Shape) -> Iterator[tuple[Layer, Shape]]:
        layer = self.layer
        yield layer, input_shape
        kernels = [p for p in layer.declared_parameters if p.name == "kernel"]
        if not isinstance(layer, AffineLayer) or not kernels:
            raise ConfigurationError(
                f"{self.owner}: layer must be a Dense layer or a convolution, whose kernel is "
                f"normalized; {type(layer).__name__} has none."
            )
        yield self.layers[1], (None, kernels[0].shape[-1])

    def forward(
        self,
        x: Array,
        training: bool = False,
        mask: Any = None,
        mask_out: list[Any] | None = None,
    ) -> Array:
        """``y = activation((x / σ) W + b)``, which is the output for the kernel ``W / σ``."""
        if mask_out is not None:
            mask_out.append(mask)
        x = self.prepare(x)
        kernel, vector = self.layer.kernel, self.layers[1].vector
        matrix = kernel.reshape(-1, kernel.shape[-1])
        wide = self.buffer("kernel", matrix.shape, training, _FLOAT64)
        np.copyto(wide, matrix)
        sigma, left, right, start = largest_singular_value(wide, vector, self.power_iterations)
        sigma = sigma or 1.0
        scaled = np.divide(x, sigma, out=self.buffer("scaled", x.shape, training))
        y: Array = self.calls[0].forward(scaled, training)
        if training:
            if self.layer.trainable:
                vector[...] = start
            self.cache.shape = y.shape
            self.cache.sigma, self.cache.left, self.cache.right = sigma, left, right
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Any:
        """Gradients, from those of the layer for the input ``x / σ``.

        With the singular vectors ``v`` and ``u`` of ``W``, ``dσ/dW = v uᵀ``. The layer
        returns ``dx_s`` and ``dW_s``, which hold ``x / σ`` and ``W`` apart:
        ``dx = dx_s / σ``, ``dW = dW_s - (Σ dW_s W / σ) v uᵀ``.
        """
        sigma, dtype = self.cache.sigma, self._dtype
        dx = backward_of(self.calls[0], self.check_gradient(dy, self.cache.shape), input_gradient)
        if self.layer._trainable:
            kernel = self.layer.kernel.reshape(-1, self.layer.kernel.shape[-1])
            gradient = self.layer.d_kernel.reshape(kernel.shape)
            left = self.cache.left * (np.vdot(gradient, kernel) / sigma)
            part = self.workspace("part", gradient.shape, dtype)
            np.multiply.outer(left.astype(dtype), self.cache.right.astype(dtype), out=part)
            np.subtract(gradient, part, out=gradient)
        if not input_gradient or dx is None:
            return None
        return np.divide(dx, sigma, out=self.workspace("dx", dx.shape, self._dtype))


def largest_singular_value(
    matrix: Array, start: Array, iterations: int = 1
) -> tuple[float, Array, Array, Array]:
    """Return the largest singular value of a matrix, its singular vectors, and a better start.

    From the returned start, the same matrix gives the same bits.

    Args:
        matrix: (m, n), in float64.
        start: (n,), the vector in which the power iterations start; its dtype says how exact the
            result is to be.
        iterations: the least number of iterations.

    Example:
        >>> import numpy as np
        >>> from netlayers.layers.spectral_normalization import largest_singular_value
        >>> sigma, left, right, _ = largest_singular_value(np.diag([3.0, 5.0]), np.ones(2))
        >>> round(sigma, 12), abs(left.round(6)).tolist(), abs(right.round(6)).tolist()
        (5.0, [0.0, 1.0], [0.0, 1.0])
    """
    tolerance = _TOLERANCE[start.dtype.itemsize]
    for _ in range(_MOST_ITERATIONS):
        sigma, left, right = _iteration(matrix, start)
        if np.abs(right - start).max() <= tolerance and (sigma or not matrix.any()):
            break
        start = right.astype(start.dtype)
    else:
        start = np.linalg.svd(matrix, full_matrices=False)[2][0].astype(start.dtype)
        sigma, left, right = _iteration(matrix, start)
    for _ in range(1, iterations):
        sigma, left, right = _iteration(matrix, right)
    return sigma, left, right, start


def _iteration(matrix: Array, right: Array) -> tuple[float, Array, Array]:
    """Return the singular value and vectors after a power iteration."""
    left = _unit(matrix @ right)
    right = matrix.T @ left
    return float(np.sqrt(right @ right)), left, _unit(right)


def _unit(vector: Array) -> Array:
    """Return a vector divided by its length; one of zeros as it is."""
    length = np.sqrt(vector @ vector)
    return vector / length if length else vector


class _Vector(Layer):
    """Holds the right singular vector that a training step found, for the next one."""

    def build(self, input_shape: Shape) -> None:
        """Declare ``vector``, (units,)."""
        self.add_weight("vector", input_shape[1:], "random_normal", statistic=True)  # type: ignore[arg-type]

    def forward(self, x: Array, training: bool = False) -> Array:
        """Not used: :class:`SpectralNormalization` reads the vector."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array:
        """Not used."""
        raise NotImplementedError
