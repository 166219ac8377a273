"""Losses as functions that return the loss per sample, ``mean_squared_error(y_true, y_pred)``."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from netlayers._serializers import same_settings
from netlayers.losses.binary import BinaryCrossentropy
from netlayers.losses.crossentropy import CategoricalCrossentropy, SparseCategoricalCrossentropy
from netlayers.losses.ctc import CTC
from netlayers.losses.focal import BinaryFocalCrossentropy, CategoricalFocalCrossentropy
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
from netlayers.registry import constructor_arguments, snake_case

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.losses.base import Loss


class LossFunction:
    """A loss as a function of targets and predictions, without weights or reduction.

    Args:
        loss: the class; the function accepts its arguments by name or position.

    Example:
        >>> from netlayers import losses
        >>> losses.mean_squared_error([[1.0, 2.0], [3.0, 4.0]], [[1.0, 4.0], [3.0, 3.0]])
        array([2. , 0.5], dtype=float32)
    """

    def __init__(self, loss: type[Loss]) -> None:
        self.loss = loss
        self.__name__ = snake_case(loss.__name__)
        self.__doc__ = (
            f"Return the loss of each sample; see :class:`{loss.__name__}`.\n\n"
            "Args:\n    y_true: targets.\n    y_pred: predictions."
        )
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        arguments = {"y_true": inspect.Parameter.empty, "y_pred": inspect.Parameter.empty}
        arguments |= constructor_arguments(loss)
        self.__signature__ = inspect.Signature(
            [
                inspect.Parameter(name, kind, default=default)
                for name, default in arguments.items()
                if name
                not in ("reduction", "name", "dtype", "mask_nan")  # of the mean over samples
            ]
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Array:
        """Return the loss per sample, (batch, ...)."""
        try:
            arguments = self.__signature__.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(
                f"{self.__name__} ({self.loss.__name__}): {error}. It takes "
                f"{', '.join(self.__signature__.parameters)}."
            ) from None
        y_true, y_pred = arguments.pop("y_true"), arguments.pop("y_pred")
        losses: Any = self.loss(**arguments, reduction=None).forward(y_true, y_pred)
        return losses

    def __eq__(self, other: object) -> bool:
        """Whether ``other`` is this function, or an object that ``get`` returns for its name."""
        return other is self or same_settings(self.loss(), other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<loss function {self.__name__}>"


binary_crossentropy = LossFunction(BinaryCrossentropy)
binary_focal_crossentropy = LossFunction(BinaryFocalCrossentropy)
categorical_crossentropy = LossFunction(CategoricalCrossentropy)
categorical_focal_crossentropy = LossFunction(CategoricalFocalCrossentropy)
categorical_generalized_cross_entropy = LossFunction(CategoricalGeneralizedCrossEntropy)
categorical_hinge = LossFunction(CategoricalHinge)
cosine_similarity = LossFunction(CosineSimilarity)
ctc = LossFunction(CTC)
dice = LossFunction(Dice)
hinge = LossFunction(Hinge)
huber = LossFunction(Huber)
kl_divergence = LossFunction(KLDivergence)
log_cosh = LossFunction(LogCosh)
mean_absolute_error = LossFunction(MeanAbsoluteError)
mean_absolute_percentage_error = LossFunction(MeanAbsolutePercentageError)
mean_squared_error = LossFunction(MeanSquaredError)
mean_squared_logarithmic_error = LossFunction(MeanSquaredLogarithmicError)
poisson = LossFunction(Poisson)
sparse_categorical_crossentropy = LossFunction(SparseCategoricalCrossentropy)
squared_hinge = LossFunction(SquaredHinge)
tversky = LossFunction(Tversky)
