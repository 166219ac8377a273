"""Metrics as functions that return a value per sample or output, ``binary_accuracy(y, p)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._serializers import same_settings
from netlayers.metrics.accuracy import (
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from netlayers.metrics.correlation import ConcordanceCorrelation, PearsonCorrelation
from netlayers.registry import snake_case

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike
    from netlayers.metrics.base import MeanMetric


class MetricFunction:
    """A metric as a function of targets and predictions, without weights and without their mean.

    Args:
        metric: the class; the function accepts its arguments by name.

    Example:
        >>> from netlayers import metrics
        >>> metrics.binary_accuracy([[1.0], [0.0]], [[0.9], [0.7]])
        array([[1.],
               [0.]])
        >>> metrics.get(metrics.binary_accuracy)
        BinaryAccuracy()
    """

    def __init__(self, metric: type[MeanMetric]) -> None:
        self.metric = metric
        self.__name__ = snake_case(metric.__name__)
        self.__doc__ = (
            f"Return the values whose mean is :class:`{metric.__name__}`.\n\n"
            "Args:\n    y_true: targets.\n    y_pred: predictions.\n"
            "    arguments: those of the class, by name."
        )

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, **arguments: Any) -> Array:
        """Return one number per sample or per output, as float64."""
        values = self.metric(**arguments).values(np.asarray(y_true), np.asarray(y_pred))
        return values.astype(np.float64)

    def __eq__(self, other: object) -> bool:
        """Whether ``other`` is this function, or an object that ``get`` returns for its name."""
        return other is self or same_settings(self.metric(), other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<metric function {self.__name__}>"


binary_accuracy = MetricFunction(BinaryAccuracy)
categorical_accuracy = MetricFunction(CategoricalAccuracy)
concordance_correlation = MetricFunction(ConcordanceCorrelation)
pearson_correlation = MetricFunction(PearsonCorrelation)
sparse_categorical_accuracy = MetricFunction(SparseCategoricalAccuracy)
sparse_top_k_categorical_accuracy = MetricFunction(SparseTopKCategoricalAccuracy)
top_k_categorical_accuracy = MetricFunction(TopKCategoricalAccuracy)
