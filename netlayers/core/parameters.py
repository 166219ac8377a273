"""All learned values of a model in one flat vector, all gradients in a second.

A layer holds named views into them. Whatever works on the whole model (an optimizer's rule, a norm
for clipping, a check of the gradient) then works on one array, however many layers there are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.arrays import as_float
from netlayers.core.gradients import RowGradient, rows_of
from netlayers.core.workspace import aligned
from netlayers.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlayers._typing import Array, Dtype, Weights
    from netlayers.constraints import Constraint
    from netlayers.core.layer import Layer
    from netlayers.initializers import Initializer
    from netlayers.regularizers import Regularizer


class Parameter:
    """One named array of a layer, and its place in the vectors.

    Attributes:
        layer: the layer that declared it.
        name: attribute name in the layer, such as ``"kernel"``.
        shape: its shape.
        initializer: fills it.
        regularizer: penalty on it, or ``None``.
        statistic: a running statistic: kept with the model, never seen by an optimizer.
        constraint: what is true of it after each update, or ``None``.
        row_gradient: its gradient is a :class:`RowGradient`, for a table of which a batch touches
            few rows.
        slice: its place in ``values`` and ``gradients`` (or in ``statistics``).
        own: its place in the model's own order, that of the layers, in which files and optimizers
            keep what belongs to each learned value (as ``slice`` for a statistic).
        value: view into the values; ``None`` until bound.
        gradient: view into the gradients, or a ``RowGradient``; ``None`` until bound, and for a
            statistic.
    """

    def __init__(
        self,
        layer: Layer,
        name: str,
        shape: tuple[int, ...],
        initializer: Initializer,
        regularizer: Regularizer | None = None,
        statistic: bool = False,
        constraint: Constraint | None = None,
        row_gradient: bool = False,
    ) -> None:
        self.layer = layer
        self.name = name
        self.shape = shape
        self.size = math.prod(shape)
        self.initializer = initializer
        self.regularizer = regularizer
        self.statistic = statistic
        self.constraint = constraint
        if constraint is not None:
            constraint.check_shape(f"{layer.owner}: {name}", shape)
        self.row_gradient = row_gradient
        self.slice = self.own = slice(0, 0)
        self.value: Array | None = None
        self.gradient: Array | None = None

    @property
    def trainable(self) -> bool:
        """Whether an optimizer changes it: no statistic, and its layer is not frozen."""
        return not self.statistic and self.layer.trainable

    @property
    def learning_rate_multiplier(self) -> float:
        """The factor for the learning rate: its layer's, times those of the containers around."""
        return self.layer.learning_rate_multiplier * self.layer.outer_multiplier

    @property
    def path(self) -> str:
        """``layer/parameter``, with the containers in front, as messages and tables name it."""
        return f"{self.layer.path}/{self.name}"

    def __getstate__(self) -> dict[str, Any]:
        # A copied or unpickled view would no longer be part of a vector: keep the numbers alone.
        state = self.__dict__.copy()
        state["value"] = None if self.value is None else self.value.copy()
        state["gradient"] = None
        return state


class ParameterVector:
    """The vectors, and where each parameter lies in them.

    Attributes:
        values: every learned value, flat; those with a gradient by rows come last.
        gradients: dL/dvalue, in the same places, as far as it is no gradient by rows; ``backward``
            overwrites it.
        size: number of learned values.
        statistics: running statistics, flat.
        all: every :class:`Parameter`, in the order of the layers.
        tensors: the trainable ones.
        segments: slices of the vectors that an optimizer changes, neighbours merged: one slice
            covering everything unless layers are frozen or learn at 0 times the learning rate.
    """

    def __init__(self, parameters: Sequence[Parameter], dtype: Dtype) -> None:
        def size(statistic: bool, row_gradient: bool = False) -> int:
            return sum(
                p.size
                for p in parameters
                if p.statistic is statistic and p.row_gradient is row_gradient
            )

        self.dtype = dtype
        self.all = list(parameters)
        dense = size(False)
        self.size = dense + size(False, row_gradient=True)
        self.values = aligned(self.size, dtype)
        self.gradients = aligned(dense, dtype)
        self.statistics = aligned(size(True), dtype)
        # Next free place: of statistics, of values with a gradient by rows, of the other values.
        ends, own = {(True, False): 0, (False, True): dense, (False, False): 0}, 0
        for p in self.all:
            kind = p.statistic, p.row_gradient
            start = ends[kind]
            ends[kind] = start + p.size
            p.slice = p.own = slice(start, start + p.size)
            if not p.statistic:
                p.own = slice(own, own + p.size)
                own += p.size
            vector = self.statistics if p.statistic else self.values
            view = vector[p.slice].reshape(p.shape)
            if p.value is not None:  # it comes from another vector, with its numbers
                view[...] = p.value
            p.value = view
            if p.row_gradient:
                p.gradient = RowGradient(p.shape, dtype)  # type: ignore[assignment]
            else:
                p.gradient = None if p.statistic else self.gradients[p.slice].reshape(p.shape)
        self.refresh()

    def refresh(self) -> None:
        """Find the trainable parameters again, after a layer was frozen, thawed or slowed down."""
        self.tensors = [p for p in self.all if p.trainable]
        self.regularized = [p for p in self.tensors if p.regularizer is not None]
        changed = [p for p in self.tensors if p.learning_rate_multiplier]
        self.constrained = [p for p in changed if p.constraint is not None]
        for p in self.all:
            p.layer.learns = False
        for p in self.tensors:
            p.layer.learns = True
        self.segments = [segment for _, segment, _ in self.runs(lambda p: None)]
        for p in self.all:
            if p.trainable or p.gradient is None:
                continue
            if p.row_gradient:
                rows_of(p).clear()
            else:
                p.gradient[...] = 0

    def runs(self, key: Callable[[Parameter], Any]) -> list[tuple[Any, slice, slice]]:
        """Cut what an optimizer changes where ``key(parameter)`` changes.

        Returns:
            Keys, each with a slice of the vectors and the slice of the same values in the model's
            own order: neighbours of one key are one slice.
        """
        found: list[tuple[Any, slice, slice]] = []
        for p in self.tensors:
            if p.learning_rate_multiplier == 0:
                continue
            here, at, own = (key(p), p.row_gradient), p.slice, p.own
            if found and found[-1][0] == here:
                _, before, own_before = found[-1]
                if before.stop == at.start and own_before.stop == own.start:
                    at, own = slice(before.start, at.stop), slice(own_before.start, own.stop)
                    found.pop()
            found.append((here, at, own))
        return [(here, at, own) for (here, _), at, own in found]

    def initialize(self, new: Sequence[Parameter], rng: Callable[[str], Any]) -> None:
        """Fill the parameters in ``new`` with starting values; ``rng`` gives a stream by path."""
        for p in new:
            assert p.value is not None
            p.initializer.fill(p.value, rng(f"initialize/{p.path}"))

    def regularization(self) -> float:
        """Return the sum of all penalties."""
        return sum(p.regularizer(p.value) for p in self.regularized)  # type: ignore[misc,arg-type]

    def add_regularization_gradients(self, workspace: Any) -> None:
        """Add the penalties' gradients to ``gradients``, in place."""
        for p in self.regularized:
            scratch = workspace("regularization", p.shape, self.dtype)
            gradient = rows_of(p).dense() if p.row_gradient else p.gradient
            p.regularizer.add_gradient(p.value, gradient, scratch)  # type: ignore[union-attr,arg-type]
            if p.row_gradient:  # a penalty is on all rows
                rows_of(p).set_dense(gradient)

    def dense_gradients(self) -> Array:
        """Return the gradients beside all values: ``gradients``, unless some are by rows."""
        if self.gradients.size == self.size:
            return self.gradients
        dense = np.zeros(self.size, self.dtype)
        dense[: self.gradients.size] = self.gradients
        for p in self.all:
            if p.row_gradient:
                dense[p.slice] = rows_of(p).dense().reshape(-1)
        return dense

    def constrain(self) -> None:
        """Make all constraints true again, in place; an optimizer does so after each update."""
        for p in self.constrained:
            p.constraint.apply(p.value)  # type: ignore[union-attr,arg-type]


def copy_into(owner: str, parameters: Sequence[Parameter], weights: Weights) -> None:
    """Copy arrays into parameters, all or none.

    Raises:
        ShapeError: the number of arrays or a shape differs.
    """
    if len(weights) != len(parameters):
        raise ShapeError(
            f"{owner}: set_weights() expected {len(parameters)} arrays, got {len(weights)}."
        )
    arrays = []
    for p, weight in zip(parameters, weights, strict=True):
        array = as_float(owner, p.path, weight, np.dtype(p.value.dtype))  # type: ignore[union-attr]
        if array.shape != p.shape:
            raise ShapeError(
                f"{owner}: the weight {p.path!r} has the shape {p.shape}, got {array.shape}."
            )
        arrays.append(array)
    for p, array in zip(parameters, arrays, strict=True):
        p.value[...] = array  # type: ignore[index]
