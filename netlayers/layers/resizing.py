"""Images of another size: resized, and cropped around their centre."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netlayers.checks import check_choice, check_flag, check_integer, check_number
from netlayers.errors import ConfigurationError
from netlayers.kernels.axes import INTERPOLATIONS, interpolation
from netlayers.layers.axis_products import AxisProducts
from netlayers.layers.images import ImageLayer
from netlayers.layers.spatial import LARGEST_SIZE
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array, Examples, Shape


class Frame(NamedTuple):
    """A part of an image, or an image with margins, that is resized.

    Attributes:
        sizes: height and width of the frame.
        seen: slices of the image that lie in the frame.
        at: slices of the frame where they lie.
    """

    sizes: tuple[int, ...]
    seen: tuple[slice, ...]
    at: tuple[slice, ...]


class FramedImages(AxisProducts, ImageLayer):
    """Base class of layers that put images into a frame, and resize that.

    A subclass defines ``_frame``.
    """

    height: int
    width: int
    _interpolation = "bilinear"
    _antialias = False
    _fill_value = 0.0

    def check_input_shape(self, shape: Shape) -> None:
        """Accept images of any size; raise a ShapeError if the input has other axes."""
        self._split_shape(shape)

    def _new_sizes(self, sizes: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (self.height, self.width)

    def _matrix(self, axis: int, size: int, new: int) -> Array:
        return interpolation(size, new, self._interpolation, self._antialias, self._dtype)

    def _frame(self, sizes: tuple[int, ...], training: bool) -> Frame:
        """Return the frame for images of these sizes."""
        raise NotImplementedError

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = M z`` along each axis, with x, cropped or with margins, in the frame z."""
        x = self.prepare(x)
        frame = self._frame(self._split_shape(x.shape)[0], training)  # type: ignore[arg-type]
        if training:
            self.cache.shape, self.cache.frame = x.shape, frame
        return self._framed(x, frame, training)

    def _framed(self, x: Array, frame: Frame, training: bool) -> Array:
        """Return x in the frame, resized."""
        sizes: Any = self._split_shape(x.shape)[0]
        if frame.sizes == sizes:
            return self._resized(x, training)
        channels = self._split_shape(x.shape)[1]
        shape: Any = self._joined_shape(len(x), frame.sizes, channels)
        z = self.buffer("z", shape, training)
        z.fill(self._fill_value)
        z[self._at(frame.at)] = x[self._at(frame.seen)]
        return self._resized(z, training)

    def backward(self, dy: Array) -> Array:
        """``dz = Mᵀ dy`` along each axis; dx is its part that is seen, and 0 outside."""
        shape, frame = self.cache.shape, self.cache.frame
        dy = self.check_gradient(dy, self.compute_output_shape(shape))  # type: ignore[arg-type]
        dz = self._resized_gradient(dy, frame.sizes)
        if frame.sizes == self._split_shape(shape)[0]:
            return dz
        dx = self.buffer("dx", shape)
        dx.fill(0)
        dx[self._at(frame.seen)] = dz[self._at(frame.at)]
        return dx


def same_ratio(
    sizes: tuple[int, ...], height: int, width: int, choose: Callable[[int, int], int]
) -> tuple[int, int]:
    """Return a height and a width in the ratio ``height / width``.

    Each is chosen from the given size and the one that has the ratio to the other size.
    """
    return (
        max(1, choose(sizes[0], sizes[1] * height // width)),
        max(1, choose(sizes[1], sizes[0] * width // height)),
    )


def cropped(sizes: tuple[int, ...], height: int, width: int) -> Frame:
    """Return the frame of these sizes around the centre of a larger image."""
    starts = [(n - new) // 2 for n, new in zip(sizes, (height, width), strict=True)]
    seen = (slice(starts[0], starts[0] + height), slice(starts[1], starts[1] + width))
    return Frame((height, width), seen, (slice(None),) * 2)


@register("layer")
class Resizing(FramedImages):
    """Resize images.

    Shapes: ``x`` (batch, height, width, channels) of any height and width, ``y`` (batch, height,
    width, channels) with those of the layer. A call with a single image gives a single image. The
    values may be uint8; the output is float, not rounded.

    The centre of entry i of an axis of m lies at ``p = (i + 1/2) n / m - 1/2`` of the n entries of
    the input. There ``"nearest"`` takes the entry that p lies in, and the others a mean weighted
    with ``k(p - j)``, see :class:`UpSampling2D`.

    Args:
        height: height of the output.
        width: width of the output.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"``, ``"lanczos3"`` or
            ``"lanczos5"``.
        crop_to_aspect_ratio: resize the largest part around the centre that has the ratio of
            height to width of the output.
        pad_to_aspect_ratio: put margins on both sides of the shorter axis, for that ratio.
        fill_mode: ``"constant"``.
        fill_value: value of the margins.
        antialias: where the output is smaller, widen k by the factor n / m, so that each entry of
            the input counts.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Raises:
        ConfigurationError: the ratio is to be kept in both ways.

    Source:
        R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions
        on Acoustics, Speech, and Signal Processing 29 (1981) 1153; C. Duchon, "Lanczos filtering
        in one and two dimensions", Journal of Applied Meteorology 18 (1979) 1016.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> image = np.array([[0, 4], [8, 12]], "uint8")[None, :, :, None]
        >>> nl.layers.Resizing(1, 4).forward(image).ravel().tolist()
        [4.0, 5.0, 7.0, 8.0]
    """

    arguments_without_effect = ("fill_mode",)

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.height = check_integer("Resizing", "height", height, minimum=1, maximum=LARGEST_SIZE)
        self.width = check_integer("Resizing", "width", width, minimum=1, maximum=LARGEST_SIZE)
        self.interpolation = self._interpolation = check_choice(
            "Resizing", "interpolation", interpolation, INTERPOLATIONS
        )
        self.crop_to_aspect_ratio = check_flag(
            "Resizing", "crop_to_aspect_ratio", crop_to_aspect_ratio
        )
        self.pad_to_aspect_ratio = check_flag(
            "Resizing", "pad_to_aspect_ratio", pad_to_aspect_ratio
        )
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise ConfigurationError(
                "Resizing: only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True."
            )
        self.fill_mode = check_choice("Resizing", "fill_mode", fill_mode, ("constant",))
        self.fill_value = self._fill_value = check_number("Resizing", "fill_value", fill_value)
        self.antialias = self._antialias = check_flag("Resizing", "antialias", antialias)
        self._set_data_format(data_format)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"height": 3, "width": 4}, (2, 5, 4, 2)),
            ({"height": 4, "width": 3, "interpolation": "nearest"}, (2, 3, 4, 2)),
            (
                {
                    "height": 2,
                    "width": 3,
                    "interpolation": "bicubic",
                    "antialias": True,
                    "crop_to_aspect_ratio": True,
                },
                (2, 5, 4, 1),
            ),
            (
                {
                    "height": 3,
                    "width": 3,
                    "pad_to_aspect_ratio": True,
                    "fill_value": 0.5,
                    "data_format": "channels_first",
                },
                (2, 1, 2, 5),
            ),
        ]

    def _frame(self, sizes: tuple[int, ...], training: bool) -> Frame:
        whole = (slice(None),) * 2
        if self.crop_to_aspect_ratio:
            return cropped(sizes, *same_ratio(sizes, self.height, self.width, min))
        if self.pad_to_aspect_ratio:
            wanted = same_ratio(sizes, self.height, self.width, max)
            margins = [(new - n) // 2 for new, n in zip(wanted, sizes, strict=True)]
            padded = tuple(n + 2 * margin for n, margin in zip(sizes, margins, strict=True))
            at = tuple(slice(m, m + n) for n, m in zip(sizes, margins, strict=True))
            return Frame(padded, whole, at)
        return Frame(sizes, whole, whole)


@register("layer")
class CenterCrop(FramedImages):
    """Crop images around their centre.

    Shapes: ``x`` (batch, height, width, channels) of any height and width, ``y`` (batch, height,
    width, channels) with those of the layer. A call with a single image gives a single image. The
    values may be uint8; the output is float.

    An image that is smaller along an axis is resized: the largest part around its centre that has
    the ratio of height to width of the output, bilinearly.

    Args:
        height: height of the output.
        width: width of the output.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> x = np.arange(16, dtype="uint8").reshape(1, 4, 4, 1)
        >>> nl.layers.CenterCrop(2, 2).forward(x).ravel().tolist()
        [5.0, 6.0, 9.0, 10.0]
    """

    def __init__(
        self, height: int, width: int, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.height = check_integer("CenterCrop", "height", height, minimum=1, maximum=LARGEST_SIZE)
        self.width = check_integer("CenterCrop", "width", width, minimum=1, maximum=LARGEST_SIZE)
        self._set_data_format(data_format)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"height": 2, "width": 3}, (2, 5, 4, 2)),
            ({"height": 4, "width": 2, "data_format": "channels_first"}, (2, 2, 3, 5)),
        ]

    def _frame(self, sizes: tuple[int, ...], training: bool) -> Frame:
        if np.greater_equal(sizes, (self.height, self.width)).all():
            return cropped(sizes, self.height, self.width)
        return cropped(sizes, *same_ratio(sizes, self.height, self.width, min))
