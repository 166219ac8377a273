"""Dropout of whole channels of series, images and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlayers.checks import check_choice
from netlayers.layers.dropout import Dropout
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Examples


@register("layer", "spatial_dropout1d")
class SpatialDropout1D(Dropout):
    """Drop whole features of a sequence: :class:`Dropout` with the same mask at every step.

    ``y[n, p, c] = m[n, c] x[n, p, c] / (1 - rate)`` in training, where m is 0 with the probability
    ``rate``, else 1, for each channel c of each sample n; ``y = x`` at inference.

    Shapes: (batch, steps, features); the output has the shape of the input.

    Args:
        rate: fraction of the features to drop in each sample.
        seed: see :class:`Dropout`.
        name: unique within a model.
        dtype: see :class:`Layer`.
        trainable: see :class:`Layer`; the layer has no weights.

    Source:
        J. Tompson et al., "Efficient object localization using convolutional networks",
        CVPR 2015, section 3.2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.SpatialDropout1D(0.5)
        >>> y = layer.forward(np.ones((1, 3, 8)), training=True)
        >>> np.array_equal(y[:, 0], y[:, 2])
        True
    """

    def __init__(
        self,
        rate: float,
        seed: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(rate, (None, 1, None), seed, name=name, dtype=dtype, trainable=trainable)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({"rate": 0.4}, (3, 4, 5)), ({"rate": 0.4, "seed": 3}, (3, 4, 5))]


class ChannelDropout(Dropout):
    """Base class of the layers that drop whole channels of images and volumes."""

    _rank = 2

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
        trainable: bool = True,
    ) -> None:
        data_format = check_choice(
            type(self).__name__,
            "data_format",
            "channels_last" if data_format is None else data_format,
            ("channels_last", "channels_first"),
        )
        places = (1,) * self._rank
        shape = (None, *places, None) if data_format == "channels_last" else (None, None, *places)
        super().__init__(rate, shape, seed, name=name, dtype=dtype, trainable=trainable)
        self.data_format = data_format


@register("layer", "spatial_dropout2d")
class SpatialDropout2D(ChannelDropout):
    """Drop whole channels of images: :class:`Dropout` with the same mask at every pixel.

    ``y[n, p, c] = m[n, c] x[n, p, c] / (1 - rate)`` in training, where m is 0 with the probability
    ``rate``, else 1, for each channel c of each sample n; ``y = x`` at inference.

    Shapes: (batch, height, width, channels); the output has the shape of the input.

    Args:
        rate: fraction of the channels to drop in each sample.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        seed: see :class:`Dropout`.
        name: unique within a model.
        dtype: see :class:`Layer`.
        trainable: see :class:`Layer`; the layer has no weights.

    Source:
        J. Tompson et al., "Efficient object localization using convolutional networks",
        CVPR 2015, section 3.2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.SpatialDropout2D(0.5, seed=6)
        >>> layer.forward(np.ones((1, 2, 2, 4)), training=True)[0, :, 0].tolist()
        [[2.0, 0.0, 0.0, 2.0], [2.0, 0.0, 0.0, 2.0]]
    """

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"rate": 0.4}, (3, 2, 2, 5)),
            ({"rate": 0.4, "seed": 3, "data_format": "channels_first"}, (3, 5, 2, 2)),
        ]


@register("layer", "spatial_dropout3d")
class SpatialDropout3D(ChannelDropout):
    """Drop whole channels of volumes: :class:`Dropout` with the same mask at every place.

    ``y[n, p, c] = m[n, c] x[n, p, c] / (1 - rate)`` in training, where m is 0 with the probability
    ``rate``, else 1, for each channel c of each sample n; ``y = x`` at inference.

    Shapes: (batch, depth, height, width, channels); the output has the shape of the input.

    Args:
        rate: fraction of the channels to drop in each sample.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        seed: see :class:`Dropout`.
        name: unique within a model.
        dtype: see :class:`Layer`.
        trainable: see :class:`Layer`; the layer has no weights.

    Source:
        J. Tompson et al., "Efficient object localization using convolutional networks",
        CVPR 2015, section 3.2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.SpatialDropout3D(0.5, seed=6)
        >>> layer.forward(np.ones((1, 1, 2, 2, 4)), training=True)[0, 0, :, 0].tolist()
        [[2.0, 0.0, 0.0, 2.0], [2.0, 0.0, 0.0, 2.0]]
    """

    _rank = 3

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({"rate": 0.4}, (3, 2, 1, 2, 5)),
            ({"rate": 0.4, "seed": 3, "data_format": "channels_first"}, (3, 5, 2, 1, 2)),
        ]
