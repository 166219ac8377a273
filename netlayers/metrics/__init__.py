"""Metrics: values that are reported but not minimized, exact over all samples of an epoch.

``compile(metrics=[...])`` accepts names such as ``"accuracy"`` or ``"auc"``, objects such as
``AUC(curve="PR")``, and functions of ``y_true`` and ``y_pred``. As in Keras, the sample and class
weights of ``fit`` and ``evaluate`` apply to ``compile(weighted_metrics=[...])`` alone. Metrics with
equal names appear in the logs as ``name``, ``name_1``, and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers._serializers import serializers
from netlayers.checks import check_flag, check_shape, takes
from netlayers.errors import ConfigurationError
from netlayers.losses.functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from netlayers.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from netlayers.metrics.at_limit import (
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
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
from netlayers.metrics.correlation import (
    ConcordanceCorrelation,
    CosineSimilarity,
    PearsonCorrelation,
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
from netlayers.metrics.functions import (
    MetricFunction,
    binary_accuracy,
    categorical_accuracy,
    concordance_correlation,
    pearson_correlation,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from netlayers.metrics.iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from netlayers.metrics.ranking import AUC
from netlayers.metrics.regression import (
    ExplainedVariance,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
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
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "ConfusionMatrix",
    "CosineSimilarity",
    "ExplainedVariance",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "LossMetric",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetric",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "MetricFunction",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "pearson_correlation",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

# Names resolved by shape: binary for one output, categorical for one-hot targets, else sparse.
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
    target_kind: str | None = None,
) -> Any:
    """Return a metric from a name, configuration, function or object; ``None`` from ``None``.

    ``"accuracy"`` (or ``"acc"``) and ``"crossentropy"`` (or ``"ce"``) become the binary, sparse or
    categorical metric, depending on the loss where it says what its targets are, else on the
    shapes; the metric keeps the given name. A function becomes a :class:`MeanMetricWrapper`, one of
    this module its class.

    Args:
        identifier: the name, configuration, function or object.
        target_shape: shape of the targets, batch first; needed for ``"accuracy"``.
        output_shape: shape of the predictions, batch first; needed for ``"accuracy"``.
        from_logits: the outputs are logits; metrics created from a name are configured for them
            (a binary accuracy uses the threshold 0 instead of 0.5).
        target_kind: what the targets are by the loss, :attr:`netlayers.losses.Loss.target_kind`.

    Raises:
        ConfigurationError: the name is unknown, or the identifier is none of these.
    """
    check_flag("metrics.get", "from_logits", from_logits)
    if output_shape is not None:
        output_shape = check_shape("metrics.get", "output_shape", output_shape)
        if not output_shape:
            raise ConfigurationError("metrics.get: output_shape must have an axis of outputs.")
    if isinstance(identifier, str):
        return _from_name(identifier, target_shape, output_shape, from_logits, target_kind)
    if identifier is None:
        return None
    if isinstance(identifier, MetricFunction):
        return identifier.metric()
    if is_plain_function(identifier) and not isinstance(identifier, Metric):
        return MeanMetricWrapper(identifier)
    metric: Metric = resolve("metric", identifier, Metric)
    if not takes(metric.update_state, 3):
        raise ConfigurationError(
            f"metrics: {type(metric).__name__}.update_state does not take (y_true, y_pred, "
            "sample_weight); write a subclass of MeanMetric, or pass a function of y_true and "
            "y_pred."
        )
    return metric


def _from_name(
    name: str,
    target_shape: Shape | None,
    output_shape: Shape | None,
    from_logits: bool,
    target_kind: str | None,
) -> Metric:
    factory: Any = _by_targets(name, target_shape, output_shape, target_kind)
    factory = factory or lookup("metric", name)
    if is_plain_function(factory):
        return MeanMetricWrapper(factory, name)
    options: dict[str, Any] = {}
    if from_logits and "from_logits" in constructor_arguments(factory):
        options["from_logits"] = True
    if from_logits and factory is BinaryAccuracy:
        options["threshold"] = 0.0
    several = output_shape is not None and output_shape[-1] != 1
    if several and target_kind in ("binary", "signs") and factory in (F1Score, FBetaScore):
        options["threshold"] = 0.5  # each output is a label of its own
    metric: Metric = factory(**options)
    metric.name = name
    return metric


def _by_targets(
    name: str,
    target_shape: Shape | None,
    output_shape: Shape | None,
    target_kind: str | None,
) -> type[Metric] | None:
    if name not in BY_SHAPE:
        return None
    binary, categorical, sparse = BY_SHAPE[name]
    if target_shape is None or output_shape is None:
        raise ConfigurationError(
            f"metric {name!r} depends on the shapes of targets and outputs; pass "
            f"{binary.__name__}, "
            f"{categorical.__name__} or {sparse.__name__}."
        )
    if output_shape[-1] == 1 or target_kind in ("binary", "signs"):
        return binary
    if target_kind is not None:
        return categorical if target_kind == "one-hot" else sparse
    return categorical if target_shape[1:] == output_shape[1:] else sparse


serialize, deserialize = serializers(get)
