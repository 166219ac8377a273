"""Base class of the layers that prepare images."""

from __future__ import annotations

from typing import Any

import numpy as np

from netlayers.core.symbolic import symbols_in
from netlayers.layers.spatial import SpatialLayer


class ImageLayer(SpatialLayer):
    """Base class of the layers that prepare images, whose values may be floats or uint8.

    Called with a single image, without the axis of the batch, they return a single image.
    """

    _takes_empty = False

    def __call__(
        self, inputs: Any, *more: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        """Return :meth:`forward`; see :meth:`Layer.__call__`."""
        if not more and not symbols_in(inputs) and np.ndim(inputs) == 1 + self._rank:
            batch = np.asarray(inputs)[None]
            return super().__call__(batch, training=training, mask=mask)[0]
        return super().__call__(inputs, *more, training=training, mask=mask)
