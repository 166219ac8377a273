"""Initializers that choose the variance by the size of the layer: Glorot, He, LeCun."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from netlayers.checks import check_choice, check_integer, check_list, check_number
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.initializers.base import RandomInitializer
from netlayers.initializers.distributions import truncated_normal
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from netlayers._typing import Array

# Standard deviation of a standard normal variable that is cut off at ±2:
# Var = 1 - 2·2·φ(2) / (Φ(2) - Φ(-2)), with the normal density φ and distribution function Φ.
_TRUNCATED_STDDEV = math.sqrt(
    1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))
)


def fans(
    shape: tuple[int, ...],
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> tuple[int, int]:
    """Return inputs and outputs of one unit, ``(fan_in, fan_out)``, for a kernel of this shape.

    Unless the axes are given, the last two are input and output features; axes before them are the
    positions of a convolution's window. A vector counts as its own fan-in and fan-out.

    Raises:
        ShapeError: there is no such axis.
    """
    if input_axes is not None and output_axes is not None:
        try:
            sizes = [math.prod(shape[a] for a in axes) for axes in (input_axes, output_axes)]
        except IndexError:
            raise ShapeError(
                f"initializer: input_axes={list(input_axes)} and output_axes={list(output_axes)} "
                f"do not fit weights of the shape {shape}."
            ) from None
        return sizes[0], sizes[1]
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


@register("initializer")
class VarianceScaling(RandomInitializer):
    """Zero mean and the variance ``scale / fan``.

    Args:
        scale: positive factor; 2 compensates for ReLU, which zeroes half of the inputs.
        mode: ``"fan_in"``, ``"fan_out"`` or ``"fan_avg"`` (their mean).
        distribution: ``"truncated_normal"`` (with its stddev corrected for the truncation),
            ``"untruncated_normal"`` or ``"uniform"``.
        seed: see :class:`RandomInitializer`.
        input_axes: axes of the inputs of one unit, whose sizes multiply to fan_in.
        output_axes: axes of its outputs. Both must be given, or none: see :func:`fans`.

    Source:
        K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015, eq. 10 and 14.

    Example:
        >>> import netlayers as nl
        >>> w = nl.initializers.VarianceScaling(seed=0)((200, 100))
        >>> w.shape, round(float(w.std()), 3)
        ((200, 100), 0.07)
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        if isinstance(distribution, str) and distribution == "normal":
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
        self.input_axes = _checked_axes(owner, "input_axes", input_axes)
        self.output_axes = _checked_axes(owner, "output_axes", output_axes)
        if (self.input_axes is None) != (self.output_axes is None):
            raise ConfigurationError(
                f"{owner}: input_axes and output_axes belong together, got {input_axes!r} and "
                f"{output_axes!r}."
            )

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            {"distribution": "untruncated_normal"},
            {"scale": 2.0, "mode": "fan_avg", "distribution": "uniform", "seed": 3},
            {"input_axes": [-1], "output_axes": [0]},
        ]

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw with the variance ``scale / fan``."""
        fan_in, fan_out = fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            limit = math.sqrt(3) * stddev  # uniform on [-a, a] has the variance a²/3
            return rng.uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return rng.normal(0.0, stddev, shape)
        return stddev / _TRUNCATED_STDDEV * truncated_normal(rng, shape)


class _NamedScaling(VarianceScaling):
    """Base class of variance scalings with fixed arguments."""

    _settings: tuple[float, str, str]

    def __init__(
        self,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self._settings, seed, input_axes, output_axes)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [*RandomInitializer.examples(), {"input_axes": [-1], "output_axes": [0]}]


def _checked_axes(owner: str, argument: str, axes: Sequence[int] | None) -> list[int] | None:
    if axes is None:
        return None
    given = check_list(owner, argument, axes, "integers")
    return [check_integer(owner, f"each of {argument}", a) for a in given]


@register("initializer", "xavier_uniform")
class GlorotUniform(_NamedScaling):
    """Uniform on ±sqrt(6 / (fan_in + fan_out)): the default kernel of Dense.

    Args:
        seed: see :class:`RandomInitializer`.
        input_axes: see :class:`VarianceScaling`.
        output_axes: see :class:`VarianceScaling`.

    Source:
        X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
        networks", AISTATS 2010, eq. 16.

    Example:
        >>> import netlayers as nl
        >>> w = nl.initializers.GlorotUniform(seed=0)((200, 100))
        >>> w.shape, round(float(w.std()), 3)
        ((200, 100), 0.081)
    """

    _settings = (1.0, "fan_avg", "uniform")


@register("initializer", "xavier_normal")
class GlorotNormal(_NamedScaling):
    """Truncated normal with the variance 2 / (fan_in + fan_out).

    Args:
        seed: see :class:`RandomInitializer`.
        input_axes: see :class:`VarianceScaling`.
        output_axes: see :class:`VarianceScaling`.

    Source:
        X. Glorot, Y. Bengio, AISTATS 2010, eq. 12.

    Example:
        >>> import netlayers as nl
        >>> w = nl.initializers.GlorotNormal(seed=0)((200, 100))
        >>> w.shape, round(float(w.std()), 3)
        ((200, 100), 0.081)
    """

    _settings = (1.0, "fan_avg", "truncated_normal")


@register("initializer")
class HeUniform(_NamedScaling):
    """Uniform on ±sqrt(6 / fan_in), for ReLU.

    Args:
        seed: see :class:`RandomInitializer`.
        input_axes: see :class:`VarianceScaling`.
        output_axes: see :class:`VarianceScaling`.

    Source:
        K. He et al., "Delving deep into rectifiers", ICCV 2015, eq. 10.

    Example:
        >>> import netlayers as nl
        >>> w = nl.initializers.HeUniform(seed=0)((200, 100))
        >>> w.shape, round(float(w.std()), 3)
        ((200, 100), 0.1)
    """

    _settings = (2.0, "fan_in", "uniform")


@register("initializer")
class HeNormal(_NamedScaling):
    """Truncated normal with the variance 2 / fan_in, for ReLU.

    Args:
        seed: see :class:`RandomInitializer`.
        input_axes: see :class:`VarianceScaling`.
        output_axes: see :class:`VarianceScaling`.

    Source:
        K. He et al., "Delving deep into rectifiers", ICCV 2015, eq. 10.

    Example:
        >>> import netlayers as nl
        >>> w = nl.initializers.HeNormal(seed=0)((200, 100))
        >>> w.shape, round(float(w.std()), 3)
        ((200, 100), 0.1)
    """

    _settings = (2.0, "fan_in", "truncated_normal")


@register("initializer")
class LecunUniform(_NamedScaling):
    """Uniform on ±sqrt(3 / fan_in), for linear units and SELU.

    Args:
        seed: see :class:`RandomInitializer`.
        input_axes: see :class:`VarianceScaling`.
        output_axes: see :class:`VarianceScaling`.

    Source:
        Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp", 1998, eq. 16.

    Example:
        >>> import netlayers as nl
        >>> w = nl.initializers.LecunUniform(seed=0)((200, 100))
        >>> w.shape, round(float(w.std()), 3)
        ((200, 100), 0.07)
    """

    _settings = (1.0, "fan_in", "uniform")


@register("initializer")
class LecunNormal(_NamedScaling):
    """Truncated normal with the variance 1 / fan_in, for linear units and SELU.

    Args:
        seed: see :class:`RandomInitializer`.
        input_axes: see :class:`VarianceScaling`.
        output_axes: see :class:`VarianceScaling`.

    Source:
        Y. LeCun et al., "Efficient BackProp", 1998, eq. 16.

    Example:
        >>> import netlayers as nl
        >>> w = nl.initializers.LecunNormal(seed=0)((200, 100))
        >>> w.shape, round(float(w.std()), 3)
        ((200, 100), 0.07)
    """

    _settings = (1.0, "fan_in", "truncated_normal")
