"""Mistakes in classes of the user that would change nothing: found in the first step of a run.

The package's own classes are left out, and no later step pays for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.checks import is_foreign
from netlayers.errors import ConfigurationError

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.core.module import Module
    from netlayers.core.parameters import Parameter
    from netlayers.data.batch import Batch
    from netlayers.training.step import Steps


class FirstStep:
    """Stands in for two methods of ``Steps`` in its next step.

    Args:
        steps: they compute the training steps of a run.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._layers = [its for its in steps.model._flatten_layers() if is_foreign(its)]

    def watch(self) -> None:
        """Check the next step, if there is anything to check."""
        steps = self._steps
        check_functions(steps)
        if steps.updates_itself:
            return
        if self._layers:
            vars(steps)["compute_gradients"] = self._compute_gradients
        if is_foreign(steps.optimizer):
            vars(steps)["update"] = self._update

    def _compute_gradients(self, batch: Batch) -> float:
        """Check that each layer writes the gradients of its weights."""
        del self._steps.compute_gradients
        weights = list(self._own_weights())
        for _, p in weights:
            _mark(p.gradient)
        loss = self._steps.compute_gradients(batch)
        for layer, p in weights:
            if np.isfinite(loss) and _is_marked(p.gradient) and p.layer is not layer:
                raise ConfigurationError(
                    f"{layer.owner} ({type(layer).__name__}): backward() must call backward of its "
                    f"layer {p.layer.path!r}, whose weights have no gradient yet."
                )
            if np.isfinite(loss) and _is_marked(p.gradient):
                raise ConfigurationError(
                    f"{layer.owner} ({type(layer).__name__}): backward() must write "
                    f"d_{p.name}, the gradient of its weight {p.name!r}, by "
                    f"self.d_{p.name}[...] = ...; it left it as it was, or only added to it."
                )
        return loss

    def _own_weights(self) -> list[tuple[Module, Parameter]]:
        return [
            (layer, p)
            for layer in self._layers
            if layer.trainable
            for p in layer.declared_parameters
            if p.trainable and not p.statistic and not p.row_gradient
        ]

    def _update(self, count: int) -> float:
        """Warn if the rule of the optimizer changes no weight."""
        steps, optimizer = self._steps, self._steps.optimizer
        del steps.update
        values, gradients = steps.model.parameters.values, steps.model.parameters.gradients
        before, updates = np.array(values), optimizer.iterations
        moves = bool(optimizer.learning_rate) and bool(np.any(gradients))
        loss = steps.update(count)
        if moves and optimizer.iterations > updates and np.array_equal(values, before):
            warn(
                f"{type(optimizer).__name__}: the first update changed no weight. update() must "
                "write into w, as in w -= lr * g; w = w - lr * g makes another array."
            )
        return loss


_MARKS: dict[int, Any] = {4: np.uint32(0x7FC0_1234), 8: np.uint64(0x7FF8_0000_0000_1234)}


def _mark(gradient: Array) -> None:
    """Fill a gradient with a NaN that no computation makes, and that sums with it keep."""
    mark = _MARKS[gradient.itemsize]
    gradient.view(mark.dtype)[...] = mark


def _is_marked(gradient: Array) -> bool:
    mark = _MARKS[gradient.itemsize]
    return bool(gradient.size) and bool((gradient.view(mark.dtype) == mark).all())


def check_functions(steps: Steps) -> None:
    """Try the regularizers, constraints and metrics of the user on copies.

    Raises:
        ConfigurationError: a regularizer or metric returns no number, or a constraint returns an
            array, which nothing takes.
    """
    for p in steps.model.parameters.all:
        value = np.array(p.value)
        if p.regularizer is not None and is_foreign(p.regularizer):
            _check_number(f"regularizer of {p.path!r}", "__call__", p.regularizer(value))
        if p.constraint is not None and is_foreign(p.constraint):
            before, result = np.array(value), _apply(p.constraint, value)
            if result is not None and result is not value and np.array_equal(value, before):
                raise ConfigurationError(
                    f"constraint of {p.path!r}: {type(p.constraint).__name__}.apply() must change "
                    "w in place, as by np.clip(w, 0, 1, out=w), and return nothing; it returned "
                    "an array."
                )
    for name, metric in steps.metrics.items():
        if is_foreign(metric):
            _check_number(f"metric {name!r}", "result", metric.result())


def _apply(constraint: Any, w: Array) -> Any:
    return constraint.apply(w)


def _check_number(owner: str, method: str, value: Any) -> None:
    if not np.issubdtype(np.asarray(value).dtype, np.number):
        raise ConfigurationError(f"{owner}: {method}() must return a number, got {value!r}.")
