"""Dropout and noise layers. At inference each of them is the identity."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_number, check_seed, check_shape
from netlayers.core.layer import Layer
from netlayers.core.shapes import shown_shape
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.kernels.select import kernels
from netlayers.random import PARTS, keep_mask
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape

_BOOL = np.dtype(bool)


class RandomLayer(Layer):
    """Base class of layers that draw random numbers, from the model's stream or their own seed."""

    supports_masking = True

    random = True
    same_in_training = False
    _at_inference = False  # set by calls with training=False: see InferenceCall

    def __init__(self, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        if seed is not None:
            self.seed = check_seed(type(self).__name__, seed)
            self.rng = np.random.Generator(np.random.PCG64(self.seed))

    def check_input_shape(self, shape: Shape) -> None:
        """Accept any shape."""


class _MaskLayer(RandomLayer):
    """Base class of layers that drop entries: ``y = factor m (x - shift) + offset``, ``m`` 0 or 1.

    A subclass sets ``_shift``, ``_factor`` and ``_offset`` for the fraction ``_dropped``.
    """

    _shift = _offset = 0.0
    _factor = 1.0

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.rate = rate
        self.noise_shape: Shape | None = None
        if noise_shape is not None:
            if isinstance(noise_shape, str):
                raise ConfigurationError(
                    f"{type(self).__name__}: noise_shape must be a tuple of sizes, got "
                    f"{noise_shape!r}."
                )
            self.noise_shape = check_shape(type(self).__name__, "noise_shape", noise_shape)
        # The rounded rate, in units of 1/65536. Below a rate of 1, something is kept.
        self._parts = PARTS if rate == 1 else min(round(rate * PARTS), PARTS - 1)
        self._dropped = self._parts / PARTS

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError unless ``noise_shape`` broadcasts to this shape."""
        self._mask_shape(input_shape)

    def check_input_shape(self, shape: Shape) -> None:
        """Raise a ShapeError unless ``noise_shape`` broadcasts to this shape."""
        self._mask_shape(shape)

    def _mask_shape(self, shape: Shape) -> Shape:
        if self.noise_shape is None:
            return shape
        fits = len(shape) == len(self.noise_shape) and all(
            n in (None, 1, size) or size is None
            for n, size in zip(self.noise_shape, shape, strict=True)
        )
        if not fits:
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): noise_shape {self.noise_shape} does "
                f"not fit an input of shape {shown_shape(shape)}. Give one size for each axis, the "
                "batch first: the input's own (or None) for a choice of its own at each place, 1 "
                "for the same choice along the axis."
            )
        return tuple(
            size if n is None else n for n, size in zip(self.noise_shape, shape, strict=True)
        )

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = factor m (x - shift) + offset``; at inference ``y = x``."""
        x = self.prepare(x)
        if not training:
            return x
        self.cache.shape = x.shape
        self.cache.mask = None
        if not self._parts or self._at_inference:
            return x
        mask = self.workspace("mask", self._mask_shape(x.shape), _BOOL)  # type: ignore[arg-type]
        y = self.workspace("y", x.shape, self._dtype)
        assert self.rng is not None
        keep_mask(self.rng, self._parts, mask)
        if self._shift:
            x = np.subtract(x, self._shift, out=y)
        kernels.apply_mask(x, mask, self._factor, y)
        if self._offset:
            np.add(y, self._offset, out=y)
        self.cache.mask = mask
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = factor m dy``."""
        mask = self.cache.mask
        dy = self.check_gradient(dy, self.cache.shape)
        if mask is None:
            return dy
        dx = self.workspace("dx", dy.shape, self._dtype)
        kernels.apply_mask(dy, mask, self._factor, dx)
        return dx


@register("layer")
class Dropout(_MaskLayer):
    """Drop each entry with probability ``rate`` in training, and scale up the others.

    ``y = m x / (1 - rate)`` with ``m`` 0 or 1, so the expected output is ``x`` and inference needs
    no scaling ("inverted" dropout).

    Shapes: any; the output has the shape of the input.

    Args:
        rate: fraction of the entries to drop, from 0 (none) to 1 (all). It is rounded to a multiple
            of 1/65536; the scale uses the rounded rate, so the expectation is exact.
        noise_shape: shape of ``m``, the batch first; 1 for an axis along which the mask is
            broadcast, ``None`` for the input's size: ``(None, 1, None)`` drops whole features of a
            sequence (batch, steps, features).
        seed: seed of a random stream for this layer alone; by default the stream is derived from
            the model's seed.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
        JMLR 15 (2014), section 4.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dropout(0.5, seed=6)
        >>> layer.forward(np.ones((2, 4)), training=True)
        array([[2., 0., 0., 2.],
               [0., 2., 2., 0.]], dtype=float32)
        >>> layer.forward(np.ones((1, 4)))
        array([[1., 1., 1., 1.]], dtype=float32)
    """

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        rate = check_number(type(self).__name__, "rate", rate, minimum=0, maximum=1)
        super().__init__(rate, noise_shape, seed, **kwargs)
        self._factor = 1 / (1 - self._dropped) if rate < 1 else 0.0

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"rate": 0.5}, (4, 3)),
            ({"rate": 0.2, "seed": 3}, (2, 3, 4)),
            ({"rate": 0.3, "noise_shape": [None, 1, None]}, (4, 3, 2)),
            ({"rate": 0.0}, (4, 3)),
        ]


@register("layer")
class AlphaDropout(_MaskLayer):
    """Dropout that keeps mean 0 and variance 1, for networks of SELU units.

    A dropped entry becomes ``α' = -1.758``, the value that SELU saturates at; an affine map then
    restores mean and variance: ``y = a (m x + (1 - m) α') + b`` with
    ``a = ((1 - rate)(1 + rate α'²))^(-1/2)`` and ``b = -a rate α'``.

    Shapes: any; the output has the shape of the input.

    Args:
        rate: fraction of the entries to drop, in [0, 1), rounded as for :class:`Dropout`.
        noise_shape: see :class:`Dropout`.
        seed: see :class:`Dropout`.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        G. Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017, section "New dropout
        technique".

    Example:
        >>> import numpy as np, netlayers as nl
        >>> x = np.ones((1, 4), "float32")
        >>> layer = nl.layers.AlphaDropout(0.5)
        >>> np.array_equal(layer(x), x), np.array_equal(layer.forward(x, training=True), x)
        (True, False)
    """

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        rate = check_number("AlphaDropout", "rate", rate, minimum=0, below=1)
        super().__init__(rate, noise_shape, seed, **kwargs)
        q = self._dropped
        self._shift = -1.6732632423543772848 * 1.0507009873554804934  # -α λ of SELU
        self._factor = ((1 - q) * (1 + q * self._shift**2)) ** -0.5
        # With b = -a q α' in it: a (m x + (1 - m) α') + b = a m (x - α') + a (1 - q) α'.
        self._offset = self._factor * (1 - q) * self._shift

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"rate": 0.3}, (4, 3)),
            ({"rate": 0.5, "noise_shape": (None, 1, 2), "seed": 1}, (3, 4, 2)),
        ]


@register("layer")
class GaussianNoise(RandomLayer):
    """Add noise in training: ``y = x + stddev ε`` with standard normal ``ε``.

    Shapes: any; the output has the shape of the input.

    Args:
        stddev: standard deviation of the noise.
        seed: see :class:`Dropout`.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        C. Bishop, "Training with noise is equivalent to Tikhonov regularization", Neural
        Computation 7 (1995).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> x = np.ones((1, 4), "float32")
        >>> layer = nl.layers.GaussianNoise(0.1)
        >>> np.array_equal(layer(x), x), np.array_equal(layer.forward(x, training=True), x)
        (True, False)
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed=seed, **kwargs)
        self.stddev = check_number("GaussianNoise", "stddev", stddev, minimum=0)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({"stddev": 0.5}, (4, 3)), ({"stddev": 2.0, "seed": 3}, (2, 3, 4))]

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = x + stddev ε``; at inference ``y = x``."""
        x = self.prepare(x)
        if not training:
            return x
        self.cache.shape = x.shape
        if self._at_inference:
            return x
        y = self.workspace("y", x.shape, self._dtype)
        assert self.rng is not None
        self.rng.standard_normal(dtype=self._dtype, out=y)
        np.multiply(y, self.stddev, out=y)
        return np.add(x, y, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy``."""
        return self.check_gradient(dy, self.cache.shape)


@register("layer")
class GaussianDropout(RandomLayer):
    """Multiply by noise in training: ``y = x (1 + √(rate / (1 - rate)) ε)``, ``ε`` ~ N(0, 1).

    The noise has the same mean and variance as :class:`Dropout` with this rate.

    Shapes: any; the output has the shape of the input.

    Args:
        rate: variance ``rate / (1 - rate)`` of the noise; in [0, 1).
        seed: see :class:`Dropout`.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
        JMLR 15 (2014), section 10.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> x = np.ones((1, 4), "float32")
        >>> layer = nl.layers.GaussianDropout(0.5)
        >>> np.array_equal(layer(x), x), np.array_equal(layer.forward(x, training=True), x)
        (True, False)
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed=seed, **kwargs)
        self.rate = check_number("GaussianDropout", "rate", rate, minimum=0, below=1)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({"rate": 0.3}, (4, 3)), ({"rate": 0.5, "seed": 3}, (2, 3, 4))]

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = x n`` with ``n = 1 + √(rate / (1 - rate)) ε``; at inference ``y = x``."""
        x = self.prepare(x)
        if not training:
            return x
        self.cache.shape, self.cache.noise = x.shape, None
        if self._at_inference:
            return x
        n = self.workspace("noise", x.shape, self._dtype)
        assert self.rng is not None
        self.rng.standard_normal(dtype=self._dtype, out=n)
        np.multiply(n, math.sqrt(self.rate / (1 - self.rate)), out=n)
        np.add(n, 1, out=n)
        self.cache.noise = n
        return np.multiply(x, n, out=self.workspace("y", x.shape, self._dtype))

    def backward(self, dy: Array) -> Array:
        """``dx = dy n``."""
        n = self.cache.noise
        dy = self.check_gradient(dy, self.cache.shape)
        return (
            dy if n is None else np.multiply(dy, n, out=self.workspace("dx", dy.shape, self._dtype))
        )
