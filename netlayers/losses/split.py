"""A weighted sum of losses on slices of the outputs, for multi-task networks."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_array, check_finite
from netlayers.checks import check_integer, check_number, is_iterable
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.losses.base import Loss
from netlayers.losses.combined import CombinedLoss
from netlayers.losses.given import check_output_weights
from netlayers.registry import register, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlayers._typing import Array, ArrayLike, Dtype, Identifier, Shape


def _targets_of(numbers: int, classes: int, means: int, shares: int = 0) -> Callable[..., Array]:
    """Return a function that draws targets for examples: numbers, a class, means and shares."""

    def targets(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        lead = shape[:-1]
        columns = [
            rng.normal(size=(*lead, numbers)),
            rng.integers(0, classes, (*lead, 1)),
            rng.normal(size=(*lead, means)),
            rng.uniform(0, 1, (*lead, shares)),
        ]
        return np.concatenate(columns, axis=-1)

    return targets


@register("loss")
class SplitLoss(CombinedLoss):
    """``L = Σ weight_i L_i``, where loss ``i`` acts on its own slice of the outputs and targets.

    The slices are consecutive on the last axis of ``y_pred`` (``sizes``) and of ``y_true``
    (``target_sizes``). For a slice of logits, pass a loss with ``from_logits=True``.

    Shapes: ``y_pred`` (batch, ..., sum of sizes), ``y_true`` (batch, ..., sum of target sizes).
    Sample weights in the shape of ``y_true`` are split like it: a loss with one target column gets
    one weight per sample, others must be an :class:`ElementwiseLoss`. Targets may be NaN in the
    columns of losses with ``mask_nan=True``.

    Args:
        losses: losses or their names, one per slice.
        sizes: number of outputs of each loss.
        weights: weights of the losses, >= 0; ``None`` for all 1.
        target_sizes: number of columns of ``y_true`` of each loss; ``None`` for what the losses
            need: one for class indices and for a list of quantiles, one per mean of a
            :class:`GaussianNLL`, otherwise as many as outputs.
        reduction: reduction of every loss; see :class:`Loss`. A loss in the list with a different
            reduction is an error.
        name: name of the loss.
        dtype: see :class:`Loss`.

    A model reports the value of each loss as ``<part>_loss``, where the part is the name of the
    loss, and with ``compile(metrics={"<part>": [...]})`` metrics of each on its own slice.

    Attributes: see :class:`CombinedLoss`.

    Raises:
        ConfigurationError: the lists differ in length, or the reductions differ.

    Example:
        Regression and three-class classification by one network with 1 + 3 outputs:

        >>> import netlayers as nl
        >>> classes = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> loss = nl.losses.SplitLoss(["mse", classes], sizes=[1, 3], weights=[1.0, 0.5])
        >>> round(loss.forward([[2.0, 1]], [[3.0, 0.0, 0.0, 0.0]]), 4)
        1.5493
        >>> [round(value, 4) for value in loss.values]
        [1.0, 1.0986]
    """

    # For these losses it says again what they need.
    arguments_without_effect = ("target_sizes",)

    def __init__(
        self,
        losses: Sequence[Identifier],
        sizes: Sequence[int],
        weights: Sequence[float] | None = None,
        target_sizes: Sequence[int] | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.losses = [self._copy_loss(loss) for loss in _listed("losses", losses)]
        count = len(self.losses)
        if not count:
            raise ConfigurationError("SplitLoss: losses must not be empty.")
        self.sizes = [
            check_integer("SplitLoss", "each of sizes", n, minimum=1)
            for n in _listed("sizes", sizes, count)
        ]
        self.weights = weights
        if weights is not None:
            self.weights = [
                check_number("SplitLoss", "each of weights", w, minimum=0)
                for w in _listed("weights", weights, count)
            ]
        if target_sizes is None:
            target_sizes = [
                part.target_size(n) for part, n in zip(self.losses, self.sizes, strict=True)
            ]
        self.target_sizes = [
            check_integer("SplitLoss", "each of target_sizes", n, minimum=1)
            for n in _listed("target_sizes", target_sizes, count)
        ]

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        tasks: list[Any] = [
            "mse",
            {"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": True}},
            "gaussian_nll",
            {"class_name": "Dice", "config": {"axis": -1}},
        ]
        weights = [0.5, 2.0, 1.0, 0.7]
        return [
            (
                {"losses": tasks[:3], "sizes": [2, 3, 4], "target_sizes": [2, 1, 2]},
                _targets_of(2, 3, 2),
                "shares",
                9,
            ),
            ({"losses": ["mse"], "sizes": [9], "weights": [3.0]}, "numbers", "numbers", 9),
            (
                {"losses": tasks, "sizes": [1, 3, 2, 3], "weights": weights},
                _targets_of(1, 3, 1, 3),
                "shares",
                9,
            ),
        ]

    def forward(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """``L = Σ weight_i L_i``; see :meth:`Loss.forward`."""
        y_pred = self._predictions(y_pred)
        y_true = super().targets(y_true, y_pred.shape, y_pred.dtype)
        self.cache.y_pred = y_pred
        columns, outputs = _split(y_true, self.target_sizes), _split(y_pred, self.sizes)
        weights = self._weights_of_parts(sample_weight, y_true.shape)
        values = [
            part.forward(t, p, weight)
            for part, t, p, weight in zip(self.losses, columns, outputs, weights, strict=True)
        ]
        shapes = {np.shape(value) for value in values}
        if len(shapes) > 1:  # only without a reduction
            raise ConfigurationError(
                f"loss {self.name!r}: with reduction={self.reduction!r} the losses have different "
                f"shapes, {', '.join(map(str, sorted(shapes)))}, and cannot be added."
            )
        return self._add_up(values)

    def _weights_of_parts(self, sample_weight: ArrayLike | None, shape: Shape) -> list[Any]:
        """Return the weights of each loss: those of the samples, or its columns of those given."""
        if sample_weight is not None:
            owner = f"loss {self.name!r}"
            given = as_array(owner, "sample_weight", sample_weight)
            if given.ndim == len(shape) and given.shape[-1] != 1:
                check_output_weights(owner, given, shape)
                return _split(given, self.target_sizes)
        return [sample_weight] * len(self.losses)

    def backward(self, denominator: float | None = None) -> Array:
        """``dy_pred = [weight_i dL_i/dy_pred_i, ...]``, side by side; see :meth:`Loss.backward`."""
        y_pred = self.cache.y_pred
        dy = self.buffer("dy", y_pred)
        slices = _split(dy, self.sizes)
        for part, w, dy_part in zip(self.losses, self.factors, slices, strict=True):
            np.multiply(part.backward(denominator), w, out=dy_part)
        return dy.reshape(self.cache.shape)

    @property
    def weighs_outputs(self) -> bool:  # type: ignore[override]
        """Whether each loss with several target columns can weigh them."""
        return all(
            part.weighs_outputs or columns == 1
            for part, columns in zip(self.losses, self.target_sizes, strict=True)
        )

    def target_size(self, outputs: int) -> int:
        """Return the number of target columns, the sum of ``target_sizes``."""
        if outputs != sum(self.sizes):
            raise ShapeError(
                f"loss {self.name!r}: sizes={self.sizes} sum to {sum(self.sizes)}, but the model "
                f"has {outputs} outputs. Change the sizes or the last layer."
            )
        return sum(self.target_sizes)

    def targets(self, y_true: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the targets, checked by each loss."""
        y_true = super().targets(y_true, shape, dtype)
        columns = _split(y_true, self.target_sizes)
        for part, t, n in zip(self.losses, columns, self.sizes, strict=True):
            part_shape = (*shape[:-1], n)
            if part.moves_axis:
                part_shape = part._outputs_last(part_shape)
            if not part.mask_nan:
                check_finite(f"loss {part.name!r}", "y_true", t, mask_nan=part.mask_nan)
            part.targets(t, part_shape, dtype)
        return y_true

    def _shape_hint(self, got: tuple[int, ...], shape: Shape) -> str:
        return (
            f"The losses take {self.target_sizes} consecutive columns: concatenate them with "
            "np.concatenate(..., axis=-1), or pass target_sizes."
        )

    def _copy_loss(self, identifier: Identifier) -> Loss:
        """Return a copy of a loss, with the reduction of this object."""
        try:
            part: Loss = copy.deepcopy(resolve("loss", identifier, Loss))
        except ConfigurationError as error:
            raise type(error)(f"SplitLoss: losses: {error}") from None
        if part.reduction not in ("sum_over_batch_size", self.reduction):
            raise ConfigurationError(
                f"SplitLoss: the loss {part.name!r} has reduction={part.reduction!r}. All losses "
                "share one reduction: pass it to SplitLoss."
            )
        part.reduction = self.reduction
        return part


def _listed(argument: str, value: Any, count: int | None = None) -> list[Any]:
    listed = isinstance(value, (list, tuple, np.ndarray)) and is_iterable(value)
    if not listed or count not in (None, len(value)):
        expected = "a list" if count is None else f"a list of {count}, one per loss"
        raise ConfigurationError(f"SplitLoss: {argument} must be {expected}, got {value!r}.")
    return list(value)


def _split(array: Array, sizes: Sequence[int]) -> list[Array]:
    """Return views of consecutive slices of the last axis."""
    return np.split(array, np.cumsum(sizes)[:-1], axis=-1)
