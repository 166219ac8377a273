"""What can be measured in a step of training, layer by layer: one place that says how."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.activations import ActivationLayer, AxisActivation
from netlayers.activations.rectifiers import Linear
from netlayers.arrays.several import float_numbers
from netlayers.core.hooks import Uses, call_name, observed, used_by
from netlayers.core.parameters import rows_of
from netlayers.diagnostics.channels import channels_first, channels_last
from netlayers.diagnostics.slopes import shape_of
from netlayers.diagnostics.time_steps import TimeSteps, time_ratio
from netlayers.kernels.memory import Workspace
from netlayers.layers.containers import Container
from netlayers.layers.input import InputLayer
from netlayers.layers.recurrent import Recurrent
from netlayers.optimizers.clipping import norm
from netlayers.optimizers.transforms import Accumulate, AddPenalties, Divide, Transform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from functools import partial

    from netlayers._typing import Array
    from netlayers.core.layer import Layer
    from netlayers.core.parameters import Parameter
    from netlayers.optimizers import Optimizer
    from netlayers.optimizers.layout import Gradients

# Each measure, and what it is of a layer.
MEASURES = {
    "gradient_norm": "norm of dL/dweights before clipping, penalties and accumulation included",
    "weight_norm": "norm of the weights before the update",
    "update_ratio": "norm of what the update changed in the weights, divided by weight_norm",
    "clipped": "share of the gradient's entries that clipping changed, of those that are not 0",
    "activation_mean": "mean of the outputs",
    "activation_std": "standard deviation of the outputs",
    "backprop_rms": "root mean square of dL/doutput, the gradient that comes back to the layer",
    "time_ratio": "gradient at the first time step, divided by that at the last (recurrent layers)",
    "dead": "share of units whose activation has the slope 0 in all rows",
    "saturated": "share of outputs where the slope is under a twentieth of the largest one",
    "nonfinite": "how many outputs and entries of the gradient are NaN or infinite",
}
WEIGHTS = ("gradient_norm", "weight_norm", "update_ratio", "clipped")

# A sigmoid beyond ±4.4, a tanh beyond ±2.2: what comes through is hardly more than nothing, and it
# is well away from the middle, where a unit of a healthy network works.
SATURATED_BELOW = 0.05


def watched_uses(model: Layer) -> dict[str, Layer]:
    """Return the layers of a model that compute something, at any depth, from input to output.

    A layer that is used several times is there as often: as ``"dense"``, ``"dense (call 2)"``, ...
    Containers are left out, as their parts are there, and so are ``Input``, the activations that
    are parts of other layers, and the cells of recurrent layers.
    """
    found: dict[str, Layer] = {}
    counts: dict[int, int] = {}

    def look(layer: Layer) -> None:
        if isinstance(layer, Container) and not isinstance(layer, Recurrent):
            for part in used_by(layer):
                look(part)
        elif not isinstance(layer, InputLayer):
            counts[id(layer)] = counts.get(id(layer), 0) + 1
            found[call_name(layer.path, counts[id(layer)])] = layer

    look(model)
    return found


def watched_layers(model: Layer) -> list[Layer]:
    """Return the layers of :func:`watched_uses`, each once."""
    return list(dict.fromkeys(watched_uses(model).values()))


def activation_of(layer: Layer) -> ActivationLayer | None:
    """Return the activation that makes a layer's output element by element, if one does."""
    found = None if isinstance(layer, Recurrent) else getattr(layer, "activation", None)
    if not isinstance(found, ActivationLayer) or isinstance(found, AxisActivation):
        return None
    return found if found.compute_output_shape((2, 4)) == (2, 4) else None


class StepMeasures:
    """Measures a step of training while it happens: forward, backward and update.

    It is a context that one step runs in, again and again. The step computes what it would compute
    without it, to the bit.

    The measures are those of :data:`MEASURES`. In detail, for the values y of a layer's output:

    - Norms are Euclidean, over all weights of the layer as one vector (running statistics are no
      weights), of a gradient as the optimizer is given it. If the step made no update (gradients
      were accumulated, or it was skipped), ``update_ratio`` is 0.
    - ``dead`` and ``saturated`` go by the slope f'(z) of the activation, element by element, that
      ``backward`` multiplies by. A unit is a place of the last axis (of the channels, if a layer
      of the model has them first), all others are its rows; it is
      dead if f'(z) is exactly 0 in each of them: no gradient reaches its weights. An output is
      saturated if ``|f'(z)| < 0.05 max |f'|``; that is measured for activations alone which are
      flat on both sides (sigmoid, tanh, softsign, hard sigmoid, ReLU6, ...).
    - ``time_ratio`` compares the norms of dL/dz of :class:`TimeSteps`; ``time_steps`` has them all.
    - Where the model computes the last activation and the loss together, ``activation_...`` are of
      the probabilities all the same, ``backprop_rms`` is of dL/dlogits, and ``dead`` and
      ``saturated`` do not exist, as no gradient passes through that activation.

    What a step did not come to is NaN: the slopes of a layer below which nothing learns, say.

    Args:
        model: a built model.
        optimizer: what updates it.
        measures: names of measures.
        layers: the layers to measure; by default all of :func:`watched_uses`.

    Attributes:
        values: by measure, then by the path of the layer: of the last step. Each measure has the
            layers for which it exists, from the input to the output. A layer that is used several
            times is there for each use, and for its weights once.
        time_steps: norms of the gradient at each time step, by the path of a recurrent layer.
        paths: of the layers that are measured, from the input to the output.
        complete: whether the last step came as far as to its gradient.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> from netlayers.diagnostics.layer_statistics import StepMeasures
        >>> model = nl.Sequential([nl.layers.Dense(3, "tanh"), nl.layers.Dense(1)], seed=0)
        >>> model.compile(nl.optimizers.SGD(0.1), "mse")
        >>> model.build((None, 2))
        >>> step = StepMeasures(model, model.optimizer)
        >>> with step:
        ...     loss = model.train_on_batch(np.ones((4, 2)), np.ones(4))
        >>> {path: round(value, 4) for path, value in step.values["update_ratio"].items()}
        {'dense': 0.0468, 'dense_1': 0.0281}
    """

    def __init__(
        self,
        model: Layer,
        optimizer: Optimizer,
        measures: Sequence[str] = tuple(MEASURES),
        layers: Sequence[Layer] | None = None,
    ) -> None:
        self.model, self.optimizer = model, optimizer
        chosen = None if layers is None else {id(layer) for layer in layers}
        watched = watched_uses(model).items()
        found = {n: layer for n, layer in watched if chosen is None or id(layer) in chosen}
        self._wanted = set(measures)
        self._vector = model.parameters
        self._owners = {id(layer): layer for layer in found.values()}
        self._uses = Uses()
        self._activations: dict[int, Layer] = {}
        self._weights: dict[str, list[Parameter]] = {}
        self._largest: dict[str, float] = {}
        self._first = channels_first(model)
        self.values: dict[str, dict[str, float]] = {name: {} for name in measures}
        for path, layer in found.items():
            self._prepare(path, layer)
        self.paths = list(found)
        self.time_steps: dict[str, Array] = {}
        self._workspace = Workspace()
        self._stack: ExitStack | None = None
        self.complete = False

    def _prepare(self, path: str, layer: Layer) -> None:
        """See which measures a use of a layer has."""
        exist = {"activation_mean", "activation_std", "backprop_rms", "nonfinite"}
        if isinstance(layer, Recurrent):
            exist.add("time_ratio")
        weights = [p for p in layer.declared_parameters if not p.statistic]
        if weights and path == layer.path:
            self._weights[path] = weights
            exist.update(WEIGHTS)
        activation = activation_of(layer)
        if activation is not None and not isinstance(activation, Linear):
            shape = shape_of(activation)
            exist.add("dead")
            if shape.saturates:
                exist.add("saturated")
            self._activations[id(activation)] = layer
            self._largest[path] = shape.largest_slope
        for name in exist & self.values.keys():
            self.values[name][path] = math.nan

    # The step ---------------------------------------------------------------------------------

    def __enter__(self) -> StepMeasures:
        for its in self.values.values():
            its.update(dict.fromkeys(its, math.nan))
        self._times = TimeSteps()
        self._forward_done = self._over = self.complete = self._clips = False
        self._inside: list[Layer] = []  # the watched layers whose forward is under way
        self._counts = dict.fromkeys(self.values.get("nonfinite", {}), 0)
        if "update_ratio" in self._wanted:
            before = self._buffer("before")
            np.copyto(before, self._vector.values)
        with ExitStack() as stack:
            self._uses = stack.enter_context(observed(self.model, self._around))
            stack.enter_context(self._beside_clipping())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._stack is not None:
            self._stack.close()
            self._stack = None
            with np.errstate(all="ignore"):
                self._finish()

    def _buffer(self, name: str) -> Array:
        return self._workspace(name, self._vector.values.shape, self._vector.dtype)

    def _around(self, layer: Layer, method: str, given: Any, run: partial[Any]) -> Any:
        """See a call: forward is measured after it, backward before."""
        if self._over:  # a callback predicts, after the step
            return run()
        if method.startswith("forward"):
            if self._forward_done or id(layer) not in self._owners:
                return run()
            if "time_ratio" in self._wanted:
                mask = run.keywords.get("mask")
                self._times.see_input(layer, self._uses.name(layer), given, mask)
            self._inside.append(layer)
            try:
                result = run()
            finally:
                self._inside.pop()
            if layer not in self._inside:  # not the logits of a forward that is under way
                with np.errstate(all="ignore"):
                    self._see_output(layer, method, result)
            return result
        self._forward_done = True
        with np.errstate(all="ignore"):
            if id(layer) in self._owners:
                self._set("backprop_rms", self._uses.name(layer), given, _rms, first=True)
            if method == "backward" and id(layer) in self._activations:
                self._see_slopes(layer, given)
        result = self._times.backward(layer, self._uses.name(layer), given, run)
        self._over = layer is self.model
        return result

    def _set(
        self, measure: str, path: str, array: Any, compute: Callable[[Array], float], first: bool
    ) -> None:
        """Note a number of an array; with ``first``, only if the step has not given one yet."""
        its = self.values.get(measure)
        if its is not None and path in its and not (first and its[path] == its[path]):
            numbers = float_numbers(array)
            if numbers is not None:
                its[path] = compute(numbers)

    def _see_output(self, layer: Layer, method: str, y: Any) -> None:
        path = self._uses.name(layer)
        if method == "forward_logits":  # the loss does what the activation would
            activation: Any = layer.activation
            y = type(activation).forward(activation, y)
        self._set("activation_mean", path, y, _mean, first=False)
        self._set("activation_std", path, y, _std, first=False)
        if path in self._counts:
            numbers = float_numbers(y)
            self._counts[path] = 0 if numbers is None else _count_nonfinite(numbers)

    def _see_slopes(self, activation: Any, dy: Array) -> None:
        """Measure f'(z), which is what backward makes of a gradient of ones."""
        path = self._uses.name(self._activations[id(activation)])
        if not {"dead", "saturated"} & self._wanted:
            return
        ones = self._workspace("ones", dy.shape, dy.dtype)
        ones.fill(1)
        slope = np.abs(type(activation).backward(activation, ones), out=ones)
        self._set("dead", path, channels_last(slope, self._first), dead_share, first=False)
        limit = SATURATED_BELOW * self._largest[path]
        self._set("saturated", path, slope, lambda s: float(np.mean(s < limit)), first=False)

    @contextmanager
    def _beside_clipping(self) -> Iterator[None]:
        """Stand in the optimizer's list: before the search for NaN and the clipping, and after."""
        self.optimizer.bind(self._vector)
        transforms = self.optimizer.transforms
        changing = (Accumulate, Divide, AddPenalties)
        place = sum(isinstance(transform, changing) for transform in transforms)
        before, after = _Watch(self._before_clipping), _Watch(self._after_clipping)
        transforms.insert(place, before)
        transforms.append(after)
        try:
            yield
        finally:
            transforms.remove(before)
            transforms.remove(after)

    def _before_clipping(self) -> None:
        self._raw: dict[int, Array] | None = None
        if self.complete:  # a callback trains on a batch of its own, after the step
            return
        with np.errstate(all="ignore"):
            self._see_gradient()
        self._clips = True
        if "clipped" in self._wanted and self.optimizer.clips:
            self._raw = {}
            for p in (p for its in self._weights.values() for p in its):
                self._raw[id(p)] = raw = self._buffer("raw")[p.slice][: _gradient(p).size]
                np.copyto(raw, _gradient(p))

    def _after_clipping(self) -> None:
        if self._clips:
            self._clips = False
            for path in self.values.get("clipped", ()):
                raw = self._raw
                self.values["clipped"][path] = 0.0 if raw is None else self._clipped(path, raw)

    def _clipped(self, path: str, raw: dict[int, Array]) -> float:
        pairs = [(raw[id(p)], _gradient(p)) for p in self._weights[path]]
        there = sum(int(np.count_nonzero(before)) for before, _ in pairs)
        changed = sum(int(np.count_nonzero(before != after)) for before, after in pairs)
        return changed / there if there else 0.0

    def _see_gradient(self) -> None:
        self.complete = True
        for path, weights in self._weights.items():
            parts = [_gradient(p) for p in weights]
            if path in self.values.get("gradient_norm", ()):
                self.values["gradient_norm"][path] = norm(parts).value
            if path in self._counts:
                self._counts[path] += sum(_count_nonfinite(part) for part in parts)

    def _finish(self) -> None:
        its = self.values.get("time_ratio", {})
        self.time_steps = {path: a for path, a in self._times.norms.items() if path in its}
        its.update({path: time_ratio(norms) for path, norms in self.time_steps.items()})
        if self._over and not self.complete:  # it was added to those of the steps before
            self._see_gradient()
        if "nonfinite" in self.values:
            self.values["nonfinite"].update(
                {path: float(count) for path, count in self._counts.items()}
            )
        if not {"weight_norm", "update_ratio"} & self._wanted:
            return
        values, ratio = self._vector.values, "update_ratio" in self._wanted
        before = self._buffer("before") if ratio else values
        for path, weights in self._weights.items():
            places = [p.slice for p in weights]
            size = norm([before[s] for s in places]).value
            if "weight_norm" in self._wanted:
                self.values["weight_norm"][path] = size
            if ratio and self._over:
                changes = [np.subtract(values[s], before[s], out=before[s]) for s in places]
                change = norm(changes).value
                self.values["update_ratio"][path] = (
                    change / size if size else math.inf if change else 0.0
                )


def _gradient(p: Parameter) -> Array:
    """Return a gradient as a flat view, of a table that of the rows that have one."""
    array: Any = rows_of(p).values if p.row_gradient else p.gradient
    flat: Array = array.reshape(-1)
    return flat


class _Watch(Transform):
    """A place in the list of an optimizer's transforms at which something is looked at."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look

    def apply(self, gradients: Gradients) -> bool:
        """Look, and change nothing."""
        self._look()
        return True


def _mean(a: Array) -> float:
    return float(np.add.reduce(a, axis=None, dtype=np.float64)) / max(a.size, 1)


def _std(a: Array) -> float:
    return _rms(a - a.dtype.type(_mean(a)))


def _rms(a: Array) -> float:
    return norm([a.reshape(-1)]).value / math.sqrt(max(a.size, 1))


def dead_share(slope: Array) -> float:
    """Return the share of units, places of the last axis, with the slope 0 in all rows."""
    alive = slope.reshape(-1, slope.shape[-1]).any(axis=0)
    return 1 - float(np.mean(alive))


def _count_nonfinite(a: Array) -> int:
    if math.isfinite(float(np.add.reduce(a, axis=None, dtype=np.float64))):
        return 0
    return int(a.size - np.count_nonzero(np.isfinite(a)))
