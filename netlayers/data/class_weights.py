"""What follows from the class of each sample: its weight, and a split that keeps the shares."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from netlayers._typing import Array


def class_weights(owner: str, weights: Any, y: Array) -> Array:
    """Return each sample's weight from the weight of its class.

    Args:
        owner: who asks, for the message.
        weights: weight of a class by its number, classes that are left out weigh 1; or
            ``"balanced"``: n / (k count) for a class with ``count`` of the n samples, where k
            classes occur, so that every class weighs as much as any other (King and Zeng,
            "Logistic Regression in Rare Events Data", 2001; as scikit-learn).
        y: class numbers (n,) or (n, 1), or one-hot rows (n, classes).

    Raises:
        ConfigurationError: it is no dict of classes, or a weight is no number >= 0.
        DataError: ``"balanced"``, and ``y`` holds no classes.
    """
    if isinstance(weights, str) and weights == "balanced":
        _, places, counts = _classes(f"{owner}: class_weight='balanced'", y)
        return (len(places) / (len(counts) * counts))[places]
    if not isinstance(weights, Mapping):
        raise ConfigurationError(
            f"{owner}: class_weight must be a dict such as {{0: 1.0, 1: 5.0}}, or 'balanced', got "
            f"{weights!r}."
        )
    if y.ndim > 2:
        raise ConfigurationError(
            f"{owner}: class_weight needs one class for each sample, got y of shape {y.shape}; "
            "pass sample_weight instead."
        )
    classes = y.argmax(axis=-1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
    present = y.shape[1] if y.ndim == 2 and y.shape[1] > 1 else None
    result = np.ones(len(classes))
    for label, weight in weights.items():
        number = isinstance(weight, (int, float, np.number)) and np.isfinite(weight)
        if not number or weight < 0:
            raise ConfigurationError(
                f"{owner}: class_weight[{label!r}] must be a finite number >= 0, got {weight!r}."
            )
        integer = isinstance(label, (int, np.integer)) and not isinstance(label, bool)
        if not integer or label < 0 or (present is not None and label >= present):
            raise ConfigurationError(
                f"{owner}: class_weight has the key {label!r}, which is no class number"
                + ("." if present is None else f" from 0 to {present - 1}.")
            )
        result[classes == label] = weight
    return result


def stratified_rows(owner: str, y: Array, share: float) -> tuple[Array, Array]:
    """Return the numbers of the rows to train on and of those to validate with.

    Of a class with m samples the last round(share m) are held out, but at least one and not all; a
    class with a single sample stays with the training. Both parts are in the order of ``y``.

    Raises:
        DataError: ``y`` holds no classes.
        ConfigurationError: there is nothing to hold out.
    """
    _, places, counts = _classes(f"{owner}: stratify=True", y)
    exact = Fraction(repr(share))  # 0.7 of 5 is 3.5, in floats 3.4999...
    wanted = np.array([round(exact * count) for count in counts.tolist()], np.intp)
    held = wanted.clip(1, np.maximum(counts - 1, 1))
    held[counts == 1] = 0
    if not held.any():
        raise ConfigurationError(
            f"{owner}: stratify=True with {len(counts)} classes of one sample each leaves nothing "
            "to validate with."
        )
    by_class = np.argsort(places, kind="stable")
    ends = np.cumsum(counts)
    out = np.zeros(len(places), bool)
    for end, count in zip(ends, held, strict=True):
        out[by_class[end - count : end]] = True
    return np.flatnonzero(~out), np.flatnonzero(out)


def _classes(owner: str, y: Array) -> tuple[Array, Array, Array]:
    """Return the classes that occur, the place of each sample's among them, and their counts."""
    if y.ndim == 2 and y.shape[1] > 1:
        ones = np.add.reduce(y, axis=1, dtype=np.float64)
        if not ((y.max(axis=1) == 1) & (y.min(axis=1) == 0) & (ones == 1)).all():
            raise DataError(
                f"{owner} needs one class for each sample, but the rows of y (shape {y.shape}) are "
                "not all one-hot: a single 1 among zeros."
            )
        labels = y.argmax(axis=1)
    elif y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1):
        labels = y.reshape(-1)
        whole = labels.dtype.kind in "iub" or bool((labels == np.floor(labels)).all())
        if not whole:
            raise DataError(
                f"{owner} needs class numbers, but y holds {labels[labels != np.floor(labels)][0]}."
            )
    else:
        raise DataError(f"{owner} needs one class for each sample, got y of shape {y.shape}.")
    classes, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return classes, places.reshape(-1), counts
