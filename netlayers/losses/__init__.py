"""Loss functions and their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers._read_only import guard_methods
from netlayers._serializers import serializers
from netlayers.errors import ConfigurationError
from netlayers.losses.base import Loss
from netlayers.losses.binary import BinaryCrossentropy
from netlayers.losses.by_output import OutputLosses
from netlayers.losses.circle import Circle, circle
from netlayers.losses.crossentropy import (
    CategoricalCrossentropy,
    Crossentropy,
    SparseCategoricalCrossentropy,
)
from netlayers.losses.ctc import CTC
from netlayers.losses.elementwise import ElementwiseLoss
from netlayers.losses.focal import BinaryFocalCrossentropy, CategoricalFocalCrossentropy
from netlayers.losses.function import FunctionLoss
from netlayers.losses.functions import (
    LossFunction,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    categorical_hinge,
    cosine_similarity,
    ctc,
    dice,
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
    tversky,
)
from netlayers.losses.generalized import CategoricalGeneralizedCrossEntropy
from netlayers.losses.margins import CategoricalHinge, Hinge, SquaredHinge
from netlayers.losses.overlap import Dice, Tversky
from netlayers.losses.probabilistic import KLDivergence, Poisson
from netlayers.losses.regression import (
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
)
from netlayers.losses.similarity import CosineSimilarity
from netlayers.losses.split import SplitLoss
from netlayers.losses.uncertainty import GaussianNLL, Quantile
from netlayers.registry import own_function, register_name, resolve

if TYPE_CHECKING:
    from netlayers._typing import Identifier

__all__ = [
    "CTC",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Crossentropy",
    "Dice",
    "ElementwiseLoss",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunction",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "OutputLosses",
    "Poisson",
    "Quantile",
    "SparseCategoricalCrossentropy",
    "SplitLoss",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "ctc",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]


# Names of the cross-entropy that is chosen by shapes, where these are known: in ``compile`` and
# ``check_gradients``.
BY_SHAPE = ("ce", "crossentropy")


def _by_shape() -> Loss:
    raise ConfigurationError(
        "loss: 'crossentropy' is chosen by the shapes of targets and outputs, which are not known "
        "here; pass 'binary_crossentropy', 'categorical_crossentropy' or "
        "'sparse_categorical_crossentropy'."
    )


for _name in BY_SHAPE:
    register_name("loss", _name, _by_shape)


def get(identifier: Identifier) -> Any:
    """Return a loss from a name, a configuration or an object with ``forward`` and ``backward``.

    A function of this module resolves to its class, another function to a loss with a numerical
    derivative (see :class:`netlayers.losses.function.FunctionLoss`), and ``None`` to ``None``.

    Args:
        identifier: one of these.

    Raises:
        ConfigurationError: the name is unknown, the class of the object lacks a method, or the
            identifier is a function that does not take ``y_true`` and ``y_pred``.

    Example:
        >>> from netlayers import losses
        >>> losses.get("mse")
        MeanSquaredError()
    """
    if identifier is None:
        return None
    identifier = own_function("loss", identifier) or identifier
    if isinstance(identifier, LossFunction):
        return identifier.loss()
    if not isinstance(identifier, (str, type, dict, Loss)):
        if callable(getattr(identifier, "forward", None)) and callable(
            getattr(identifier, "backward", None)
        ):
            guard_methods(type(identifier), Loss._reads)
            loss: Loss = identifier
            return loss
        if callable(identifier):
            return FunctionLoss(identifier)
    resolved: Loss = resolve("loss", identifier, Loss)
    return resolved


serialize, deserialize = serializers(get)
