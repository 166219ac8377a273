"""Keras's methods of optimizers that take gradients and weights as lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_float
from netlayers.core.binding import vector_of
from netlayers.core.parameters import Parameter, Parameters
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.optimizers.schedules import LearningRateSchedule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlayers._typing import Array


def variables(optimizer: Any) -> list[Array]:
    """Return the number of updates and the learning rate, then the state vectors, as views.

    Each vector holds the state of all weights, in the model's order of parameters.
    """
    counters = [np.array(optimizer.iterations), np.array(optimizer.learning_rate)]
    return [*counters, *optimizer.state.values()]


def set_weights(self: Any, weights: Sequence[Any]) -> None:  # noqa: D417 - a method
    """Set number of updates, learning rate and state to copies of the ``variables`` of another.

    Args:
        weights: what ``variables`` is of an optimizer of this class, for a model of as many
            weights. The learning rate of a schedule follows from the number of updates.

    Raises:
        ConfigurationError: this optimizer has no state before :meth:`build` or the first update.
        ShapeError: the number of arrays, or the shape of one, differs; nothing is changed.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1)
        >>> layer.build((None, 2))
        >>> first, second = nl.optimizers.Adam(), nl.optimizers.Adam()
        >>> first.apply([np.ones((2, 1)), np.ones(1)], layer.trainable_variables)
        True
        >>> second.build(layer.trainable_variables)
        >>> second.set_weights(first.variables)
        >>> second.iterations
        1
    """
    owner = type(self).__name__
    if self._parameters is None:
        raise ConfigurationError(
            f"{owner}: set_weights() needs the state, which does not exist yet; call "
            "build(model.trainable_variables) first."
        )
    counters, vectors = [np.array(0), np.array(0.0)], list(self.state.values())
    given = [np.asarray(w) for w in weights]
    shapes, expected = [w.shape for w in given], [v.shape for v in (*counters, *vectors)]
    if shapes != expected:
        raise ShapeError(
            f"{owner}: set_weights() got arrays of the shapes {shapes}, expected {expected}: the "
            f"number of updates, the learning rate, {', '.join(self.state)}."
        )
    self.iterations = int(given[0])
    if not isinstance(self._learning_rate, LearningRateSchedule):
        self.learning_rate = float(given[1])
    for vector, value in zip(vectors, given[2:], strict=True):
        vector[...] = value


def build(self: Any, variables: Sequence[Array]) -> None:  # noqa: D417 - a method
    """Allocate the state for weights, such as ``model.trainable_variables``.

    Args:
        variables: weights of one built model, or ``model.parameters``.

    Raises:
        ConfigurationError: they are not weights of one model, or this optimizer holds the state of
            others.
    """
    self.bind(_parameters_of(self, variables))


def apply(  # noqa: D417 - a method
    self: Any, grads: Sequence[Any], trainable_variables: Sequence[Array] | None = None
) -> bool:
    """Update weights with gradients given as arrays, which overwrite those of ``backward``.

    :meth:`step` uses the gradients of ``backward`` where they are.

    Args:
        grads: a gradient for each weight, of its shape.
        trainable_variables: the weights, such as ``model.trainable_variables``; by default those of
            the last call, or of :meth:`build`.

    Returns:
        Whether the update took place, see :meth:`step`.

    Raises:
        ConfigurationError: the weights are not those of one model.
        ShapeError: the number of gradients, or the shape of one, differs.
        NonFiniteError: a gradient is not finite; no weight changes.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones")
        >>> layer.build((None, 2))
        >>> nl.optimizers.SGD(0.1).apply([np.ones((2, 1)), np.ones(1)], layer.trainable_variables)
        True
        >>> layer.kernel.tolist(), layer.bias.tolist()
        ([[0.8999999761581421], [0.8999999761581421]], [-0.10000000149011612])
    """
    owner = type(self).__name__
    if trainable_variables is None:
        if self._parameters is None:
            raise ConfigurationError(
                f"{owner}: apply(grads) needs the weights in the first call: "
                "apply(grads, model.trainable_variables)."
            )
        parameters = self._parameters
    else:
        parameters = _parameters_of(self, trainable_variables)
    weights = parameters.tensors
    grads = list(grads)
    if len(grads) != len(weights):
        raise ShapeError(
            f"{owner}: apply() got {len(grads)} gradients for {len(weights)} weights, "
            f"{', '.join(p.path for p in weights)}."
        )
    arrays = []
    for p, g in zip(weights, grads, strict=True):
        if g is None:
            raise ConfigurationError(
                f"{owner}: apply() got None as the gradient of {p.path!r}; pass zeros, or freeze "
                "the layer with trainable=False."
            )
        array = as_float(owner, f"the gradient of {p.path!r}", g, p.dtype)
        if array.shape != p.shape:
            raise ShapeError(
                f"{owner}: the gradient of {p.path!r} has the shape {array.shape}, expected "
                f"{p.shape}."
            )
        arrays.append(array)
    for p, array in zip(weights, arrays, strict=True):
        if p.row_gradient:
            p.gradient.set_dense(array)
        else:
            p.gradient[...] = array
    updated: bool = self.step(parameters)
    return updated


def apply_gradients(self: Any, grads_and_vars: Iterable[tuple[Any, Array]]) -> int:
    """Update weights from pairs ``(gradient, weight)``; return the number of updates so far.

    See :meth:`apply`.

    Args:
        self: the optimizer.
        grads_and_vars: the pairs, such as ``zip(grads, model.trainable_variables)``.
    """
    pairs = list(grads_and_vars)
    if any(not isinstance(pair, (tuple, list)) or len(pair) != 2 for pair in pairs):
        raise ConfigurationError(
            f"{type(self).__name__}: apply_gradients() takes pairs (gradient, weight), such as "
            "zip(grads, model.trainable_variables)."
        )
    self.apply([g for g, _ in pairs], [w for _, w in pairs])
    count: int = self.iterations
    return count


def _parameters_of(optimizer: Any, weights: Any) -> Parameters:
    """Return the parameters that weights, given as views, belong to; in their order.

    Raises:
        ConfigurationError: they are not weights of one model.
    """
    if isinstance(weights, Parameters):
        return weights
    owner, weights = type(optimizer).__name__, list(weights)
    found: list[Parameter] = []
    for weight in weights:
        vector = weight.vector if isinstance(weight, Parameter) else vector_of(weight)
        p = None
        for known in () if vector is None else vector.all:
            if known is weight or _is_view(known, weight):
                p = known
        if p is None or not p.trainable or p.vector is not (found or [p])[0].vector:
            raise ConfigurationError(
                f"{owner}: the variables must be the trainable weights of one built model, such as "
                "model.trainable_variables: views, not copies. For plain arrays use scipy.optimize."
            )
        found.append(p)
    bound = optimizer._parameters
    if bound is not None and _same(bound.tensors, found):
        return bound
    vector = found[0].vector if found else None
    assert vector is not None
    for parameters in vector.models:
        if _same(parameters.tensors, found):
            return parameters
    if bound is None:
        return Parameters(found, vector)
    raise ConfigurationError(
        f"{owner}: this optimizer updates {', '.join(p.path for p in bound.tensors)}; got "
        f"{', '.join(p.path for p in found)}. Give all of them, in this order, or create a new "
        "optimizer for others."
    )


def _is_view(p: Parameter, weight: Any) -> bool:
    same = p.value is not None and p.value.ctypes.data == weight.ctypes.data
    return same and p.shape == weight.shape


def _same(one: Sequence[Parameter], other: Sequence[Parameter]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
