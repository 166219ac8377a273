"""Metrics: numbers that are reported, not minimized, exact over all samples of an epoch.

What is passed to ``compile(metrics=[...])``: names such as ``"accuracy"`` or ``"auc"``, objects
such as ``AUC(curve="PR")``, or plain functions of ``y_true`` and ``y_pred``. Sample and class
weights that ``fit`` or ``evaluate`` is given count in all of them (in Keras only in
``weighted_metrics``). Of several metrics with one name, the second is called ``name_1`` in the
logs, and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.errors import ConfigurationError
from netlayers.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from netlayers.metrics.base import Mean, MeanMetric, Metric, Sum
from netlayers.metrics.confusion import (
    ConfusionMatrix,
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from netlayers.metrics.from_loss import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    LogCoshError,
    LossMetric,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from netlayers.metrics.fscore import F1Score, FBetaScore
from netlayers.metrics.function import MeanMetricWrapper, is_plain_function
from netlayers.metrics.ranking import AUC
from netlayers.metrics.regression import (
    CosineSimilarity,
    ExplainedVariance,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    PearsonCorrelation,
    R2Score,
    RootMeanSquaredError,
)
from netlayers.registry import constructor_arguments, lookup, resolve

if TYPE_CHECKING:
    from netlayers._typing import Identifier, Shape

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConfusionMatrix",
    "CosineSimilarity",
    "ExplainedVariance",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "LossMetric",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetric",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "get",
]

# Names that stand for one of three metrics, by the shapes: one output, one-hot targets, classes.
_ACCURACIES = (BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy)
_CROSSENTROPIES = (BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy)
BY_SHAPE = {
    "accuracy": _ACCURACIES,
    "acc": _ACCURACIES,
    "Accuracy": _ACCURACIES,
    "crossentropy": _CROSSENTROPIES,
    "ce": _CROSSENTROPIES,
}


def get(
    identifier: Identifier,
    target_shape: Shape | None = None,
    output_shape: Shape | None = None,
    from_logits: bool = False,
) -> Metric:
    """Return a metric from a name, a configuration, a plain function or an object.

    ``"accuracy"`` (or ``"acc"``) becomes the binary, sparse or categorical one by the shapes, so
    does ``"crossentropy"`` (or ``"ce"``); a metric keeps the name that was typed. A function
    becomes a :class:`MeanMetricWrapper`.

    Args:
        identifier: what the user wrote.
        target_shape: shape of the targets, batch first; needed for ``"accuracy"``.
        output_shape: shape of the predictions, batch first; needed for ``"accuracy"``.
        from_logits: the outputs are logits: what is made from a name then takes them as such. A
            binary accuracy has the threshold 0, not 0.5.

    Raises:
        ConfigurationError: the name is unknown, or the object is none of these.
    """
    if isinstance(identifier, str):
        return _from_name(identifier, target_shape, output_shape, from_logits)
    if is_plain_function(identifier) and not isinstance(identifier, Metric):
        return MeanMetricWrapper(identifier)
    metric: Metric = resolve("metric", identifier, Metric)
    return metric


def _from_name(
    name: str, target_shape: Shape | None, output_shape: Shape | None, from_logits: bool
) -> Metric:
    factory: Any = _by_shape(name, target_shape, output_shape) or lookup("metric", name)
    if is_plain_function(factory):
        return MeanMetricWrapper(factory, name)
    options: dict[str, Any] = {}
    if from_logits and "from_logits" in constructor_arguments(factory):
        options["from_logits"] = True
    if from_logits and factory is BinaryAccuracy:
        options["threshold"] = 0.0
    metric: Metric = factory(**options)
    metric.name = name
    return metric


def _by_shape(
    name: str, target_shape: Shape | None, output_shape: Shape | None
) -> type[Metric] | None:
    if name not in BY_SHAPE:
        return None
    binary, categorical, sparse = BY_SHAPE[name]
    if target_shape is None or output_shape is None:
        raise ConfigurationError(
            f"metric {name!r} depends on the shapes; pass {binary.__name__}, "
            f"{categorical.__name__} or {sparse.__name__}."
        )
    if output_shape[-1] == 1:
        return binary
    return categorical if target_shape[1:] == output_shape[1:] else sparse
