"""Base class of the layers that change images at random in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_number
from netlayers.core.symbolic import symbols_in
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.layers.dropout import RandomLayer
from netlayers.layers.images import ImageLayer

if TYPE_CHECKING:
    from netlayers._typing import Array, Shape

_KEYS = ("images", "labels", "segmentation_masks")


def check_range(
    owner: str, argument: str, value: Any, low: float, high: float
) -> float | tuple[float, float]:
    """Return a number, or two in increasing order, that random numbers are drawn by.

    Args:
        owner: the name of the layer, used in messages.
        argument: the name of ``value``, used in messages.
        value: a number, or a pair of numbers.
        low: smallest number allowed.
        high: largest number allowed.

    Raises:
        ConfigurationError: it is neither, or out of range.
    """
    if not isinstance(value, (list, tuple)):
        return check_number(owner, argument, value, minimum=low, maximum=high)
    if len(value) != 2:
        raise ConfigurationError(
            f"{owner}: {argument} must be a number or a pair (lower, upper), got {value!r}."
        )
    lower, upper = sorted(
        check_number(owner, f"each of {argument}", one, minimum=low, maximum=high) for one in value
    )
    return (lower, upper)


def bounds(value: float | tuple[float, float], least: float = -1.0) -> tuple[float, float]:
    """Return the bounds that random numbers are drawn between.

    Args:
        value: a pair, or a number f for (-f, f), of which the first is at least ``least``.
        least: -1, or 0 for (0, f).
    """
    if isinstance(value, tuple):
        return value
    return (max(-abs(value), least), abs(value))


def check_value_range(owner: str, value: Any) -> tuple[float, float]:
    """Return the smallest and the largest value that an image may have.

    Raises:
        ConfigurationError: it is no pair of increasing numbers.
    """
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ConfigurationError(
            f"{owner}: value_range must be a pair such as (0, 255), got {value!r}."
        )
    low, high = (check_number(owner, "each of value_range", one) for one in value)
    if low >= high:
        raise ConfigurationError(f"{owner}: value_range must increase, got {value!r}.")
    return (low, high)


class Augmentation(ImageLayer, RandomLayer):
    """Base class of the layers that change images at random in training.

    A layer is called with images, which may be a single one, or with a dict of ``"images"`` and
    ``"labels"``, ``"segmentation_masks"``; outside of a model, unless with ``training=False``, it
    changes them.

    A subclass defines ``_draw``, ``_transformed`` and ``backward``.
    """

    supports_masking = False

    def build(self, input_shape: Shape) -> None:
        """Raise a ShapeError if the input has other axes."""
        self._split_shape(input_shape)

    def __call__(
        self, inputs: Any, *more: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        """Return the changed images, or a dict of images, labels and masks.

        Args:
            inputs: see the class.
            more: a boolean is ``training``.
            training: whether to change the images; by default, outside of a model, they are.
            mask: must be ``None``.
        """
        if symbols_in(inputs):
            return super().__call__(inputs, *more, training=training, mask=mask)
        if len(more) == 1 and isinstance(more[0], (bool, np.bool_)):
            training, more = bool(more[0]), ()
        training = True if training is None else training
        if isinstance(inputs, dict):
            return self._call_on_dict(inputs, training)
        return super().__call__(inputs, *more, training=training, mask=mask)

    def _call_on_dict(self, data: dict[str, Any], training: bool) -> dict[str, Any]:
        """Return the dict with changed copies of its arrays, for an image or a batch of them."""
        for key in data:
            if key not in _KEYS:
                raise ConfigurationError(
                    f"{self.owner} ({type(self).__name__}): expected a dict of {', '.join(_KEYS)}, "
                    f"got the key {key!r}."
                )
        if "images" not in data:
            raise ConfigurationError(
                f"{self.owner} ({type(self).__name__}): the dict must hold 'images'."
            )
        single = np.ndim(data["images"]) == 1 + self._rank
        given = {k: np.asarray(v)[None] if single else np.asarray(v) for k, v in data.items()}
        self._check_together(given)
        drawn = self.get_random_transformation(given["images"], training)
        changed = {"images": np.array(self.transform_images(given["images"], drawn, training))}
        if "labels" in given:
            changed["labels"] = self.transform_labels(given["labels"], drawn, training)
        if "segmentation_masks" in given:
            masks = given["segmentation_masks"]
            axis = 1 if self._order is not None else masks.ndim  # of the channels
            flat = masks.ndim == 1 + self._rank
            masks = np.expand_dims(masks, axis) if flat else masks
            masks = self.transform_segmentation_masks(masks, drawn, training)
            changed["segmentation_masks"] = masks.squeeze(axis) if flat else masks
        return {key: value[0] if single else value for key, value in changed.items()}

    def _check_together(self, given: dict[str, Array]) -> None:
        """Raise a ShapeError unless there are labels for each image, and masks of its size."""
        shape = given["images"].shape
        for key, values in given.items():
            if values.shape[:1] != shape[:1]:
                raise ShapeError(
                    f"{self.owner} ({type(self).__name__}): there are {shape[0]} images, and "
                    f"{key} has the shape {values.shape}; the first axis is that of the images."
                )
        if "segmentation_masks" in given:
            found = given["segmentation_masks"].shape
            sizes = shape[self._first_axis : self._first_axis + self._rank]
            first = self._first_axis if len(found) == 2 + self._rank else 1
            if found[first : first + self._rank] != sizes or len(found) < 1 + self._rank:
                raise ShapeError(
                    f"{self.owner} ({type(self).__name__}): the images have the height and width "
                    f"{sizes}, and segmentation_masks has the shape {found}; use masks of the same "
                    "size, with or without an axis of channels."
                )

    def _batch(self, images: Any) -> Array:
        """Return images, or a single image, as an input of the layer."""
        images = images if np.ndim(images) != 1 + self._rank else np.asarray(images)[None]
        prepared: Array = self.prepare(images)
        return prepared

    def get_random_transformation(self, data: Any, training: bool = True) -> Any:
        """Draw what is done to each image of a batch; ``None`` without ``training``.

        Args:
            data: the images, or a dict with ``"images"``.
            training: whether anything is done.
        """
        if not training:
            return None
        x = self._batch(data["images"] if isinstance(data, dict) else data)
        assert self.rng is not None
        return self._draw(self.rng, x.shape)

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        """Return what is done to images of this shape."""
        raise NotImplementedError

    def _transformed(self, x: Array, drawn: Any) -> Array:
        """Return the images with what was drawn done to them."""
        raise NotImplementedError

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = f(x)`` with f drawn for each image in training; at inference ``y = x``."""
        x = self.prepare(x)
        if not training:
            return x
        assert self.rng is not None
        self.cache.shape = x.shape
        self.cache.drawn = self._draw(self.rng, x.shape)
        return self._transformed(x, self.cache.drawn)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Array:
        """Return the images with what :meth:`get_random_transformation` drew done to them."""
        x = self._batch(images)
        return self._transformed(x, transformation) if training else x

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Array:
        """Return the labels of the changed images: the same ones."""
        return np.array(labels)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Array:
        """Return the masks of the changed images, moved as these are."""
        return np.array(segmentation_masks)

    def _sizes(self, shape: Shape) -> tuple[int, int]:
        """Return height and width."""
        height, width = self._split_shape(shape)[0]
        assert height is not None
        assert width is not None
        return height, width
