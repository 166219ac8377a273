"""Which axis has the channels, and which of them say something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.layers.spatial import SpatialLayer

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.core.layer import Layer

# A map whose deviation over the images is under this part of its size says nothing about them.
CONSTANT_BELOW = 1e-3


def channels_first(model: Layer) -> bool:
    """Whether the layers of a model that know an order of the axes have the channels first."""
    found = [its for its in model._flatten_layers() if isinstance(its, SpatialLayer)]
    return bool(found) and found[0].data_format == "channels_first"


def channels_last(array: Array, first: bool) -> Array:
    """Return an array with its channels on the last axis; ``first`` if they are on axis 1."""
    return np.moveaxis(array, 1, -1) if first and array.ndim > 2 else array


def idle_maps(maps: Array) -> tuple[Array, Array]:
    """Return of each map (n, sizes..., channels) whether it is 0, and whether it is constant.

    A map is constant if it is not 0 and at no place depends on the image: the root mean square of
    its deviation over the images is under a thousandth of that of its values.
    """
    values = maps.astype(np.float64)
    axes = tuple(range(maps.ndim - 1))
    size = np.sqrt(np.mean(values**2, axis=axes))
    deviation = np.sqrt(np.mean(values.var(axis=0), axis=axes[:-1]))
    zero = size == 0
    return zero, ~zero & (deviation < CONSTANT_BELOW * size) & (len(maps) > 1)
