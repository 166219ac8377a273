"""Images that are shifted, turned and zoomed at random in training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice, check_number
from netlayers.errors import ConfigurationError
from netlayers.kernels.affine import FILL_MODES, warp, warp_gradient
from netlayers.layers.augmentation import Augmentation, bounds, check_range
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples


class AffineAugmentation(Augmentation):
    """Base class of layers that interpolate each pixel at a place of the image.

    A subclass defines ``_maps``.
    """

    def __init__(
        self,
        fill_mode: str,
        interpolation: str,
        seed: int | None,
        fill_value: float,
        data_format: str | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        owner = type(self).__name__
        self.fill_mode = check_choice(owner, "fill_mode", fill_mode, FILL_MODES)
        self.interpolation = check_choice(
            owner, "interpolation", interpolation, ("nearest", "bilinear")
        )
        self.fill_value = check_number(owner, "fill_value", fill_value)
        self._set_data_format(data_format)

    def _maps(self, drawn: dict[str, Any], height: int, width: int) -> Array:
        """Return (batch, 2, 3): row and column of a place from row, column and 1 of a pixel."""
        raise NotImplementedError

    def _transformed(self, x: Array, drawn: dict[str, Any]) -> Array:
        """``y[n, p] = Σ w x[n, q]`` over the pixels q around the place ``M_n (p, 1)``."""
        return self._warped(x, drawn, self.interpolation == "nearest")

    def backward(self, dy: Array) -> Array:
        """``dx[n, q] = Σ w dy[n, p]`` over the pixels p that q is a neighbour of."""
        shape, drawn = self.cache.shape, self.cache.drawn
        dy = self._arranged("dy", self.check_gradient(dy, shape))
        dx = self.workspace("dx", dy.shape, self._dtype)
        maps = self._maps(drawn, *self._sizes(shape))
        warp_gradient(dy, maps, self.fill_mode, self.interpolation == "nearest", dx, self.buffer)
        return self._arranged_back("dx first", dx)

    def _warped(self, x: Array, drawn: dict[str, Any], nearest: bool) -> Array:
        maps = self._maps(drawn, *self._sizes(x.shape))
        x = self._arranged("x", x)
        y = self.workspace("y", x.shape, self._dtype)
        warp(x, maps, self.fill_mode, self.fill_value, nearest, y, self.buffer)
        return self._arranged_back("y first", y)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Array:
        """Return the masks, moved as the images, with the nearest pixel."""
        masks = np.asarray(segmentation_masks)
        if not training:
            return masks.copy()
        return self._warped(masks.astype(self._dtype), transformation, True).astype(masks.dtype)


def _scaled(count: int, rows: Any, columns: Any, height: int, width: int) -> Array:
    """Return maps that scale rows and columns around the centre of the image."""
    maps = np.zeros((count, 2, 3))
    maps[:, 0, 0], maps[:, 1, 1] = rows, columns
    maps[:, 0, 2] = (1 - maps[:, 0, 0]) * (height - 1) / 2
    maps[:, 1, 2] = (1 - maps[:, 1, 1]) * (width - 1) / 2
    return maps


@register("layer")
class RandomTranslation(AffineAugmentation):
    """Shift images in training, each by its own fraction of its height and width.

    Shapes: (batch, height, width, channels); the output has the shape of the input. The values may
    be uint8; the output is float.

    Pixel p of the output is interpolated at the place ``p - t`` of the input.

    Args:
        height_factor: bounds (lower, upper) of the shift down as a fraction of the height, in
            [-1, 1]; a number f stands for (-f, f).
        width_factor: the same for the shift to the right.
        fill_mode: what lies outside of the image: ``"reflect"`` (d c b a | a b c d | d c b a),
            ``"wrap"`` (a b c d | a b c d | a b c d), ``"nearest"`` (a a a a | a b c d | d d d d)
            or ``"constant"``.
        interpolation: ``"bilinear"`` (the four pixels around) or ``"nearest"``.
        seed: see :class:`RandomFlip`.
        fill_value: value outside for ``"constant"``.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        P. Simard, D. Steinkraus, J. Platt, "Best practices for convolutional neural networks
        applied to visual document analysis" (2003), section 2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> shift = nl.layers.RandomTranslation((0.5, 0.5), 0, "constant")
        >>> shift(np.array([[1.0], [2.0], [3.0], [4.0]])[None, :, :, None]).ravel().tolist()
        [0.0, 0.0, 1.0, 2.0]
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        owner = "RandomTranslation"
        self.height_factor = check_range(owner, "height_factor", height_factor, -1, 1)
        self.width_factor = check_range(owner, "width_factor", width_factor, -1, 1)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"height_factor": (-0.4, 0.4), "width_factor": (0.1, 0.6)}, (3, 4, 5, 2)),
            (
                {
                    "height_factor": (-0.4, 0.4),
                    "width_factor": (-0.5, 0.5),
                    "fill_mode": "constant",
                    "interpolation": "nearest",
                    "seed": 1,
                    "fill_value": 0.5,
                    "data_format": "channels_first",
                },
                (3, 2, 4, 5),
            ),
        ]

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        height, width = self._sizes(shape)
        down = rng.uniform(*bounds(self.height_factor), shape[0]) * height
        right = rng.uniform(*bounds(self.width_factor), shape[0]) * width
        return {"translations": np.stack([right, down], axis=1)}

    def _maps(self, drawn: dict[str, Any], height: int, width: int) -> Array:
        shifts = np.asarray(drawn["translations"])
        maps = _scaled(len(shifts), 1, 1, height, width)
        maps[:, :, 2] = -shifts[:, ::-1]
        return maps


@register("layer")
class RandomRotation(AffineAugmentation):
    """Turn images around their centre in training, each by its own angle.

    Shapes: (batch, height, width, channels); the output has the shape of the input. The values may
    be uint8; the output is float.

    Pixel p of the output is interpolated at the place ``c + R(θ) (p - c)`` of the input, with the
    centre c.

    Args:
        factor: bounds (lower, upper) of the angle as a fraction of a full turn, in [-1, 1],
            counter-clockwise; a number f stands for (-f, f).
        fill_mode: see :class:`RandomTranslation`.
        interpolation: see :class:`RandomTranslation`.
        seed: see :class:`RandomFlip`.
        fill_value: value outside for ``"constant"``.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        P. Simard, D. Steinkraus, J. Platt, "Best practices for convolutional neural networks
        applied to visual document analysis" (2003), section 2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> turn = nl.layers.RandomRotation((0.25, 0.25))
        >>> turn(np.array([[1.0, 2.0], [3.0, 4.0]])[:, :, None]).round(3)[:, :, 0].tolist()
        [[2.0, 4.0], [1.0, 3.0]]
    """

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = check_range("RandomRotation", "factor", factor, -1, 1)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"factor": (-0.2, 0.3)}, (3, 4, 5, 2)),
            (
                {
                    "factor": (-0.5, 0.5),
                    "fill_mode": "wrap",
                    "interpolation": "nearest",
                    "seed": 1,
                    "data_format": "channels_first",
                },
                (3, 2, 4, 3),
            ),
            ({"factor": (0.1, 0.3), "fill_mode": "constant", "fill_value": 0.5}, (2, 4, 3, 1)),
        ]

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        return {"angle": 360 * rng.uniform(*bounds(self.factor), shape[0])}

    def _maps(self, drawn: dict[str, Any], height: int, width: int) -> Array:
        angle = np.asarray(drawn["angle"]) * (math.pi / 180)
        cos, sin = np.cos(angle), np.sin(angle)
        rows, columns = (height - 1) / 2, (width - 1) / 2
        down = [cos, sin, rows - cos * rows - sin * columns]
        right = [-sin, cos, columns + sin * rows - cos * columns]
        return np.moveaxis(np.array([down, right]), -1, 0)


@register("layer")
class RandomZoom(AffineAugmentation):
    """Zoom images in or out in training, each by its own factor.

    Shapes: (batch, height, width, channels); the output has the shape of the input. The values may
    be uint8; the output is float.

    Pixel p of the output is interpolated at the place ``c + z (p - c)`` of the input, with the
    centre c: above 1, z zooms out.

    Args:
        height_factor: bounds (lower, upper) of ``z - 1`` for the height, above -1 and at most 1; a
            number f stands for (-f, f).
        width_factor: the same for the width; by default z is the same as for the height.
        fill_mode: see :class:`RandomTranslation`.
        interpolation: see :class:`RandomTranslation`.
        seed: see :class:`RandomFlip`.
        fill_value: value outside for ``"constant"``.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        P. Simard, D. Steinkraus, J. Platt, "Best practices for convolutional neural networks
        applied to visual document analysis" (2003), section 2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> zoom = nl.layers.RandomZoom((-0.5, -0.5))
        >>> zoom(np.arange(5.0)[None, :, None] * np.ones((5, 1, 1)))[0, :, 0].tolist()
        [1.0, 1.5, 2.0, 2.5, 3.0]
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor = self._zooms("height_factor", height_factor)
        self.width_factor: float | tuple[float, float] | None = None
        if width_factor is not None:
            self.width_factor = self._zooms("width_factor", width_factor)

    @staticmethod
    def _zooms(argument: str, value: Any) -> float | tuple[float, float]:
        factor = check_range("RandomZoom", argument, value, -1, 1)
        if bounds(factor)[0] <= -1:
            raise ConfigurationError(
                f"RandomZoom: {argument} must be above -1, where the image would shrink to a "
                f"point, got {value!r}."
            )
        return factor

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"height_factor": (-0.4, 0.4)}, (3, 4, 5, 2)),
            (
                {
                    "height_factor": (-0.4, 0.4),
                    "width_factor": (0.2, 0.6),
                    "fill_mode": "constant",
                    "interpolation": "nearest",
                    "seed": 1,
                    "fill_value": 0.5,
                    "data_format": "channels_first",
                },
                (3, 2, 4, 5),
            ),
        ]

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        rows = columns = 1 + rng.uniform(*bounds(self.height_factor), shape[0])
        if self.width_factor is not None:
            columns = 1 + rng.uniform(*bounds(self.width_factor), shape[0])
        return {"height_zoom": rows[:, None], "width_zoom": columns[:, None]}

    def _maps(self, drawn: dict[str, Any], height: int, width: int) -> Array:
        rows, columns = (np.ravel(drawn[f"{name}_zoom"]) for name in ("height", "width"))
        return _scaled(len(rows), rows, columns, height, width)
