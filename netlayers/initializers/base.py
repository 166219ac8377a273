"""Base classes of initializers, and deterministic initializers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._remade import remade
from netlayers.checks import check_dtype, check_number, check_seed, check_sizes
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.random import fresh_seed
from netlayers.registry import Configurable, must_define, register

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from netlayers._typing import Array, ArrayLike


class Initializer(Configurable):
    """Base class. Subclasses implement :meth:`fill`.

    A class written for Keras, whose ``__call__(shape, dtype=None)`` returns the values, works too.
    """

    @must_define(unless="__call__")
    def fill(self, out: Array, rng: np.random.Generator | None = None) -> None:
        """Write initial values into ``out``, in place.

        Args:
            out: array of any shape, float32 or float64.
            rng: random generator; an initializer with its own seed ignores it.

        Raises:
            ShapeError: a class written for Keras returns values of another shape.
        """
        if type(self).__call__ is Initializer.__call__:
            raise NotImplementedError(f"{type(self).__name__} must define fill(out, rng)")
        values = np.asarray(self(out.shape, dtype=out.dtype.name))
        if values.shape != out.shape:
            raise ShapeError(
                f"{type(self).__name__}: __call__(shape) must return values of that shape, "
                f"{out.shape}, got {values.shape}."
            )
        out[...] = values

    def __call__(self, shape: Sequence[int], dtype: Any = "float32") -> Array:
        """Return a new array of initial values, as Keras's initializers do."""
        owner = type(self).__name__
        out = np.empty(check_sizes(owner, shape), check_dtype(owner, dtype))
        self.fill(out, np.random.default_rng(fresh_seed()))
        return out

    def clone(self) -> Self:
        """Return a new initializer with the same arguments."""
        return remade(self)


class RandomInitializer(Initializer):
    """Base class of random initializers. Subclasses implement :meth:`draw`.

    Args:
        seed: with an integer, each call gives the same values, regardless of the model's seed. With
            ``None`` the model's random stream is used.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None:
            seed = check_seed(type(self).__name__, seed)
        self.seed = seed

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"seed": 3}]

    @must_define("fill")
    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return float64 values of the given shape.

        Args:
            shape: the shape.
            rng: the generator to draw with.
        """
        raise NotImplementedError(f"{type(self).__name__} must define draw(rng, shape)")

    def fill(self, out: Array, rng: np.random.Generator | None = None) -> None:
        """Fill ``out`` with draws from ``rng``, or from this object's own seed."""
        if self.seed is not None or rng is None:
            rng = np.random.default_rng(self.seed)
        out[...] = self.draw(rng, out.shape)


@register("initializer", "zero")
class Zeros(Initializer):
    """Zeros, usually for biases.

    Example:
        >>> import netlayers as nl
        >>> nl.initializers.Zeros()((2,))
        array([0., 0.], dtype=float32)
    """

    def fill(self, out: Array, rng: np.random.Generator | None = None) -> None:
        """Write 0 everywhere."""
        out[...] = 0


@register("initializer", "one")
class Ones(Initializer):
    """Ones, usually for scales.

    Example:
        >>> import netlayers as nl
        >>> nl.initializers.Ones()((2,))
        array([1., 1.], dtype=float32)
    """

    def fill(self, out: Array, rng: np.random.Generator | None = None) -> None:
        """Write 1 everywhere."""
        out[...] = 1


@register("initializer")
class Constant(Initializer):
    """A constant.

    Args:
        value: the constant: a number, or an array that broadcasts to the shape of the weights.

    Raises:
        ShapeError: when it fills weights that an array does not broadcast to.

    Example:
        >>> import netlayers as nl
        >>> nl.initializers.Constant(0.5)((2,))
        array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, value: float | ArrayLike = 0.0) -> None:
        self.value: float | Array
        if np.ndim(value):
            self.value = np.array(value)
            if self.value.dtype.kind not in "fiub" or not np.isfinite(self.value).all():
                raise ConfigurationError(
                    "Constant: value, an array as initializer, must hold finite numbers, got "
                    f"{self.value.dtype} {np.array2string(self.value, threshold=6)}."
                )
        else:
            largest = np.finfo(np.float64).max
            self.value = check_number("Constant", "value", value, largest=largest)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{"value": 2.5}]

    def get_config(self) -> dict[str, Any]:
        """Return the value, an array as a list."""
        return {"value": self.value.tolist() if isinstance(self.value, np.ndarray) else self.value}

    def fill(self, out: Array, rng: np.random.Generator | None = None) -> None:
        """Write ``value`` everywhere."""
        if np.max(np.abs(self.value), initial=0) > np.finfo(out.dtype).max:
            raise ConfigurationError(f"Constant: value={self.value!r} is infinite in {out.dtype}.")
        try:
            out[...] = self.value
        except ValueError:
            raise ShapeError(
                f"Constant: its value has the shape {np.shape(self.value)}, which does not "
                f"broadcast to weights of the shape {out.shape}."
            ) from None


@register("initializer", "IdentityInitializer", "identity_initializer")
class Identity(Initializer):
    """The identity matrix times ``gain``; for a rectangular matrix, the main diagonal.

    Args:
        gain: the value on the diagonal.

    Example:
        >>> import netlayers as nl
        >>> nl.initializers.Identity()((2, 2))
        array([[1., 0.],
               [0., 1.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = check_number("Identity", "gain", gain)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"gain": 0.5}]

    def fill(self, out: Array, rng: np.random.Generator | None = None) -> None:
        """Write ``gain`` on the diagonal and 0 elsewhere.

        Raises:
            ShapeError: ``out`` is not a matrix.
        """
        if out.ndim != 2:
            raise ShapeError(f"Identity: needs a matrix to fill, got the shape {out.shape}.")
        out[...] = 0
        np.fill_diagonal(out, self.gain)
