"""Images that are mirrored at random in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_choice
from netlayers.layers.augmentation import Augmentation
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples

_MODES = ("horizontal_and_vertical", "horizontal", "vertical")


@register("layer")
class RandomFlip(Augmentation):
    """Mirror half of the images in training.

    Shapes: (batch, height, width, channels); the output has the shape of the input. The values may
    be uint8; the output is float. For calls with single images and with a dict of images, labels
    and segmentation masks, see the example.

    Args:
        mode: ``"horizontal"`` exchanges left and right, ``"vertical"`` top and bottom,
            ``"horizontal_and_vertical"`` both at once, a turn by 180 degrees.
        seed: seed of a random stream for this layer alone; by default the stream is derived from
            the model's seed.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional
        neural networks" (2012), section 4.1.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> flip = nl.layers.RandomFlip("horizontal", seed=1)
        >>> image = np.array([[1, 2], [3, 4]], "uint8")[:, :, None]
        >>> [flip(image)[:, :, 0].tolist() for _ in range(2)]
        [[[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]]]
        >>> sorted(flip({"images": image, "labels": np.array([1])}))
        ['images', 'labels']
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.mode = check_choice("RandomFlip", "mode", mode, _MODES)
        self._set_data_format(data_format)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (4, 2, 3, 2)),
            ({"mode": "horizontal", "seed": 3, "data_format": "channels_first"}, (4, 2, 2, 3)),
            ({"mode": "vertical"}, (4, 3, 2, 1)),
        ]

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        return {"flips": rng.random(shape[0]) < 0.5}

    def _mirrored(self) -> tuple[slice, ...]:
        """Return the slices of a single image that mirror it."""
        back = slice(None, None, -1)
        vertical = back if "vertical" in self.mode else slice(None)
        horizontal = back if "horizontal" in self.mode else slice(None)
        return self._at((vertical, horizontal))[1:]

    def _flip(self, x: Array, drawn: dict[str, Any], y: Array) -> Array:
        """Copy x to y, mirrored where that was drawn."""
        flips = np.broadcast_to(np.reshape(drawn["flips"], -1), len(x))
        mirrored = self._mirrored()
        for image, flip, target in zip(x, flips, y, strict=True):
            target[...] = image[mirrored] if flip else image
        return y

    def _transformed(self, x: Array, drawn: dict[str, Any]) -> Array:
        """``y[n, p] = x[n, p']`` for the images that were drawn, with the mirrored place p'."""
        return self._flip(x, drawn, self.workspace("y", x.shape, self._dtype))

    def backward(self, dy: Array) -> Array:
        """``dx[n, p] = dy[n, p']`` for the images that were drawn, ``dx = dy`` for the others."""
        dy = self.check_gradient(dy, self.cache.shape)
        return self._flip(dy, self.cache.drawn, self.workspace("dx", dy.shape, self._dtype))

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Array:
        """Return the masks, mirrored by ``transformation`` as the images are."""
        masks = np.array(segmentation_masks)
        return self._flip(masks, transformation, np.empty_like(masks)) if training else masks
