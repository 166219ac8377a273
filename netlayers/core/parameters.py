"""All trainable values of a model in one flat vector, all gradients in a second.

A layer holds named views into them. Operations on the whole model (an update rule, a norm for
clipping, a gradient check) thus work on one array, regardless of the number of layers. Models that
share layers share one vector; each keeps its own list of slices.
"""

from __future__ import annotations

import math
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet, ref

import numpy as np

from netlayers._warn import warn
from netlayers.arrays.convert import all_finite, as_float
from netlayers.checks import check_list
from netlayers.core.gradients import RowGradient
from netlayers.errors import ShapeError
from netlayers.kernels.memory import Pool, Workspace, aligned, allocate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from netlayers._typing import Array, Dtype, Shape, Weights
    from netlayers.arrays.spec import InputSpec
    from netlayers.constraints import Constraint
    from netlayers.initializers import Initializer
    from netlayers.regularizers import Regularizer


class WeightHolder(Protocol):
    """What weights require of the layer or model that holds them."""

    input_shape: Shape | None
    declared_parameters: list[Parameter]
    _dtype: Dtype
    _trainable: bool
    _multiplier: float
    _outer_multiplier: float
    workspace: Workspace
    _views: dict[str, Array]
    _row: tuple[int | None, ...] | None
    _vector: ParameterVector | None
    _parameters: Parameters | None

    @property
    def owner(self) -> str: ...  # noqa: D102
    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def _has_trainable_weights(self) -> bool: ...
    @property
    def input_spec(self) -> InputSpec | tuple[InputSpec, ...]: ...  # noqa: D102
    def _bind_alone(self) -> None: ...


class Parameter:
    """One named array of a layer, and its slice of the vectors.

    Attributes:
        layer: the layer that declared it.
        name: attribute name in the layer, such as ``"kernel"``.
        shape: its shape.
        initializer: fills it.
        regularizer: penalty on the weight, or ``None``.
        statistic: a running statistic or another stored array that no optimizer changes; it has no
            gradient.
        constraint: constraint applied to it after each update, or ``None``.
        own_dtype: dtype of a statistic that differs from the layer's, or ``None``.
        row_gradient: the gradient is a :class:`RowGradient`, for a table of which a batch uses few
            rows.
        vector: the vector that contains it; ``None`` until bound.
        slice: its slice of ``values`` and ``gradients``, or of ``statistics``.
        value: its values, a view into the vector; ``None`` until bound.
    """

    aliases: tuple[str, ...] = ()  # further attributes of the layer that are its values
    auto_named = False  # add_weight was given no name

    def __init__(
        self,
        layer: WeightHolder,
        name: str,
        shape: tuple[int, ...],
        initializer: Initializer,
        regularizer: Regularizer | None,
        statistic: bool,
        constraint: Constraint | None,
        own_dtype: Dtype | None,
        row_gradient: bool,
    ) -> None:
        self.layer = layer
        self.name = name
        self.shape = shape
        self.size = math.prod(shape)
        self.initializer = initializer
        self.regularizer = regularizer
        self.statistic = statistic
        self.constraint = constraint
        self.own_dtype = own_dtype
        self.row_gradient = row_gradient
        if constraint is not None:
            constraint.check_shape(f"{layer.owner}: {name}", shape)
        self.vector: ParameterVector | None = None
        self.slice = slice(0, 0)
        self.value: Array | None = None
        self._gradient: Any = None

    def __array__(self, *args: Any, **kwargs: Any) -> Array:
        self.layer._bind_alone()
        return np.array(self.value, *args, **kwargs)

    @property
    def dtype(self) -> Dtype:
        """The dtype of its values."""
        return self.layer._dtype if self.own_dtype is None else self.own_dtype

    @property
    def gradient(self) -> Any:
        """dL/dvalue, a view into the vector or a :class:`RowGradient`.

        ``None`` until bound, and for a statistic.
        """
        if self._gradient is None and self.vector is not None and not self.statistic:
            if self.row_gradient:
                self._gradient = RowGradient(self.shape, self.vector.dtype)
            else:
                self._gradient = self.vector.gradients[self.slice].reshape(self.shape)
        return self._gradient

    def clear_gradient(self) -> None:
        """Set the gradient to zero."""
        if self.row_gradient:
            rows_of(self).clear()
        elif not self.statistic:
            self.gradient[...] = 0

    @property
    def trainable(self) -> bool:
        """Whether an optimizer changes it: not a statistic, and its layer is not frozen."""
        return not self.statistic and self.layer._trainable

    @property
    def learning_rate_multiplier(self) -> float:
        """The learning-rate factor: that of its layer times those of the containers."""
        return self.layer._multiplier * self.layer._outer_multiplier

    @property
    def path(self) -> str:
        """``layer/parameter``, prefixed with the containers, as in messages and tables."""
        return f"{self.layer.path}/{self.name}"

    def move(self, vector: ParameterVector, place: slice) -> None:
        """Move to ``vector`` and keep the values."""
        old = self.value
        if self.own_dtype is not None:
            view = aligned(self.size, self.own_dtype).reshape(self.shape) if old is None else old
        else:
            memory = vector.statistics if self.statistic else vector.values
            view = memory[place].reshape(self.shape)
            if old is not None:
                view[...] = old
        self.vector, self.slice, self.value, self._gradient = vector, place, view, None

    def __getstate__(self) -> dict[str, Any]:
        # A copied or unpickled view would no longer be part of a vector: keep only the values.
        state = self.__dict__.copy()
        state["value"] = None if self.value is None else self.value.copy()
        state["vector"] = state["_gradient"] = None
        return state


def rows_of(p: Parameter) -> RowGradient:
    """Return the row gradient of a parameter."""
    return p.gradient


def gradient_of(p: Parameter) -> Any:
    """Return the gradient of a weight as an array."""
    dense = getattr(p.gradient, "dense", None)
    return p.gradient if dense is None else dense()


class Users(dict[str, Any]):
    """The calls that use the models of a vector, by what they do.

    Attributes:
        whole: held by who changes the weights in a step, or copies them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.whole = RLock()


class ParameterVector:
    """The vectors of connected weights and of their gradients.

    Args:
        parameters: the parameters in order; existing values are kept.
        dtype: their dtype.

    Attributes:
        values: all trainable values, flat; those with a row gradient come last.
        statistics: running statistics of the same dtype, flat.
        models: the :class:`Parameters` of the models (and layers outside of models) in it.
        layers: the layers and models whose weights are in it.
        version: a new object whenever what is trainable may have changed.
        users: calls that hold the lock of one of these models, see ``one_at_a_time``.
        pool: memory for the gradients between layers.
        gradients_ready: called with each slice of ``gradients`` once it is complete, or ``None``.
    """

    def __init__(self, parameters: Iterable[Parameter], dtype: Dtype) -> None:
        self.dtype = dtype
        here = list(parameters)
        self._all = [ref(p) for p in here]  # weak: a deleted model does not keep layers alive
        dense = sum(p.size for p in here if not p.statistic and not p.row_gradient)
        # Next free position: of statistics, of values with row gradients, of the other values.
        ends = {(True, False): 0, (False, True): dense, (False, False): 0}
        places = []
        for p in here:
            kind = p.statistic, p.row_gradient
            start = ends[kind]
            if p.own_dtype is None:
                ends[kind] = start + p.size
            places.append(slice(start, ends[kind]))
        self.values, self.statistics = allocate(here, (ends[False, True], ends[True, False]), dtype)
        self._dense = dense
        self._gradients: Array | None = None
        for p, place in zip(here, places, strict=True):
            p.move(self, place)
        self.models: WeakSet[Parameters] = WeakSet()
        self.layers: WeakSet[WeightHolder] = WeakSet()
        self.version = object()
        self.users, self.pool = Users(), Pool()
        self.gradients_ready: Callable[[slice], None] | None = None

    @property
    def all(self) -> list[Parameter]:
        """The parameters in the vector."""
        found = [known() for known in self._all]
        return [p for p in found if p is not None and p.vector is self]

    @property
    def gradients(self) -> Array:
        """dL/dvalue, in the layout of the values, except for row gradients.

        ``backward`` overwrites it. It is allocated on first use: a model that only predicts does
        not need it.
        """
        if self._gradients is None:
            self._gradients = aligned(self._dense, self.dtype)
        return self._gradients

    def refresh(self) -> None:
        """Update the trainable parameters after a layer was frozen or its rate changed."""
        for p in self.all:
            p.layer._has_trainable_weights = False  # type: ignore[misc]
        for p in self.all:
            if p.trainable:
                p.layer._has_trainable_weights = True  # type: ignore[misc]
            elif self._gradients is not None:
                p.clear_gradient()
        self.version = object()
        for parameters in self.models:
            parameters.refresh()


class Parameters:
    """The parameters of one model, and their slices of the vector.

    Args:
        parameters: the parameters, in the order of the model's layers.
        vector: the vector that contains them, possibly with those of other models.

    Attributes:
        all: every :class:`Parameter`.
        vector: the :class:`ParameterVector`.
        dtype: dtype of the values.
        values: the vector's values, flat. A model that shares no layer owns all of them.
        statistics: the vector's running statistics, flat.
        size: number of learned values of this model.
        tensors: the trainable parameters.
        segments: slices of the vector that an optimizer changes, neighbours merged: one slice
            covering everything unless layers are frozen, shared, or learn at 0 times the rate.
    """

    def __init__(self, parameters: Sequence[Parameter], vector: ParameterVector) -> None:
        self.all = list(parameters)
        self._own_places: dict[int, int] = {}
        self.size = 0
        for p in self.all:
            if not p.statistic:
                self._own_places[id(p)] = self.size
                self.size += p.size
        self.attach(vector)

    def attach(self, vector: ParameterVector) -> None:
        """Set the vector."""
        self.vector, self.dtype = vector, vector.dtype
        self.values, self.statistics = vector.values, vector.statistics
        vector.models.add(self)
        self.refresh()

    @property
    def gradients(self) -> Array:
        """dL/dvalue, in the layout of the values; ``backward`` overwrites it."""
        return self.vector.gradients

    def refresh(self) -> None:
        """Update the list of trainable parameters; see :meth:`ParameterVector.refresh`."""
        self.tensors = [p for p in self.all if p.trainable]
        self.regularized = [p for p in self.tensors if p.regularizer is not None]
        changed = [p for p in self.tensors if p.learning_rate_multiplier]
        self.constrained = [p for p in changed if p.constraint is not None]
        self.segments = [place for _, place, _ in self.runs(lambda p: None)]

    def runs(self, key: Callable[[Parameter], Any]) -> list[tuple[Any, slice, slice]]:
        """Split the values that an optimizer changes where ``key(parameter)`` changes.

        Returns:
            Keys with slices of the vector, and of the model's own values in their order, where an
            optimizer keeps its state: neighbours of one key are one slice.
        """
        found: list[tuple[Any, slice, slice]] = []
        for p in self.tensors:
            if p.learning_rate_multiplier == 0:
                continue
            here, at, own = (key(p), p.row_gradient), p.slice, self.own_slice(p)
            if found and found[-1][0] == here:
                _, before, own_before = found[-1]
                if before.stop == at.start and own_before.stop == own.start:
                    at, own = slice(before.start, at.stop), slice(own_before.start, own.stop)
                    found.pop()
            found.append((here, at, own))
        return [(here, at, own) for (here, _), at, own in found]

    def own_slice(self, p: Parameter) -> slice:
        """Return the slice of a trainable parameter in the model's own values."""
        start = self._own_places[id(p)]
        return slice(start, start + p.size)

    def regularization(self) -> float:
        """Return the sum of all penalties."""
        return sum(p.regularizer(p.value) for p in self.regularized)  # type: ignore[misc,arg-type]

    def add_regularization_gradients(self, workspace: Workspace | None = None) -> None:
        """Add the penalties' gradients to ``gradients``, in place."""
        self.penalties_added, workspace = True, workspace or Workspace()  # see OwnSteps
        for p in self.regularized:
            scratch = workspace("regularization", p.shape, self.dtype)
            gradient = rows_of(p).dense() if p.row_gradient else p.gradient
            p.regularizer.add_gradient(p.value, gradient, scratch)  # type: ignore[union-attr,arg-type]
            if p.row_gradient:  # a penalty applies to all rows
                rows_of(p).set_dense(gradient)

    def dense_gradients(self) -> Array:
        """Return the dense gradients: ``gradients``, unless there are row gradients."""
        gradients = self.gradients
        if gradients.size == self.values.size:
            return gradients
        dense = np.zeros(self.values.size, self.dtype)
        dense[: gradients.size] = gradients
        for p in self.all:
            if p.row_gradient:
                dense[p.slice] = rows_of(p).dense().reshape(-1)
        return dense

    def constrain(self) -> None:
        """Apply all constraints, in place; an optimizer does so after each update."""
        for p in self.constrained:
            p.constraint.apply(p.value)  # type: ignore[union-attr,arg-type]


def copy_into(owner: str, parameters: Sequence[Parameter], weights: Weights) -> None:
    """Copy arrays into parameters, all or none.

    Raises:
        ShapeError: the number of arrays or a shape differs.
    """
    weights = check_list(f"{owner}: set_weights()", "weights", weights, "arrays")
    count = len(parameters)
    if len(weights) != count:
        raise ShapeError(f"{owner}: set_weights() expected {count} arrays, got {len(weights)}.")
    arrays = []
    for p, weight in zip(parameters, weights, strict=True):
        array = as_float(owner, p.path, weight, p.dtype)
        if array.shape != p.shape:
            raise ShapeError(
                f"{owner}: the weight {p.path!r} has the shape {p.shape}, got {array.shape}."
            )
        arrays.append(array)
        if not all_finite(array):
            warn(f"{owner}: set_weights() got NaN or infinity for the weight {p.path!r}.")
    for p, array in zip(parameters, arrays, strict=True):
        p.value[...] = array  # type: ignore[index]
