"""Sample weights from class weights, and splits of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from netlayers._typing import Array


def times_class_weights(
    owner: str,
    weights: Any,
    y: Array,
    sample_weight: Any,
    classes: int | None = None,
    ignored: int | None = None,
) -> Array:
    """Return the weights of the samples, each times the weight of its class.

    Args:
        owner: the caller's name, for error messages.
        weights: see :func:`class_weights`.
        y: see :func:`class_weights`.
        sample_weight: (n,), or one for each target, or ``None``.
        classes: see :func:`class_weights`.
        ignored: see :func:`class_weights`.
    """
    by_class = class_weights(owner, weights, y, classes, ignored)
    if sample_weight is None:
        return by_class
    given = np.asarray(sample_weight)
    return given * by_class.reshape(-1, *(1,) * (given.ndim - 1))


def class_weights(
    owner: str, weights: Any, y: Array, classes: int | None = None, ignored: int | None = None
) -> Array:
    """Return the weight of each sample, given the weights of the classes.

    Args:
        owner: the caller's name, for error messages.
        weights: a dict from class indices to weights, 1 for a class that is not in it; or
            ``"balanced"``: n / (k count) for a class with ``count`` of the n samples, where k
            classes occur, so that all classes have the same total weight (King and Zeng,
            "Logistic Regression in Rare Events Data", 2001; as in scikit-learn).
        y: class indices (n,) or (n, 1), or one-hot rows (n, classes). A label -1, as for the hinge
            loss, is class 0.
        classes: number of classes, where the model and its loss tell.
        ignored: the ``ignore_class`` of the loss: its samples are not counted and have weight 1,
            like those whose class is NaN.

    Raises:
        ConfigurationError: ``weights`` is not a dict of classes, or a weight is not a finite
            number >= 0.
        DataError: ``y`` does not contain classes: it is multi-label, or holds other numbers.
    """
    if isinstance(weights, str) and weights == "balanced":
        purpose = f"{owner}: class_weight='balanced'"
        labels = _labels(purpose, y)
        counted = labels == labels  # not NaN
        if ignored is not None:
            counted &= labels != ignored
        result = np.ones(len(labels))
        indices, counts = _classes(purpose, labels[counted])
        result[counted] = (len(indices) / (len(counts) * counts))[indices]
        return result
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
    labels = _labels(f"{owner}: class_weight", y)
    if ignored != -1:
        labels = np.where(labels == -1, 0, labels)
    present = y.shape[1] if y.ndim == 2 and y.shape[1] > 1 else classes
    result = np.ones(len(labels))
    for label, weight in weights.items():
        number = isinstance(weight, (int, float, np.number)) and np.isfinite(weight)
        if not number or weight < 0:
            raise ConfigurationError(
                f"{owner}: class_weight[{label!r}] must be a finite number >= 0, got {weight!r}."
            )
        # As np.unique(y) has them for labels that are floats, a class can be 1.0.
        real = isinstance(label, (int, float, np.integer, np.floating))
        whole = real and float(label).is_integer()
        if (
            not whole
            or isinstance(label, bool)
            or label < 0
            or (present is not None and label >= present)
        ):
            raise ConfigurationError(
                f"{owner}: class_weight has the key {label!r}, which is not a class index"
                + ("." if present is None else f" from 0 to {present - 1}.")
            )
        result[labels == label] = weight
    if len(result) and not result.any():
        warn(f"{owner}: class_weight is 0 for all rows, so nothing is learned from them.")
    return result


def split_columns(owner: str, columns: list[Any], share: float) -> tuple[list[Any], list[Any]]:
    """Split off the last ``share`` of the rows for validation, at least one; 0 < share < 1."""
    rows = columns[0].rows
    # The fraction is that of the decimal number: in floats, 100 (1 - 0.8) is 19.999...
    first = int(rows * (1 - Fraction(str(share))))
    if first == 0:
        raise ConfigurationError(
            f"{owner}: validation_split={share:g} of {rows} rows leaves nothing to train on. Use a "
            "smaller one, or more rows."
        )
    train = [None if c is None else c.part(0, first) for c in columns]
    test = [None if c is None else c.part(first, rows) for c in columns]
    return train, test


def stratified_rows(owner: str, y: Array, share: float) -> tuple[Array, Array]:
    """Return the indices of the training rows and of the validation rows.

    The last round(share m) of the m samples of a class are held out, at least one but not all. A
    class with a single sample is used for training. Both parts keep the order of ``y``.

    Raises:
        DataError: ``y`` does not contain classes.
        ConfigurationError: no sample can be held out.
    """
    indices, counts = _classes(f"{owner}: stratify=True", y)
    exact = Fraction(str(share))  # 0.7 of 5 is 3.5, but 3.4999... in floats
    wanted = np.array([round(exact * count) for count in counts.tolist()], np.intp)
    held = wanted.clip(1, np.maximum(counts - 1, 1))
    held[counts == 1] = 0
    if not held.any():
        raise ConfigurationError(
            f"{owner}: stratify=True with {len(counts)} classes of one sample each leaves nothing "
            "to validate with."
        )
    by_class = np.argsort(indices, kind="stable")
    ends = np.cumsum(counts)
    out = np.zeros(len(indices), bool)
    for end, count in zip(ends, held, strict=True):
        out[by_class[end - count : end]] = True
    return np.flatnonzero(~out), np.flatnonzero(out)


def _classes(owner: str, y: Array) -> tuple[Array, Array]:
    """Return for each sample the index of its class among those that occur, and their counts."""
    _, indices, counts = np.unique(_labels(owner, y), return_inverse=True, return_counts=True)
    return indices.reshape(-1), counts


def _labels(owner: str, y: Array) -> Array:
    """Return the class of each sample.

    Raises:
        DataError: ``y`` does not contain one class for each sample.
    """
    if y.ndim == 2 and y.shape[1] > 1:
        ones = np.add.reduce(y, axis=1, dtype=np.float64)
        if not ((y.max(axis=1) == 1) & (y.min(axis=1) == 0) & (ones == 1)).all():
            raise DataError(
                f"{owner} needs one class for each sample, but the rows of y (shape {y.shape}) are "
                "not all one-hot: a single 1 among zeros. For other targets pass sample_weight."
            )
        return y.argmax(axis=1)
    if y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1):
        labels = y.reshape(-1)
        broken = labels != np.floor(labels)
        broken &= labels == labels  # NaN is an unknown class
        if broken.any():
            wrong = labels[broken][0]
            raise DataError(
                f"{owner} needs class indices, but y contains {wrong}. For targets that are no "
                "classes pass sample_weight."
            )
        return labels
    raise DataError(f"{owner} needs one class for each sample, got y of shape {y.shape}.")
