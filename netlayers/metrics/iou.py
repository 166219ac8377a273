"""Intersection over union of predicted and true classes, as for segmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.checks import check_flag, check_integer, check_list, check_number
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.metrics.base import Metric, broadcast_weights
from netlayers.metrics.confusion import ratio
from netlayers.metrics.targets import class_indices
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, ArrayLike

_MOST_CLASSES = 1 << 14  # whose confusion matrix takes 2 GiB
_LARGEST_CLASS = 1 << 31  # larger numbers are no classes


def _some_classes(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return class numbers for examples."""
    return rng.integers(0, 3, shape)


def _some_labels(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return labels 0 and 1 for examples."""
    return rng.integers(0, 2, shape)


@register("metric", "iou")
class IoU(Metric):
    """Mean of ``tp / (tp + fp + fn)`` over classes, the intersection over the union of samples.

    Classes that occur neither in targets nor predictions are left out; without any, the result is
    0. Samples whose target or prediction is out of range are left out, as in Keras, with a warning
    unless the target is ``ignore_class``.

    Shapes: ``y_true`` and ``y_pred`` are class indices (batch, ...), or (batch, ..., classes) where
    they are not sparse.

    Args:
        num_classes: number of classes.
        target_class_ids: the classes of the mean.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        ignore_class: class of samples that are left out.
        sparse_y_true: ``y_true`` holds class indices; otherwise the largest entry is the class.
        sparse_y_pred: ``y_pred`` holds class indices; otherwise the largest entry is the class.
        axis: axis of the classes in an array that is not sparse.

    Source:
        P. Jaccard, "The distribution of the flora in the alpine zone", New Phytologist 11 (1912);
        J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks for semantic segmentation",
        CVPR 2015, section 5 (of classes).

    Example:
        >>> import netlayers as nl
        >>> nl.metrics.IoU(num_classes=3, target_class_ids=[0, 2])([0, 1, 2, 2], [0, 1, 1, 2])
        0.75
    """

    direction = "max"
    _counts: Array | None
    _takes_others = True  # classes out of range

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name, dtype)
        owner = type(self).__name__
        self.num_classes = check_integer(
            owner, "num_classes", num_classes, minimum=1, maximum=_MOST_CLASSES
        )
        ids = check_list(owner, "target_class_ids", target_class_ids, "class indices")
        if not ids:
            raise ConfigurationError(f"{owner}: target_class_ids must hold a class index, got [].")
        self.target_class_ids: list[int] | None = [
            check_integer(owner, "each of target_class_ids", i, minimum=0) for i in ids
        ]
        if max(self.target_class_ids) >= self.num_classes:
            raise ConfigurationError(
                f"{owner}: target_class_ids must be below num_classes={self.num_classes}, got "
                f"{self.target_class_ids}."
            )
        self.ignore_class = None
        if ignore_class is not None:
            self.ignore_class = check_integer(owner, "ignore_class", ignore_class)
        self.sparse_y_true = check_flag(owner, "sparse_y_true", sparse_y_true)
        self.sparse_y_pred = check_flag(owner, "sparse_y_pred", sparse_y_pred)
        self.axis = check_integer(owner, "axis", axis)
        self.reset_state()

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        basic = {"num_classes": 3, "target_class_ids": [0, 2]}
        return [
            (basic, _some_classes, _some_classes),
            ({**basic, "sparse_y_pred": False}, "classes", "shares"),
            (
                {**basic, "ignore_class": 2, "sparse_y_true": False, "sparse_y_pred": False},
                "one-hot",
                "shares",
            ),
            (
                {**basic, "sparse_y_true": False, "sparse_y_pred": False, "axis": 1},
                "one-hot",
                "shares",
                3,
                2,
            ),
        ]

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add the samples of a batch with their weights."""
        true = self._classes(np.asarray(y_true), self.sparse_y_true)
        predicted = self._classes(np.asarray(y_pred), self.sparse_y_pred)
        if [n for n in true.shape if n != 1] != [n for n in predicted.shape if n != 1]:
            raise ShapeError(
                f"metric {self.name!r}: targets of {true.shape} classes, but predictions of "
                f"{predicted.shape}, with sparse_y_true={self.sparse_y_true} and "
                f"sparse_y_pred={self.sparse_y_pred} (True for class indices, False for one "
                "output per class)."
            )
        weight = None
        if sample_weight is not None:
            weight = broadcast_weights(self, sample_weight, true.shape)
        true, predicted = true.reshape(-1), predicted.reshape(-1)
        if self.ignore_class is not None:
            known = true != self.ignore_class
            true, predicted = true[known], predicted[known]
            weight = None if weight is None else weight[known]
        n = self.num_classes
        known = self._in_range("y_true", true) & self._in_range("y_pred", predicted)
        if not known.all():
            true, predicted = true[known], predicted[known]
            weight = None if weight is None else weight[known]
        cells = n * class_indices(self, true, n) + class_indices(self, predicted, n, "y_pred")
        counts = np.bincount(cells, weight, minlength=n * n).reshape(n, n)
        self._counts = counts if self._counts is None else self._counts + counts

    def result(self) -> float:
        """Return the mean over the classes that occur."""
        if self._counts is None:
            return 0.0
        hits = self._counts.diagonal()
        union = self._counts.sum(axis=0) + self._counts.sum(axis=1) - hits
        chosen: Any = slice(None) if self.target_class_ids is None else self.target_class_ids
        scores, occurs = ratio(hits, union)[chosen], union[chosen] > 0
        return float(scores[occurs].mean()) if occurs.any() else 0.0

    def reset_state(self) -> None:
        """Reset the metric."""
        self._counts = None  # takes memory from the first batch on

    def _in_range(self, argument: str, classes: Array) -> Array:
        """Return which samples have one of the classes; warn about other whole numbers."""
        classes_of_others = (classes == np.rint(classes)) & (np.abs(classes) < _LARGEST_CLASS)
        known: Array = (classes >= 0) & (classes < self.num_classes) | ~classes_of_others
        if self._takes_others and not known.all():
            last, other = self.num_classes - 1, int(classes[~known][0])
            advice = f" Pass ignore_class={other} if that is meant." if argument == "y_true" else ""
            warn(
                f"metric {self.name!r}: {argument} has other classes than 0 to {last}, such as "
                f"{other}; these samples are left out.{advice}"
            )
            return known
        return np.ones(known.shape, bool)  # class_indices() refuses the others

    def _classes(self, values: Array, sparse: bool) -> Array:
        if sparse:
            return values
        if not -values.ndim <= self.axis < values.ndim:
            raise ShapeError(
                f"metric {self.name!r}: axis={self.axis} is none of the {values.ndim} axes of an "
                f"array of the shape {values.shape}."
            )
        return values.argmax(axis=self.axis)


@register("metric", "binary_iou")
class BinaryIoU(IoU):
    """Mean of ``tp / (tp + fp + fn)`` over the classes 0 and 1, for probabilities of class 1.

    Shapes: ``y_true`` (0 or 1) and ``y_pred`` (batch, ...).

    Args:
        target_class_ids: the classes of the mean.
        threshold: predictions of this or more are of class 1.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Source:
        J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks for semantic segmentation",
        CVPR 2015, section 5.

    Example:
        >>> import netlayers as nl
        >>> nl.metrics.BinaryIoU(target_class_ids=[1])([0, 1, 1, 0], [0.1, 0.9, 0.4, 0.2])
        0.5
    """

    _takes_others = False  # labels -1 and 1 would be half a data set

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = check_number("BinaryIoU", "threshold", threshold)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({}, _some_labels, "shares"),
            ({"target_class_ids": [1], "threshold": 0.3}, _some_labels, "shares"),
        ]

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add the samples of a batch with their weights."""
        decided = np.asarray(y_pred) >= self.threshold
        super().update_state(y_true, decided.astype(np.intp), sample_weight)


@register("metric", "mean_iou")
class MeanIoU(IoU):
    """Mean of ``tp / (tp + fp + fn)`` over all classes; see :class:`IoU`.

    Args:
        num_classes: number of classes.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        ignore_class: class of samples that are left out.
        sparse_y_true: ``y_true`` holds class indices; otherwise the largest entry is the class.
        sparse_y_pred: ``y_pred`` holds class indices; otherwise the largest entry is the class.
        axis: axis of the classes in an array that is not sparse.

    Source:
        J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks for semantic segmentation",
        CVPR 2015, section 5.

    Example:
        >>> import netlayers as nl
        >>> nl.metrics.MeanIoU(num_classes=2)([0, 1, 1, 1], [0, 1, 1, 1])
        1.0
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        count = check_integer(type(self).__name__, "num_classes", num_classes, minimum=1)
        super().__init__(count, [0], name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)
        self.target_class_ids = None  # all

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({k: v for k, v in arguments.items() if k != "target_class_ids"}, *data)
            for arguments, *data in IoU.examples()
        ]


@register("metric", "one_hot_iou")
class OneHotIoU(IoU):
    """:class:`IoU` for one-hot targets and, by default, one output per class.

    Args:
        num_classes: number of classes.
        target_class_ids: the classes of the mean.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        ignore_class: class of samples that are left out.
        sparse_y_pred: ``y_pred`` holds class indices; otherwise the largest entry is the class.
        axis: axis of the classes.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> metric = nl.metrics.OneHotIoU(num_classes=2, target_class_ids=[0])
        >>> metric(np.eye(2)[[0, 1, 1]], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
        0.5
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis
        )

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        basic = {"num_classes": 3, "target_class_ids": [0, 2]}
        return [
            (basic, "one-hot", "shares"),
            ({**basic, "ignore_class": 1}, "one-hot", "shares"),
            ({**basic, "axis": 1}, "one-hot", "shares", 3, 2),
            ({**basic, "sparse_y_pred": True}, _some_one_hot_rows, _some_column),
        ]


@register("metric", "one_hot_mean_iou")
class OneHotMeanIoU(MeanIoU):
    """:class:`MeanIoU` for one-hot targets and, by default, one output per class.

    Args:
        num_classes: number of classes.
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.
        ignore_class: class of samples that are left out.
        sparse_y_pred: ``y_pred`` holds class indices; otherwise the largest entry is the class.
        axis: axis of the classes.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> metric = nl.metrics.OneHotMeanIoU(num_classes=2)
        >>> metric(np.eye(2)[[0, 1, 1]], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
        0.5
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            ({k: v for k, v in arguments.items() if k != "target_class_ids"}, *data)
            for arguments, *data in OneHotIoU.examples()
        ]


def _some_one_hot_rows(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return one-hot rows for examples."""
    return np.eye(3)[rng.integers(0, 3, shape[:-1])]


def _some_column(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return a class number for each sample, for examples."""
    return rng.integers(0, 3, (*shape[:-1], 1))
