"""Images that are cropped at a random place in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_integer
from netlayers.layers.augmentation import Augmentation
from netlayers.layers.resizing import Frame, FramedImages, cropped, same_ratio
from netlayers.layers.spatial import LARGEST_SIZE
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples


@register("layer")
class RandomCrop(FramedImages, Augmentation):
    """Crop images at a place that is drawn for each batch in training.

    Shapes: ``x`` (batch, height, width, channels) of any height and width, ``y`` (batch, height,
    width, channels) with those of the layer. The values may be uint8; the output is float.

    At inference, and for images that are smaller along an axis, the largest part around the centre
    that has the ratio of height to width of the output is resized, bilinearly.

    Args:
        height: height of the output.
        width: width of the output.
        seed: see :class:`RandomFlip`.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional
        neural networks" (2012), section 4.1.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> crop = nl.layers.RandomCrop(2, 2, seed=0)
        >>> crop(np.arange(16, dtype="uint8").reshape(4, 4, 1))[:, :, 0].tolist()
        [[9.0, 10.0], [13.0, 14.0]]
    """

    same_in_training = False

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.height = check_integer("RandomCrop", "height", height, minimum=1, maximum=LARGEST_SIZE)
        self.width = check_integer("RandomCrop", "width", width, minimum=1, maximum=LARGEST_SIZE)
        self._set_data_format(data_format)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"height": 2, "width": 3}, (2, 9, 8, 2)),
            ({"height": 2, "width": 2, "seed": 3, "data_format": "channels_first"}, (2, 2, 8, 9)),
        ]

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[int, int] | None:
        """Return the first row and column; ``None`` for images that are resized."""
        room = [
            n - new for n, new in zip(self._sizes(shape), (self.height, self.width), strict=True)
        ]
        if min(room) < 0:
            return None
        first, second = (int(rng.integers(0, free + 1)) for free in room)
        return first, second

    def _frame(self, sizes: tuple[int, ...], training: bool) -> Frame:
        if not training:
            return self._frame_at(sizes, None)
        assert self.rng is not None
        shape: Any = self._joined_shape(1, sizes, 1)
        return self._frame_at(sizes, self._draw(self.rng, shape))

    def _frame_at(self, sizes: tuple[int, ...], place: tuple[int, int] | None) -> Frame:
        """Return the frame that begins at a place, or around the centre for ``None``."""
        if place is None:
            return cropped(sizes, *same_ratio(sizes, self.height, self.width, min))
        seen = (slice(place[0], place[0] + self.height), slice(place[1], place[1] + self.width))
        return Frame((self.height, self.width), seen, (slice(None),) * 2)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Array:
        """Return the images cropped where ``transformation`` says, or around their centre."""
        x = self._batch(images)
        place = transformation if training else None
        return self._framed(x, self._frame_at(self._sizes(x.shape), place), False)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Array:
        """Return the masks, cropped by ``transformation``, and resized with the nearest pixel."""
        masks = np.asarray(segmentation_masks)
        frame = self._frame_at(self._sizes(masks.shape), transformation if training else None)
        axis = self._first_axis
        for new, n, seen in zip((self.height, self.width), frame.sizes, frame.seen, strict=True):
            index = seen.start + ((np.arange(new) + 0.5) * n / new).astype(int)
            masks = np.take(masks, index, axis=axis)
            axis += 1
        return masks
