"""Images whose contrast and brightness change, or that lose a rectangle, at random in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_number
from netlayers.errors import ShapeError
from netlayers.layers.augmentation import Augmentation, bounds, check_range, check_value_range
from netlayers.layers.boxes import draw_boxes
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape

_BOOL = np.dtype(bool)


class ClippedAugmentation(Augmentation):
    """Base class of layers that change the values of images within a range."""

    value_range: tuple[float, float]

    def _clip(self, y: Array) -> Array:
        """Clip y in place to the range, and keep where it lay in it for :meth:`backward`."""
        low, high = self.value_range
        inside = self.cache.inside = self.workspace("inside", y.shape, _BOOL)
        above = self.workspace("above", y.shape, _BOOL)
        np.greater_equal(y, low, out=inside)
        np.less_equal(y, high, out=above)
        np.logical_and(inside, above, out=inside)
        return np.clip(y, low, high, out=y)

    def _per_image(self, numbers: Any) -> Array:
        """Return a number for each image in a shape that broadcasts to images."""
        return np.reshape(numbers, (-1, 1, 1, 1)).astype(self._dtype)


@register("layer")
class RandomContrast(ClippedAugmentation):
    """Change the contrast of images in training, each by its own factor.

    ``y = clip(m + f (x - m))`` with the mean m of each channel of an image.

    Shapes: (batch, height, width, channels); the output has the shape of the input. The values may
    be uint8; the output is float.

    Args:
        factor: f is drawn from [1 - lower, 1 + upper]: the pair (lower, upper), each in [0, 1], or
            a number for both.
        value_range: smallest and largest value of the output.
        seed: see :class:`RandomFlip`.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        A. Howard, "Some improvements on deep convolutional neural network based image
        classification" (2013), section 2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> contrast = nl.layers.RandomContrast((0.0, 1.0), seed=0)
        >>> x = np.array([[100, 110], [120, 130]], "uint8")
        >>> contrast(x[:, :, None])[:, :, 0].round(1)
        array([[ 90.4, 106.8],
               [123.2, 139.6]], dtype=float32)
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.factor = check_range("RandomContrast", "factor", factor, 0, 1)
        self.value_range = check_value_range("RandomContrast", value_range)
        self._set_data_format(data_format)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"factor": (0.5, 1.0), "value_range": (-0.9, 0.8)}, (4, 3, 2, 2)),
            ({"factor": (0.2, 0.2), "seed": 1, "data_format": "channels_first"}, (3, 2, 4, 3)),
        ]

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        pair = self.factor if isinstance(self.factor, tuple) else (self.factor, self.factor)
        lower, upper = pair
        factors = rng.uniform(1 - lower, 1 + upper, shape[0])
        return {"contrast_factor": self._per_image(factors)}

    def _mean(self, x: Array) -> Array:
        """Return the mean of each channel of each image."""
        mean: Array = x.mean(axis=(self._first_axis, self._first_axis + 1), keepdims=True)
        return mean

    def _transformed(self, x: Array, drawn: dict[str, Any]) -> Array:
        """``y = clip(m + f (x - m))``."""
        y, mean = self.workspace("y", x.shape, self._dtype), self._mean(x)
        np.subtract(x, mean, out=y)
        np.multiply(y, drawn["contrast_factor"], out=y)
        np.add(y, mean, out=y)
        return self._clip(y)

    def backward(self, dy: Array) -> Array:
        """``dx = f dz + (1 - f) mean dz``, with ``dz = dy`` where nothing was clipped, else 0."""
        factor = self.cache.drawn["contrast_factor"]
        dy = self.check_gradient(dy, self.cache.shape)
        dx = self.workspace("dx", dy.shape, self._dtype)
        np.multiply(dy, self.cache.inside, out=dx)
        mean = (1 - factor) * self._mean(dx)
        np.multiply(dx, factor, out=dx)
        return np.add(dx, mean, out=dx)


@register("layer")
class RandomBrightness(ClippedAugmentation):
    """Make images brighter or darker in training, each by its own amount.

    ``y = clip(x + f (high - low))``.

    Shapes: (batch, height, width, channels); the output has the shape of the input. The values may
    be uint8; the output is float.

    Args:
        factor: bounds (lower, upper) of f in [-1, 1]; a number a stands for (-a, a).
        value_range: smallest and largest value of the output, ``low`` and ``high``.
        seed: see :class:`RandomFlip`.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        A. Howard, "Some improvements on deep convolutional neural network based image
        classification" (2013), section 2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> brighter = nl.layers.RandomBrightness((0.2, 0.2))
        >>> brighter(np.array([[0, 100], [200, 250]], "uint8")[:, :, None]).ravel().tolist()
        [51.0, 151.0, 251.0, 255.0]
    """

    arguments_without_effect = ("data_format",)

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.factor = check_range("RandomBrightness", "factor", factor, -1, 1)
        self.value_range = check_value_range("RandomBrightness", value_range)
        self._set_data_format(data_format)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"factor": (-0.5, 0.7), "value_range": (-0.9, 0.8)}, (4, 3, 2, 2)),
            (
                {"factor": (0.001, 0.002), "seed": 1, "data_format": "channels_first"},
                (3, 2, 4, 3),
            ),
        ]

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        low, high = self.value_range
        return {
            "rgb_delta": self._per_image((high - low) * rng.uniform(*bounds(self.factor), shape[0]))
        }

    def _transformed(self, x: Array, drawn: dict[str, Any]) -> Array:
        """``y = clip(x + delta)``."""
        y = self.workspace("y", x.shape, self._dtype)
        return self._clip(np.add(x, drawn["rgb_delta"], out=y))

    def backward(self, dy: Array) -> Array:
        """``dx = dy`` where nothing was clipped, else 0."""
        dy = self.check_gradient(dy, self.cache.shape)
        dx = self.workspace("dx", dy.shape, self._dtype)
        return np.multiply(dy, self.cache.inside, out=dx)


@register("layer")
class RandomErasing(Augmentation):
    """Replace a rectangle of images in training, by noise or a value.

    ``y[p] = fill_value`` at the pixels p of the rectangle, ``y[p] = x[p]`` elsewhere.

    Shapes: (batch, height, width, channels); the output has the shape of the input. The values may
    be uint8; the output is float.

    Args:
        factor: probability that an image loses a rectangle, drawn for each image between a pair of
            bounds in [0, 1]; a number f stands for (0, f).
        scale: bounds of u and v, in [0, 1], for a rectangle of ``√u`` of the height and ``√v`` of
            the width; a number s stands for (0, s).
        fill_value: a number, or one for each channel; by default normal noise with the standard
            deviation ``value_range[1]``, clipped to that range.
        value_range: smallest and largest value that is filled in.
        seed: see :class:`RandomFlip`.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ShapeError: the number of channels differs from that of ``fill_value``.

    Source:
        Z. Zhong et al., "Random erasing data augmentation" (2020), section 3.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> erase = nl.layers.RandomErasing((1, 1), (0.25, 0.25), fill_value=0, seed=0)
        >>> erase(np.ones((1, 4, 4, 1)))[0, :, :, 0].tolist()
        [[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]]
    """

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = (0.02, 0.33),
        fill_value: Any = None,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        owner = "RandomErasing"
        self.factor = check_range(owner, "factor", factor, 0, 1)
        self.scale = check_range(owner, "scale", scale, 0, 1)
        self.fill_value = fill_value
        if isinstance(fill_value, (list, tuple)):
            self.fill_value = tuple(
                check_number(owner, "each of fill_value", one) for one in fill_value
            )
        elif fill_value is not None:
            self.fill_value = check_number(owner, "fill_value", fill_value)
        self.value_range = check_value_range(owner, value_range)
        self._set_data_format(data_format)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"factor": (0.5, 0.9), "scale": (0.2, 0.6)}, (4, 5, 4, 2)),
            (
                {
                    "factor": (1.0, 1.0),
                    "scale": (0.1, 0.9),
                    "fill_value": 1.5,
                    "value_range": (0, 1),
                    "seed": 1,
                    "data_format": "channels_first",
                },
                (4, 2, 4, 3),
            ),
        ]

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError if the input has other axes, or channels than ``fill_value``."""
        super().build(input_shape)
        channels = self._known_channels(input_shape)
        if isinstance(self.fill_value, tuple) and len(self.fill_value) not in (1, channels):
            raise ShapeError(
                f"{self.owner} (RandomErasing): fill_value has {len(self.fill_value)} numbers, the "
                f"images have {channels} channels."
            )

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        sides = np.sqrt(rng.uniform(*bounds(self.scale, 0.0), (2, shape[0])))
        boxes = draw_boxes(rng, self._sizes(shape), sides[0], sides[1])
        erased = rng.random(shape[0]) < rng.uniform(*bounds(self.factor, 0.0), shape[0])
        return {"boxes": boxes, "apply_erasing": erased}

    def _filling(self, shape: tuple[int, ...]) -> Any:
        """Return what a rectangle of this shape, (height, width, channels), is filled with."""
        low, high = self.value_range
        if self.fill_value is not None:
            return np.clip(self.fill_value, low, high)
        assert self.rng is not None
        return np.clip(high * self.rng.standard_normal(shape), low, high)

    def _transformed(self, x: Array, drawn: dict[str, Any]) -> Array:
        """``y = x``, but in the rectangle."""
        y = self.workspace("y", x.shape, self._dtype)
        np.copyto(y, x)
        for image, box, erased in zip(y, drawn["boxes"], drawn["apply_erasing"], strict=True):
            if erased:
                part = image[self._at(box)[1:]]
                part = part if self._order is None else np.moveaxis(part, 0, -1)
                part[...] = self._filling(part.shape)
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy``, but 0 in the rectangle."""
        drawn = self.cache.drawn
        dy = self.check_gradient(dy, self.cache.shape)
        dx = self.workspace("dx", dy.shape, self._dtype)
        np.copyto(dx, dy)
        for image, box, erased in zip(dx, drawn["boxes"], drawn["apply_erasing"], strict=True):
            if erased:
                image[self._at(box)[1:]] = 0
        return dx
