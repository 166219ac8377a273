"""Every gradient of a layer or a model against numerical differentiation."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_integer, check_number
from netlayers.core.arrays import as_array
from netlayers.core.layer import Layer
from netlayers.core.penalties import collect_penalties
from netlayers.core.random import Streams
from netlayers.core.workspace import Workspace
from netlayers.data.checks import checked_input, checked_rows
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.losses import get as get_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlayers._typing import Array, ArrayLike, Identifier
    from netlayers.core.parameters import ParameterVector

_FLOAT64 = np.dtype(np.float64)
_STEP = 1e-5  # balances the error of the formula, h², with that of rounding, 1e-16 / h
_SHRINK = (1.0, 1e-1, 1e-2, 1e-3)


@dataclass
class GradientRow:
    """The comparison of one array.

    Attributes:
        name: ``layer/parameter``, or ``input``.
        shape: its shape.
        checked: entries compared.
        kinks: entries left out, because the function has a corner there and no derivative.
        max_absolute_error: largest ``|a - n|``, of the analytic a and the numerical n.
        max_relative_error: largest ``|a - n| / max(|a|, |n|, floor)``.
        worst: index, analytic and numerical value of the entry with that error.
    """

    name: str
    shape: tuple[int, ...]
    checked: int = 0
    kinks: int = 0
    max_absolute_error: float = 0.0
    max_relative_error: float = 0.0
    worst: tuple[tuple[int, ...], float, float] | None = None


@dataclass
class GradientReport:
    """What :func:`check_gradients` found; printed, it is a table.

    Attributes:
        tolerance: the relative error that is still right.
        rows: one :class:`GradientRow` for the input and for each parameter.
    """

    tolerance: float
    rows: list[GradientRow] = field(default_factory=list)

    @property
    def max_relative_error(self) -> float:
        """The largest relative error of all."""
        return max((row.max_relative_error for row in self.rows), default=0.0)

    @property
    def passed(self) -> bool:
        """Whether every array was compared, and no error is above the tolerance."""
        return all(self._passes(row) for row in self.rows)

    def _passes(self, row: GradientRow) -> bool:
        empty = not np.prod(row.shape)
        return row.max_relative_error <= self.tolerance and (row.checked > 0 or bool(empty))

    def __str__(self) -> str:
        header = ("gradient", "shape", "checked", "kinks", "largest error", "relative", "")
        table = [header]
        for row in self.rows:
            verdict = "ok" if self._passes(row) else "WRONG" if row.checked else "NOT CHECKED"
            table.append(
                (
                    row.name,
                    "x".join(map(str, row.shape)),
                    f"{row.checked}/{int(np.prod(row.shape))}",
                    str(row.kinks),
                    f"{row.max_absolute_error:.1e}",
                    f"{row.max_relative_error:.1e}",
                    verdict,
                )
            )
        widths = [max(len(line[i]) for line in table) for i in range(len(header))]
        lines = ["  ".join(f"{c:<{w}}" for c, w in zip(t, widths, strict=True)) for t in table]
        for row in self.rows:
            if row.worst is not None and not self._passes(row):
                index, analytic, numerical = row.worst
                place = ", ".join(map(str, index))
                lines.append(
                    f"{row.name}[{place}]: backward gives {analytic:.6g}, central differences "
                    f"{numerical:.6g}"
                )
        verdict = "passed" if self.passed else "FAILED"
        lines.append(
            f"{verdict}: largest relative error {self.max_relative_error:.1e}, tolerance "
            f"{self.tolerance:.0e}"
        )
        return "\n".join(line.rstrip() for line in lines)


def check_gradients(
    model_or_layer: Any,
    x: ArrayLike,
    y: ArrayLike | None = None,
    loss: Identifier = None,
    *,
    tolerance: float = 1e-5,
    max_entries: int | None = 1000,
    seed: int = 0,
) -> GradientReport:
    """Compare ``backward`` with central differences, in float64.

    The derivative of L is taken along each entry of the input and of each trainable parameter,
    ``(L(v + h) - L(v - h)) / 2h``. Where the two disagree, h is made smaller, down to 1e-8: a kink
    nearby then no longer matters. An entry that sits on a kink (left and right derivative differ)
    is left out and counted. Random layers draw the same numbers in every evaluation.

    The relative error has a floor in its denominator, a thousandth of the largest gradient of the
    array and 1e-5 of L, below which differences are rounding.

    Args:
        model_or_layer: a model, or any layer; a copy of it is used, nothing of it changes.
        x: a batch of inputs.
        y: targets; needed with a loss.
        loss: what to differentiate; by default the loss the model was compiled with (if ``y`` is
            given), else the sum of the outputs with random weights.
        tolerance: largest relative error that passes.
        max_entries: entries compared of each array, chosen at random from a larger one;
            ``None`` for all.
        seed: of that choice, and of those weights.

    Raises:
        ConfigurationError, DataError, ShapeError: the arguments do not fit each other.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(3, activation="tanh", name="hidden")
        >>> report = nl.check_gradients(layer, np.linspace(-1, 1, 8).reshape(2, 4))
        >>> [row.name for row in report.rows], report.passed
        (['input', 'hidden/kernel', 'hidden/bias'], True)

    Source:
        Central differences and the choice of h: W. Press et al., "Numerical Recipes", 3rd ed.,
        section 5.7.
    """
    owner = "check_gradients"
    tolerance = check_number(owner, "tolerance", tolerance, above=0)
    if max_entries is not None:
        max_entries = check_integer(owner, "max_entries", max_entries, minimum=1)
    rng = np.random.default_rng(check_integer(owner, "seed", seed, minimum=0))
    given = checked_input(owner, x, _FLOAT64)
    checked_rows(owner, given, _FLOAT64, y=y)
    inputs = np.array(given, _FLOAT64)
    target, vector = _copy(model_or_layer, inputs, seed)
    value, gradient = _function(target, model_or_layer, inputs, y, loss, rng)
    frozen = _Frozen(target, vector)

    def evaluate() -> float:
        frozen.restore()
        y, penalties = collect_penalties(target.forward, inputs, True)
        return value(y) + vector.regularization() + sum(penalties)

    reference = evaluate()
    if not np.isfinite(reference):
        raise ConfigurationError(f"{owner}: the function to differentiate is {reference}.")
    dx = target.backward(gradient())
    vector.add_regularization_gradients(Workspace())
    if np.shape(dx) != inputs.shape:
        raise ShapeError(
            f"{owner}: backward() returned dL/dx in the shape {np.shape(dx)}; the input has "
            f"{inputs.shape}."
        )
    pairs: list[tuple[str, Any, Array]] = [("input", inputs, np.array(dx))]
    pairs += [(p.path, p.value, np.array(p.gradient)) for p in vector.tensors]
    report = GradientReport(tolerance)
    for name, values, analytic in pairs:
        entries = np.arange(values.size)
        if max_entries is not None and values.size > max_entries:
            entries = np.sort(rng.choice(values.size, max_entries, replace=False))
        report.rows.append(
            _compare(name, values, analytic, entries, evaluate, reference, tolerance)
        )
    return report


def _compare(
    name: str,
    values: Array,
    analytic: Array,
    entries: Array,
    evaluate: Callable[[], float],
    reference: float,
    tolerance: float,
) -> GradientRow:
    row = GradientRow(name, values.shape)
    largest = float(np.abs(analytic).max(initial=0.0))
    floor = 1e-3 * largest + 1e-5 * abs(reference) + 1e-12
    flat = values.reshape(-1)
    for i in entries:
        a = float(analytic.reshape(-1)[i])
        error, n, corner = _entry(flat, int(i), a, floor, evaluate, reference, tolerance)
        if corner:
            row.kinks += 1
            continue
        row.checked += 1
        row.max_absolute_error = max(row.max_absolute_error, abs(a - n))
        if not error <= row.max_relative_error:
            row.max_relative_error = error
            index = tuple(int(k) for k in np.unravel_index(int(i), values.shape))
            row.worst = (index, a, n)
    return row


def _entry(
    flat: Array,
    i: int,
    analytic: float,
    floor: float,
    evaluate: Callable[[], float],
    reference: float,
    tolerance: float,
) -> tuple[float, float, bool]:
    """Return relative error, numerical derivative, and whether the entry sits on a kink."""
    old = flat[i]
    best = (np.inf, np.nan)
    try:
        for shrink in _SHRINK:
            h = _STEP * shrink * max(1.0, abs(old))
            flat[i] = old + h
            above, width_above = evaluate(), flat[i] - old
            flat[i] = old - h
            below, width_below = evaluate(), old - flat[i]
            n = (above - below) / (width_above + width_below)
            error = abs(analytic - n) / max(abs(analytic), abs(n), floor)
            if error < best[0] or np.isnan(best[1]):
                best = (error if np.isfinite(error) else np.inf, n)
            if error <= tolerance:
                return *best, False
    finally:
        flat[i] = old
    left, right = (reference - below) / width_below, (above - reference) / width_above
    noise = 1e-15 * max(abs(reference), 1.0) / h
    corner = abs(left - right) > max(1e-2 * max(abs(left), abs(right)), 100 * noise)
    # At a corner the derivative may be anything between the left and the right one.
    low, high = sorted((left, right))
    slack = 100 * noise + 1e-6 * (high - low)
    return *best, bool(corner and low - slack <= analytic <= high + slack)


def _copy(original: Any, x: Array, seed: int) -> tuple[Any, ParameterVector]:
    """Return a float64 copy, built, and its vector."""
    if isinstance(original, type) or not isinstance(original, Layer):
        raise ConfigurationError(
            "check_gradients: expected a model or an object of a class from "
            f"netlayers.layers.Layer, got {original!r}."
        )
    target: Any = copy.deepcopy(original)
    shape = (None, *x.shape[1:])
    target.compute_in(_FLOAT64)
    target.build(shape)
    target.assemble(Streams(seed))
    return target, target.parameters


def _function(
    target: Any, original: Any, x: Array, y: Any, loss: Any, rng: np.random.Generator
) -> tuple[Callable[[Array], float], Callable[[], Array]]:
    """Return L as a function of the output, and dL/doutput of its last evaluation."""
    if loss is None and y is not None:
        loss = getattr(original, "loss", None)
        if loss is None:
            raise ConfigurationError(
                "check_gradients: y was given, but there is no loss to compare it with; pass "
                "loss=, or compile the model."
            )
    if loss is None:
        weights = rng.standard_normal(target.forward(x, training=True).shape)
        return lambda output: float(np.sum(weights * output)), lambda: weights
    if y is None:
        raise ConfigurationError("check_gradients: a loss needs targets; pass y.")
    if isinstance(loss, str) and loss in ("ce", "crossentropy"):
        raise ConfigurationError("check_gradients: pass the loss by its full name.")
    chosen = copy.deepcopy(get_loss(loss))
    targets = as_array("check_gradients", "y", y)
    return lambda output: float(chosen.forward(targets, output)), chosen.backward


class _Frozen:
    """Random generators and running statistics as they were, before each evaluation."""

    def __init__(self, layer: Layer, vector: ParameterVector) -> None:
        self._states = [(g, g.bit_generator.state) for g in generators_of(layer)]
        self._vector = vector
        self._statistics = vector.statistics.copy()

    def restore(self) -> None:
        for generator, state in self._states:
            generator.bit_generator.state = state
        self._vector.statistics[...] = self._statistics


def generators_of(layer: Layer) -> Iterator[np.random.Generator]:
    """Yield every random generator of a layer and of its parts."""
    for value in vars(layer).values():
        if isinstance(value, np.random.Generator):
            yield value
    for part in layer.parts:
        yield from generators_of(part)
