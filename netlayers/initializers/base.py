"""What initializers share, and those that layers start from unless they are told otherwise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice, check_integer, check_number
from netlayers.errors import ShapeError
from netlayers.registry import Configurable, register, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, Identifier


class Initializer(Configurable):
    """Base class. A subclass writes :meth:`fill`."""

    def fill(self, out: Array, rng: np.random.Generator | None = None) -> None:
        """Write starting values into ``out``, in place.

        Args:
            out: array of any shape, float32 or float64.
            rng: source of random numbers; an initializer with a seed of its own ignores it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define fill(out, rng)")

    def __call__(self, shape: Sequence[int], dtype: Any = "float32") -> Array:
        """Return a new array of starting values, as Keras's initializers do."""
        out = np.empty(shape, dtype)
        self.fill(out, np.random.default_rng())
        return out


class RandomInitializer(Initializer):
    """Base class of the random ones. A subclass writes :meth:`draw`.

    Args:
        seed: with an integer, each call gives the same values, whatever the model's seed is.
            With ``None`` the values come from the model's own stream.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None:
            seed = check_integer(type(self).__name__, "seed", seed, minimum=0)
        self.seed = seed

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"seed": 3}]

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return float64 values of the given shape."""
        raise NotImplementedError(f"{type(self).__name__} must define draw(rng, shape)")

    def fill(self, out: Array, rng: np.random.Generator | None = None) -> None:
        """Fill ``out`` with draws from ``rng``, or from this object's own seed."""
        if self.seed is not None or rng is None:
            rng = np.random.default_rng(self.seed)
        out[...] = self.draw(rng, out.shape)


@register("initializer", "zero")
class Zeros(Initializer):
    """All zeros: the usual start of a bias."""

    def fill(self, out: Array, rng: np.random.Generator | None = None) -> None:
        """Write 0 everywhere."""
        out[...] = 0


@register("initializer", "one")
class Ones(Initializer):
    """All ones: the usual start of a scale."""

    def fill(self, out: Array, rng: np.random.Generator | None = None) -> None:
        """Write 1 everywhere."""
        out[...] = 1


@register("initializer")
class Constant(Initializer):
    """One value everywhere.

    Args:
        value: that value.
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = check_number("Constant", "value", value)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{"value": 2.5}]

    def fill(self, out: Array, rng: np.random.Generator | None = None) -> None:
        """Write ``value`` everywhere."""
        out[...] = self.value


@register("initializer")
class Identity(Initializer):
    """The identity matrix times ``gain``; of a rectangle, its leading diagonal.

    Args:
        gain: the value on the diagonal.
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
            ShapeError: ``out`` is no matrix.
        """
        if out.ndim != 2:
            raise ShapeError(f"Identity: needs a matrix to fill, got the shape {out.shape}.")
        out[...] = 0
        np.fill_diagonal(out, self.gain)


def truncated_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw from the standard normal distribution, again for each value beyond two sigma."""
    values = rng.standard_normal(shape)
    outside = np.abs(values) > 2
    while outside.any():
        values[outside] = rng.standard_normal(np.count_nonzero(outside))
        outside = np.abs(values) > 2
    return values


# Standard deviation of a standard normal variable that is cut off at ±2:
# Var = 1 - 2·2·φ(2) / (Φ(2) - Φ(-2)), with the normal density φ and distribution function Φ.
_TRUNCATED_STDDEV = math.sqrt(
    1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))
)


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return inputs and outputs of one unit, ``(fan_in, fan_out)``, for a kernel of this shape.

    The last two axes are input and output features; axes before them are the positions of a
    convolution's window. A vector counts as its own fan-in and fan-out.
    """
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


@register("initializer")
class VarianceScaling(RandomInitializer):
    """Zero mean and the variance ``scale / fan``.

    Args:
        scale: positive factor; 2 makes up for the half that ReLU cuts off.
        mode: ``"fan_in"``, ``"fan_out"`` or ``"fan_avg"`` (their mean).
        distribution: ``"truncated_normal"`` (with its stddev corrected for the truncation),
            ``"untruncated_normal"`` or ``"uniform"``.
        seed: see :class:`RandomInitializer`.

    Source:
        K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015, eq. 10 and 14.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        if distribution == "normal":
            distribution = "truncated_normal"
        owner = type(self).__name__
        self.scale = check_number(owner, "scale", scale, above=0)
        self.mode = check_choice(owner, "mode", mode, ("fan_in", "fan_out", "fan_avg"))
        self.distribution = check_choice(
            owner,
            "distribution",
            distribution,
            ("truncated_normal", "untruncated_normal", "uniform"),
        )

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            {"distribution": "untruncated_normal"},
            {"scale": 2.0, "mode": "fan_avg", "distribution": "uniform", "seed": 3},
        ]

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw with the variance ``scale / fan``."""
        fan_in, fan_out = fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            limit = math.sqrt(3) * stddev  # uniform on [-a, a] has the variance a²/3
            return rng.uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return rng.normal(0.0, stddev, shape)
        return stddev / _TRUNCATED_STDDEV * truncated_normal(rng, shape)


class _NamedScaling(VarianceScaling):
    """A variance scaling with everything but the seed fixed."""

    _settings: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self._settings, seed=seed)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return RandomInitializer.examples()


@register("initializer", "xavier_uniform")
class GlorotUniform(_NamedScaling):
    """Uniform on ±sqrt(6 / (fan_in + fan_out)): the default kernel of Dense.

    Args:
        seed: see :class:`RandomInitializer`.

    Source:
        X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
        networks", AISTATS 2010, eq. 16.
    """

    _settings = (1.0, "fan_avg", "uniform")


@register("initializer", "xavier_normal")
class GlorotNormal(_NamedScaling):
    """Truncated normal with the variance 2 / (fan_in + fan_out).

    Args:
        seed: see :class:`RandomInitializer`.

    Source:
        X. Glorot, Y. Bengio, AISTATS 2010, eq. 12.
    """

    _settings = (1.0, "fan_avg", "truncated_normal")


@register("initializer")
class HeUniform(_NamedScaling):
    """Uniform on ±sqrt(6 / fan_in), for ReLU.

    Args:
        seed: see :class:`RandomInitializer`.

    Source:
        K. He et al., "Delving deep into rectifiers", ICCV 2015, eq. 10.
    """

    _settings = (2.0, "fan_in", "uniform")


@register("initializer")
class HeNormal(_NamedScaling):
    """Truncated normal with the variance 2 / fan_in, for ReLU.

    Args:
        seed: see :class:`RandomInitializer`.

    Source:
        K. He et al., "Delving deep into rectifiers", ICCV 2015, eq. 10.
    """

    _settings = (2.0, "fan_in", "truncated_normal")


@register("initializer")
class LecunUniform(_NamedScaling):
    """Uniform on ±sqrt(3 / fan_in), for linear units and SELU.

    Args:
        seed: see :class:`RandomInitializer`.

    Source:
        Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp", 1998, eq. 16.
    """

    _settings = (1.0, "fan_in", "uniform")


@register("initializer")
class LecunNormal(_NamedScaling):
    """Truncated normal with the variance 1 / fan_in, for linear units and SELU.

    Args:
        seed: see :class:`RandomInitializer`.

    Source:
        Y. LeCun et al., "Efficient BackProp", 1998, eq. 16.
    """

    _settings = (1.0, "fan_in", "truncated_normal")


def get(identifier: Identifier) -> Initializer:
    """Return an initializer from a name, a configuration or an initializer.

    Example:
        >>> from netlayers import initializers
        >>> initializers.get("he_normal")
        HeNormal()
    """
    initializer: Initializer = resolve("initializer", identifier, Initializer)
    return initializer
