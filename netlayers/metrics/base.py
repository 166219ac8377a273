"""Base classes of metrics: names, means, sums, and sample weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from netlayers import initializers
from netlayers.arrays.convert import as_array, as_float
from netlayers.checks import check_name, check_numeric_dtype, check_shape, is_foreign
from netlayers.errors import DataError, ShapeError
from netlayers.kernels.exact import inner
from netlayers.losses.given import expand_weights
from netlayers.metrics.variables import Variable, plain_result
from netlayers.registry import (
    Configurable,
    constructor_arguments,
    must_define,
    register,
    snake_case,
)

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike

_FLOAT64 = np.dtype(np.float64)


class Metric(Configurable):
    """Base class. Subclasses implement :meth:`update_state`, :meth:`result`, :meth:`reset_state`.

    A metric accumulates batches; :meth:`result` covers all samples since the last
    :meth:`reset_state` and does not depend on how they are split into batches. A sample of weight
    w counts as w equal samples.

    Args:
        name: name of the metric, its key in the logs.
        dtype: name of a dtype, accepted as in Keras, without effect: metrics compute in float64.

    Attributes:
        direction: ``"max"`` if larger results are better, ``"min"`` if smaller ones are, ``None``
            if neither.
        weights_are_counts: whether a weight of 2 equals the sample being there twice.
        each_batch: whether :meth:`result` is cheap enough for the logs of every batch.

    Example:
        >>> import netlayers as nl
        >>> metric = nl.metrics.MeanSquaredError()
        >>> metric([[1.0], [2.0]], [[1.0], [4.0]])
        2.0
        >>> metric([[1.0]], [[2.0]], sample_weight=[2])
        1.5

        A metric of your own, with a variable as in Keras:

        >>> import numpy as np
        >>> class Hits(nl.metrics.Metric):
        ...     def __init__(self, name=None):
        ...         super().__init__(name)
        ...         self.hits = self.add_variable(())
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.hits.assign_add(np.sum((y_pred > 0.5) == (y_true > 0.5)))
        ...     def result(self):
        ...         return float(self.hits)
        >>> hits = Hits()
        >>> hits(np.array([0, 1, 1]), np.array([0.2, 0.9, 0.4]))
        2.0
    """

    direction: ClassVar[str | None] = None
    dtype: str | None = None
    weights_are_counts = True
    each_batch = True
    _reads: ClassVar[dict[str, None]] = dict.fromkeys(("update_state", "values"))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if is_foreign(cls) and "result" in vars(cls):
            cls.result = plain_result(vars(cls)["result"])  # type: ignore[assignment,method-assign]

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        owner = type(self).__name__
        self.name = check_name(owner, name, snake_case(owner))
        self.dtype = None if dtype is None else check_numeric_dtype(owner, dtype).name

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return ``[(arguments, targets, predictions), ...]`` for ``netlayers.testing``.

        Targets and predictions are named by their kind; see
        :func:`netlayers.testing.check_metric`.
        """
        return [({}, "numbers", "numbers")]

    @must_define()
    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Add a batch: ``args`` or ``kwargs`` are ``y_true, y_pred, sample_weight=None``."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state")

    @must_define()
    def result(self) -> float | Array:
        """Return the metric over all samples since the last reset: a float or a new array."""
        raise NotImplementedError(f"{type(self).__name__} must define result")

    @must_define()
    def reset_state(self) -> None:
        """Reset the metric; by default, set its :attr:`variables` to 0."""
        if not self.variables:
            raise NotImplementedError(f"{type(self).__name__} must define reset_state")
        for variable in self.variables:
            variable.assign(0)

    # As in Keras, for classes of the user ----------------------------------------------------

    def add_variable(
        self, shape: Any = (), initializer: Any = "zeros", dtype: Any = None, name: Any = None
    ) -> Variable:
        """Return a new number or array in float64, which is part of the state.

        Args:
            shape: its shape; ``()`` for a number.
            initializer: name or object of an initializer.
            dtype: accepted as in Keras, without effect.
            name: accepted as in Keras, without effect.
        """
        sizes = check_shape(f"metric {self.name!r}", "shape", shape, minimum=0)
        initialize = initializers.get(initializer) or initializers.Zeros()
        variable = initialize(cast("tuple[int, ...]", sizes), np.float64).view(Variable)
        vars(self).setdefault("_variables", []).append(variable)
        return variable

    add_weight = add_variable  # its other name in Keras

    @property
    def variables(self) -> list[Variable]:
        """What :meth:`add_variable` returned, in this order."""
        return list(vars(self).get("_variables", ()))

    @property
    def _provides(self) -> tuple[str, ...]:
        """Methods that a class need not define, as there are variables."""
        return ("reset_state",) if self.variables else ()

    def get_state(self) -> dict[str, Any]:
        """Return the state accumulated since the last reset, so that a run can be resumed.

        By default, these are all attributes: numbers, strings, arrays and random generators, in
        lists and dicts. Constructor arguments are among them in your own classes, which may change
        them, unless they are tuples, functions or objects. Classes with other state override both
        methods.
        """
        mine = is_foreign(type(self))
        arguments = constructor_arguments(type(self))
        state = {
            name: value.numpy() if isinstance(value, Variable) else value
            for name, value in vars(self).items()
            if name not in arguments or (mine and _is_plain(value))
        }
        if "_variables" in state:
            state["_variables"] = [np.array(variable) for variable in self.variables]
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the ``state`` that :meth:`get_state` returned."""
        for name, value in state.items():
            if name == "_variables":
                for variable, its in zip(self.variables, value, strict=True):
                    variable.assign(its)
            elif not isinstance(vars(self).get(name), Variable):
                setattr(self, name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> float | Array:
        """Add a batch and return the result so far, as in Keras."""
        self.update_state(*args, **kwargs)
        return self.result()


@register("metric")
class Sum(Metric):
    """Weighted sum of values: ``Σ w v``.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> nl.metrics.Sum()([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
        4.0
    """

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.reset_state()

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, None, "numbers")]

    def update_state(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Add ``values``; ``sample_weight`` matches their leading axes."""
        values = as_array(f"metric {self.name!r}", "values", values)
        self._total += weighted_sum(self, values, sample_weight)[0]

    def result(self) -> float:
        """Return the sum; 0 if empty."""
        return float(self._total)

    def reset_state(self) -> None:
        """Reset the metric."""
        self._total = 0.0


@register("metric")
class Mean(Metric):
    """Weighted mean of values: ``Σ w v / Σ w``.

    Args:
        name: name of the metric, its key in the logs.
        dtype: see :class:`Metric`.

    Example:
        >>> import netlayers as nl
        >>> nl.metrics.Mean()([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
        2.0
    """

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.reset_state()

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [({}, None, "numbers")]

    def update_state(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Add ``values``; ``sample_weight`` matches their leading axes."""
        values = as_array(f"metric {self.name!r}", "values", values)
        total, weight = weighted_sum(self, values, sample_weight)
        self._total += total
        self._weight += weight

    def add(self, value: float, weight: float = 1) -> None:
        """Add ``value`` with the given ``weight``."""
        self._total += value * weight
        self._weight += weight

    def result(self) -> float:
        """Return the mean; 0 if empty."""
        return self._total / self._weight if self._weight else 0.0

    def reset_state(self) -> None:
        """Reset the metric."""
        self._total = 0.0
        self._weight: float = 0  # remains an integer for integer weights

    def get_state(self) -> dict[str, Any]:
        """Return the sums."""
        return {"_total": self._total, "_weight": self._weight}


class MeanMetric(Mean):
    """Base class of metrics that are means over samples. Subclasses implement :meth:`values`.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> class LargestError(nl.metrics.MeanMetric):
        ...     def values(self, y_true, y_pred):
        ...         return np.abs(y_true - y_pred).max(axis=-1)
        >>> LargestError()([[1.0, 2.0], [3.0, 4.0]], [[1.0, 4.0], [3.0, 3.0]])
        1.5
    """

    @staticmethod
    def examples() -> list[tuple[Any, ...]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return Metric.examples()

    @must_define("update_state")
    def values(self, y_true: Array, y_pred: Array) -> Array:
        """Return one number or boolean per sample or output, for ``y_true`` and ``y_pred``."""
        raise NotImplementedError(f"{type(self).__name__} must define values")

    def update_state(  # type: ignore[override]  # takes targets and predictions, not values
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add the samples of a batch with their weights."""
        owner = f"metric {self.name!r}"
        y_pred = as_array(owner, "y_pred", y_pred)
        if not y_pred.ndim:
            raise ShapeError(f"{owner}: y_pred must be an array (batch, ...), got {y_pred!r}.")
        values = self.values(as_array(owner, "y_true", y_true), y_pred)
        total, weight = weighted_sum(self, values, sample_weight)
        self._total += total
        self._weight += weight


def _is_plain(value: Any) -> bool:
    """Whether a value is a number, a string or an array, or a list or dict of these."""
    if isinstance(value, (list, dict)):
        return all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    return value is None or isinstance(value, (bool, int, float, str, np.ndarray, np.generic))


def weighted_sum(
    metric: Metric, values: Array, sample_weight: ArrayLike | None
) -> tuple[float, float]:
    """Return ``Σ w v`` and ``Σ w``: as integers for unweighted booleans, else in float64."""
    if sample_weight is None:
        if values.dtype == bool:
            return int(np.count_nonzero(values)), values.size
        return float(np.add.reduce(values, axis=None, dtype=np.float64)), values.size
    weight = broadcast_weights(metric, sample_weight, values.shape)
    return inner(values.reshape(-1), weight), float(weight.sum())


def checked_weights(metric: Metric, sample_weight: ArrayLike) -> Array:
    """Return the sample weights as float64.

    Raises:
        DataError: one is negative or not finite.
    """
    owner = f"metric {metric.name!r}"
    weight = as_float(owner, "sample_weight", sample_weight, _FLOAT64)
    if weight.size and not 0 <= weight.min() <= weight.max() < math.inf:
        raise DataError(
            f"{owner}: sample_weight must hold finite numbers >= 0, got values from "
            f"{weight.min()} to {weight.max()}."
        )
    return weight


def broadcast_weights(metric: Metric, sample_weight: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return the sample weights broadcast to ``shape``, as a flat float64 array.

    A number weighs every value, and an axis of length 1 is broadcast.

    Raises:
        ShapeError: there is not one weight per sample (or per time step of a sample, ...).
        DataError: one is negative or not finite.
    """
    weight = checked_weights(metric, sample_weight)
    expanded = expand_weights(weight, shape)
    while expanded is None:
        if weight.ndim < 2 or weight.shape[-1] != 1:
            hint = ""
            if weight.ndim > len(shape):
                hint = (
                    " The metric has one value per sample: it cannot weigh single outputs, nor "
                    "leave out unknown targets of a sample (mask_nan=True)."
                )
            raise ShapeError(
                f"metric {metric.name!r}: sample_weight has the shape {np.shape(sample_weight)}, "
                f"expected {shape[:1]}, one weight per sample.{hint}"
            )
        weight = weight[..., 0]
        expanded = expand_weights(weight, shape)
    return expanded.reshape(-1)
