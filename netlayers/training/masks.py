"""The mask of the output of a model in its loss: steps that are left out have the weight 0."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.losses import OutputLosses

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.layers.network import Network


def gives_mask(model: Network) -> bool:
    """Whether ``forward`` of a model may return a mask: not that of a class of the user."""
    return model.takes_mask and "mask_out" in inspect.signature(type(model).forward).parameters


def masked_weights(loss: Any, sample_weight: Any, mask: Any) -> tuple[Any, float]:
    """Return the weights for a loss, and the share of the steps that the mask keeps.

    The weights are the sample weights times the mask. For a loss that is a mean they are divided by
    the share, as in Keras: the mean is that over the steps that the mask keeps.

    Args:
        loss: the loss.
        sample_weight: (batch, ...), or a tuple of those of the outputs, or ``None``.
        mask: booleans (batch, steps), or a tuple of those of all outputs; ``None`` for no mask.
    """
    if not isinstance(loss, OutputLosses):
        return (sample_weight, 1.0) if mask is None else _masked(loss, sample_weight, mask)
    if not isinstance(mask, tuple) or all(its is None for its in mask):
        return sample_weight, 1.0
    weights = sample_weight
    if not isinstance(sample_weight, tuple):
        weights = (sample_weight,) * len(loss.losses)
    parts = zip(loss.losses, loss.places, weights, strict=True)
    return tuple(masked_weights(part, w, mask[place])[0] for part, place, w in parts), 1.0


def _masked(loss: Any, sample_weight: Any, mask: Array) -> tuple[Array, float]:
    if getattr(loss, "takes_lengths", False):
        weight = 1.0 if sample_weight is None else np.asarray(sample_weight, np.float64)
        return mask * np.reshape(weight, (-1, 1)), 1.0
    share = float(np.count_nonzero(mask) / max(1, mask.size))
    if getattr(loss, "reduction", "mean") not in ("sum_over_batch_size", "mean"):
        share = 1.0  # a sum, or divided by the sum of the weights
    kept = mask * (1.0 / (share or 1.0))
    if sample_weight is None:
        return kept, share
    weight = np.asarray(sample_weight, np.float64)
    axes = max(weight.ndim, kept.ndim)
    weight, kept = (a.reshape(a.shape + (1,) * (axes - a.ndim)) for a in (weight, kept))
    return weight * kept, share


def only_kept(
    mask: Array, y_true: Array, y_pred: Array, sample_weight: Array | None
) -> tuple[Array, Array, Array | None]:
    """Return targets, predictions and weights of the steps that the mask keeps, (kept, ...)."""
    if sample_weight is not None:
        weight = np.asarray(sample_weight)
        if weight.ndim < 2:
            weight = weight.reshape(-1, 1)
        axes = (len(mask), mask.shape[1], *weight.shape[2:])
        sample_weight = np.broadcast_to(weight, axes)[mask]
    return np.asarray(y_true)[mask], y_pred[mask], sample_weight
