"""Find the origin of non-finite values: the first layer, its direction and the rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from netlayers._warn import warn
from netlayers.arrays.convert import all_finite
from netlayers.arrays.several import finite, first_bad, first_of, listed, row_of
from netlayers.core.hooks import Uses, observed, replaced
from netlayers.core.inputs import input_names, specs_of
from netlayers.core.parameters import gradient_of
from netlayers.core.penalties import add_penalty, collect_penalties

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from netlayers._typing import Array
    from netlayers.core.layer import Layer
    from netlayers.core.parameters import Parameter
    from netlayers.data.batch import Batch
    from netlayers.errors import NonFiniteError
    from netlayers.layers.network import Network
    from netlayers.losses import Loss
    from netlayers.optimizers import Optimizer

_SHOWN = 5  # rows that a message lists


class TrainingSteps(Protocol):
    """What the search uses of :class:`netlayers.training.step.Steps`."""

    model: Network
    optimizer: Optimizer
    loss: Loss

    def compute_gradients(self, batch: Batch) -> float:
        """Run forward and backward; return the loss."""

    def update(self, count: int) -> float:
        """Apply the gradients; return the loss."""

    def copy_before_step(self) -> TrainingSteps:
        """Return a copy in the state before the last batch."""


@dataclass(frozen=True)
class NonFiniteOrigin:
    """The origin of the first non-finite values in a step; prints as a sentence.

    The origin is the first call with finite input and weights; calls that only propagate non-finite
    values are not named.

    Attributes:
        direction: ``"forward"``, ``"loss"``, ``"backward"`` or ``"update"``; or ``"input"`` or
            ``"weights"`` if these were not finite before the step.
        layer: path of the layer, with the number of an additional call, ``"dense (call 2)"``; or
            the name of the loss.
        what: what is not finite: ``"the output"``, ``"the gradient of 'kernel'"``.
        kind: ``"NaN"``, ``"infinite"``, or ``"NaN or infinite"``.
        count: number of non-finite values.
        size: number of values.
        rows: indices of the rows of the batch; empty if no single row is the cause, and ``None`` if
            rows do not matter or are unknown.
        row_count: rows in the batch.
        epoch: index of the epoch, from 0, if any.
        batch: index of the batch, from 0, if any.
    """

    direction: str
    layer: str
    what: str
    kind: str
    count: int
    size: int
    rows: list[int] | None = None
    row_count: int | None = None
    epoch: int | None = None
    batch: int | None = None

    def __str__(self) -> str:
        where = {
            "forward": f"in the forward pass of {self.layer!r}, from finite inputs and weights",
            "loss": f"in the loss, by {self.layer!r}, from finite predictions",
            "backward": f"in the backward pass of {self.layer!r}, from a finite gradient",
            "update": f"in the update of {self.layer!r}, from finite weights and gradients",
            "input": "before the step, in its data",
            "weights": f"before the step, in {self.layer!r}",
        }[self.direction]
        place = ""
        if self.epoch is not None and self.batch is not None:
            place = f"Epoch {self.epoch + 1}, batch {self.batch + 1}: "
        numbers = f" ({self.count} of {self.size} numbers)" if self.size > 1 else ""
        return f"{place}it began {where}: {self.what} is {self.kind}{numbers}{self._rows()}."

    def _rows(self) -> str:
        if self.rows is None:
            return ""
        if not self.rows:
            return "; no row alone makes it so, all together do"
        shown = ", ".join(map(str, self.rows[:_SHOWN]))
        left = len(self.rows) - _SHOWN
        more = f" and {left} more" if left > 0 else ""
        word = "row" if len(self.rows) == 1 else "rows"
        return f", for {len(self.rows)} of {self.row_count} rows: {word} {shown}{more}"


def find_nonfinite(
    steps: TrainingSteps, batch: Batch, update: bool = True
) -> NonFiniteOrigin | None:
    """Run a training step and find the origin of non-finite values.

    Args:
        steps: the ``Steps`` of a copy of the model, which the step changes.
        batch: checked data.
        update: also check the update.

    Returns:
        The origin, or ``None`` if everything is finite.
    """
    finder = _Finder(steps, batch)
    with np.errstate(all="ignore"):
        finder.run(update)
    return finder.origin


def explain(
    error: NonFiniteError,
    steps: TrainingSteps,
    batch: Batch,
    epoch: int | None = None,
    number: int | None = None,
) -> None:
    """Add the origin to the error of a step, which is run again on a copy.

    Args:
        error: the error of the optimizer, raised before the update.
        steps: the ``Steps`` that trained the batch.
        batch: checked data.
        epoch: index of the epoch, if any.
        number: index of the batch, if any.
    """
    error.epoch, error.batch = epoch, number
    try:
        origin = find_nonfinite(steps.copy_before_step(), batch, update=False)
    except Exception as failure:  # of any kind: it must not replace the original error
        error.add_note(f"Where it began could not be found: {type(failure).__name__}: {failure}")
        return
    if origin is None:
        text = "The step was run again, and everything in it was finite that time."
    else:
        origin = replace(origin, epoch=epoch, batch=number)
        describe(error, origin)
        text = str(origin)
    error.args = (f"{error} {text[0].upper()}{text[1:]}",)


def describe(error: NonFiniteError, origin: NonFiniteOrigin) -> None:
    """Set the attributes of an error from an origin."""
    error.layer, error.direction, error.rows = origin.layer, origin.direction, origin.rows
    error.epoch, error.batch = origin.epoch, origin.batch


def bad_weights(direction: str, parameters: Any) -> NonFiniteOrigin | None:
    """Return the first non-finite weight as an origin, or ``None``."""
    if all_finite(parameters.values):
        return None
    bad = next(p for p in parameters.all if not p.statistic and not all_finite(p.value))
    return _of_array(direction, bad.layer.path, f"the weight {bad.name!r}", bad.value)


def warn_at_the_end(model: Any) -> None:
    """Warn about weights that the last update made infinite, which no step has seen, or a loss."""
    origin = bad_weights("update", model.parameters)
    if origin is not None:
        warn(f"fit: weights are not finite: {origin} Use a smaller learning rate.")
    elif model.optimizer.on_nonfinite == "raise":
        warn("fit: the loss of the last epoch is not finite, though gradients and weights are.")


# The step ------------------------------------------------------------------------------------


class _Finder:
    """Observes a step until an origin is found."""

    def __init__(self, steps: TrainingSteps, batch: Batch) -> None:
        self.steps, self.batch = steps, batch
        self.count = batch.size
        self.origin: NonFiniteOrigin | None = None
        self._names = dict(_names(steps.model))
        self._uses = Uses()
        self._inputs: dict[tuple[int, int], Any] = {}  # of the forward of each use of a layer

    def run(self, update: bool) -> None:
        parameters = self.steps.model.parameters
        self.origin = bad_weights("weights", parameters)
        names = input_names(specs_of(self.steps.model))
        for name, x in zip(names, listed(self.batch.inputs), strict=True):
            if not finite(x):
                rows = self._rows(x) if isinstance(x, np.ndarray) else None
                self._set("input", name, name, x if isinstance(x, np.ndarray) else x.data, rows)
                break
        if self.origin is not None:
            return
        gathered = self.steps.optimizer.state.get("gradient_sum")
        try:
            with observed(self.steps.model, self._around) as self._uses, self._loss_watched():
                total = self.steps.compute_gradients(self.batch)
            if self.origin is None:
                self._look_at_penalties(total)
            if self.origin is None and update:
                self.steps.update(self.count)
        except Exception:
            if self.origin is None:  # otherwise it came of that
                raise
        if self.origin is None and gathered is not None and not all_finite(gathered):
            what = "the sum of gradients that earlier batches left for this update"
            self._set("backward", self.steps.model.path, what, gathered)
        if self.origin is None and update:
            self.origin = bad_weights("update", parameters) or self._bad_state()

    def _bad_state(self) -> NonFiniteOrigin | None:
        optimizer = self.steps.optimizer
        for name, vector in optimizer.state.items():
            for p in self.steps.model.parameters.tensors:
                part = vector[self.steps.model.parameters.own_slice(p)]
                if not all_finite(part):
                    what = f"{name!r} of {type(optimizer).__name__} for {p.name!r}"
                    return _of_array("update", p.layer.path, what, part)
        return None

    # Layers ----------------------------------------------------------------------------------

    def _around(self, layer: Layer, method: str, given: Any, run: Callable[[], Any]) -> Any:
        if self.origin is not None:
            return run()
        good = finite(given)  # checked before, because an activation may overwrite it
        if not method.startswith("forward"):
            result = run()
            if self.origin is None and good:
                self._look_at_gradients(layer, method, given, result)
            return result
        self._inputs[id(layer), self._uses.number(layer)] = given
        if layer._adds_penalty and not layer._sublayers:
            result, penalties = collect_penalties(run)
            for value in penalties:
                add_penalty(value)
                if self.origin is None and good and not np.isfinite(value):
                    self._set("loss", self._name(layer), "its penalty", np.array(value))
        else:
            result = run()
        if self.origin is None and good and not finite(result):
            i, y = first_bad(result)
            what = f"output {i}" if isinstance(result, tuple) else "the output"
            self._set("forward", self._name(layer), what + self._part(layer), y, self._rows(y))
        return result

    def _look_at_gradients(self, layer: Layer, method: str, dy: Any, dx: Any) -> None:
        if not finite(dx):
            i, d = first_bad(dx)
            its = f" {input_names(specs_of(layer))[i]!r}" if isinstance(dx, tuple) else ""
            what = f"the gradient of its input{its}" + self._part(layer)
            self._set("backward", self._name(layer), what, d, self._rows(d))
            return
        for p in layer.declared_parameters:
            if p.trainable and p.learning_rate_multiplier and not all_finite(gradient_of(p)):
                what = f"the gradient of {p.name!r}" + self._part(layer)
                rows = self._rows_of_gradient(layer, method, dy, p)
                self._set("backward", self._name(layer), what, gradient_of(p), rows)
                return

    def _rows_of_gradient(
        self, layer: Layer, method: str, dy: Any, p: Parameter
    ) -> list[int] | None:
        """Return the rows that individually make the gradient of a weight non-finite."""
        x = self._inputs.get((id(layer), self._uses.number(layer)))
        arrays = all(isinstance(a, np.ndarray) for a in listed(x))
        if not arrays or layer.random or not layer.same_in_training or layer.takes_mask:
            return None
        if not isinstance(p.gradient, np.ndarray):
            return None
        private = "_" * method.endswith("_logits")  # hooks name the methods without it
        forward = getattr(layer, private + method.replace("backward", "forward"))
        backward, kept = getattr(layer, private + method), p.gradient.copy()

        def alone(i: int) -> Any:
            forward(row_of(x, i), True)
            backward(row_of(dy, i))
            return p.gradient

        self.origin = NonFiniteOrigin(
            "", "", "", "", 0, 0
        )  # the calls below are not part of the step
        try:
            return self._each_row(alone, len(first_of(dy)))
        finally:
            self.origin = None
            p.gradient[...] = kept

    # Loss ------------------------------------------------------------------------------------

    def _loss_watched(self) -> AbstractContextManager[None]:
        loss = self.steps.loss
        forward, backward = loss.forward, loss.backward

        def watched_forward(y: Any, y_pred: Any, weight: Any = None) -> Any:
            value = forward(y, y_pred, weight)
            if self.origin is None and not np.isfinite(value) and finite(y_pred):

                def alone(i: int) -> Any:
                    return forward(row_of(y, i), row_of(y_pred, i), row_of(weight, i))

                rows = self._each_row(alone, len(first_of(y_pred)))
                self._set("loss", self._loss_name(), "its value", np.array(value), rows)
                value = forward(y, y_pred, weight)  # sets the cache for backward
            return value

        def watched_backward(*denominator: float) -> Any:
            dy = backward(*denominator)
            if self.origin is None and not finite(dy):
                what = "the gradient of the predictions"
                _, d = first_bad(dy)
                self._set("backward", self._loss_name(), what, d, self._rows(d))
            return dy

        return replaced([(loss, "forward", watched_forward), (loss, "backward", watched_backward)])

    def _look_at_penalties(self, total: float) -> None:
        parameters = self.steps.model.parameters
        for p in parameters.regularized:
            assert p.regularizer is not None
            assert p.value is not None
            value = p.regularizer(p.value)
            if not np.isfinite(value):
                what = f"the penalty on {p.name!r}"
                self._set("loss", p.layer.path, what, np.array(value))
                return
        for p in parameters.tensors:
            if p.learning_rate_multiplier and not all_finite(gradient_of(p)):
                what = f"the gradient of {p.name!r}, with that of its penalty,"
                self._set("backward", p.layer.path, what, gradient_of(p))
                return
        if not np.isfinite(total):
            self._set("loss", self._loss_name(), "the sum of loss and penalties", np.array(total))

    def _loss_name(self) -> str:
        loss = self.steps.loss
        return str(getattr(loss, "name", type(loss).__name__))

    # Details ---------------------------------------------------------------------------------

    def _set(
        self, direction: str, layer: str, what: str, array: Any, rows: list[int] | None = None
    ) -> None:
        found = _of_array(direction, layer, what, array)
        self.origin = replace(found, rows=rows, row_count=None if rows is None else self.count)

    def _rows(self, array: Array) -> list[int] | None:
        if array.ndim == 0 or len(array) != self.count:
            return None
        good = np.isfinite(array).reshape(self.count, -1).all(axis=1)
        return np.flatnonzero(~good).tolist()

    def _each_row(self, alone: Callable[[int], Any], count: int) -> list[int] | None:
        if count != self.count:
            return None
        try:
            return [i for i in range(count) if not np.isfinite(alone(i)).all()]
        except Exception:  # it may require several rows; a user's loss may raise anything
            return None

    def _name(self, layer: Layer) -> str:
        return self._uses.name(self._names[id(layer)])

    def _part(self, layer: Layer) -> str:
        owner = self._names[id(layer)]
        return "" if owner is layer else f" of its part {layer.name!r}"


def _names(layer: Layer, owner: Layer | None = None) -> Iterable[tuple[int, Layer]]:
    """Yield each layer's id with the layer that names it; container sublayers name themselves."""
    owner = owner or layer
    yield id(layer), owner
    container = hasattr(layer, "layers") and owner is layer
    for part in layer._sublayers:
        yield from _names(part, None if container else owner)


def _of_array(direction: str, layer: str, what: str, array: Any) -> NonFiniteOrigin:
    bad = array[~np.isfinite(array)] if np.ndim(array) else np.atleast_1d(array)
    nans = int(np.isnan(bad).sum())
    kind = "NaN" if nans == bad.size else "NaN or infinite" if nans else "infinite"
    return NonFiniteOrigin(direction, layer, what, kind, int(bad.size), int(np.size(array)))
