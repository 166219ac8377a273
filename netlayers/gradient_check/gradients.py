"""The check itself: which arrays, which entries and directions, by which method."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.checks import check_rows, check_values, checked_input
from netlayers.arrays.convert import as_array, as_kind, one, shapes_of
from netlayers.checks import check_choice, check_integer, check_number, is_several
from netlayers.core.buffers import states_of
from netlayers.core.inputs import specs_of
from netlayers.core.layer import Layer
from netlayers.core.shapes import listed_shapes
from netlayers.data.streams import first_parts, is_stream
from netlayers.data.structure import arrays_by_name, label
from netlayers.errors import ConfigurationError
from netlayers.gradient_check.differences import Central, Complex
from netlayers.gradient_check.functions import Head, LayerFunction, LossFunction, float_copy
from netlayers.gradient_check.report import GradientReport, GradientRow
from netlayers.losses import Loss
from netlayers.losses import get as get_loss
from netlayers.registry import registered
from netlayers.training.compilation import crossentropy_by_shape, fused_loss
from netlayers.training.inputs import input_names

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike, Identifier

_FLOAT64 = np.dtype(np.float64)
_OWNER = "check_gradients"
METHODS = ("auto", "central", "complex")


def check_gradients(
    model_or_layer: Any,
    x: Any,
    y: ArrayLike | None = None,
    loss: Identifier = None,
    *,
    sample_weight: ArrayLike | None = None,
    method: str = "auto",
    tolerance: float = 1e-5,
    max_entries: int | str | None = "auto",
    directions: int = 2,
    seed: int = 0,
) -> GradientReport:
    """Compare ``backward`` with numerical derivatives, in float64.

    The derivative of L is taken along entries of the input and of each trainable parameter, by the
    complex step ``Im L(v + i h) / h`` where the arithmetic on the way allows it, else by central
    differences ``(L(v + h) - L(v - h)) / 2h``. The complex step is believed only if it gives the
    same L, and for each array the same derivative as central differences along a random direction;
    an entry that it finds wrong is looked at by central differences as well.

    An array with more than ``max_entries`` entries is compared along random directions too, which
    move all its entries: they find a fault anywhere in it, the entries say where.

    At a kink nearby, central differences make h smaller, down to 1e-8; the complex step need not.
    An entry that sits on a kink (left and right derivative differ, and ``backward`` gives one
    between them) is left out and counted. Random layers draw the same numbers every time.

    An input that is declared without a gradient, or holds no float numbers, has no row, and
    ``backward`` must return ``None`` for it. Of several outputs each is checked alone too, with
    ``None`` for the others handed to ``backward``; what takes a mask is checked without one and
    with a random one. States start from what one batch leaves, in each evaluation.

    The relative error has a floor in its denominator, a thousandth of the largest gradient of the
    array and 1e-5 of L, below which differences are rounding.

    Args:
        model_or_layer: a model, or any layer; or a loss or its name, with the predictions as ``x``
            and the targets as ``y``. A copy is used, nothing of it changes.
        x: a batch of inputs, a tuple or dict of arrays for several; of data that come in batches,
            the first is taken.
        y: targets; needed with a loss.
        loss: what to differentiate; by default the loss the model was compiled with (if ``y`` is
            given), together with its last activation where ``fit`` computes both in one; else the
            sum of the outputs with random weights. A loss that is given here takes the outputs.
        sample_weight: weights of the samples in the loss.
        method: ``"auto"``, ``"complex"`` or ``"central"``.
        tolerance: largest relative error that passes.
        max_entries: entries compared of each array, chosen at random from a larger one; ``None``
            for all. ``"auto"`` is 1,000, and down to 20 in a model of more than 100,000 weights.
        directions: random directions for each array of which not all entries are compared.
        seed: of these choices, and of those weights.

    Raises:
        ConfigurationError, DataError, ShapeError: the arguments do not fit each other, or the
            complex step was asked for and the arithmetic does not allow it.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(3, activation="tanh", name="hidden")
        >>> report = nl.check_gradients(layer, np.linspace(-1, 1, 8).reshape(2, 4))
        >>> [row.name for row in report.rows], report.passed
        (['input', 'hidden/kernel', 'hidden/bias'], True)
        >>> nl.check_gradients(nl.losses.Huber(), [[0.2, 3.0]], [[0.0, 1.0]]).passed
        True

    Source:
        Central differences and the choice of h: W. Press et al., "Numerical Recipes", 3rd ed.,
        section 5.7. Complex step: W. Squire, G. Trapp, "Using complex variables to estimate
        derivatives of real functions", SIAM Review 40 (1998) 110.
    """
    tolerance = check_number(_OWNER, "tolerance", tolerance, above=0)
    method = check_choice(_OWNER, "method", method, METHODS)
    directions = check_integer(_OWNER, "directions", directions, minimum=0)
    if max_entries is not None and max_entries != "auto":
        max_entries = check_integer(_OWNER, "max_entries", max_entries, minimum=1)
    rng = np.random.default_rng(check_integer(_OWNER, "seed", seed, minimum=0))
    if y is None and is_stream(x):
        x, y, its_weight = first_parts(_OWNER, x)
        sample_weight = its_weight if sample_weight is None else sample_weight
        if loss is None and getattr(model_or_layer, "loss", None) is None:
            y = None  # of a layer alone
    inputs = _inputs(model_or_layer, x)
    targets = None
    if y is not None:
        (y,) = arrays_by_name(_OWNER, "y", y, ["y"], "output")
        targets = as_array(_OWNER, "y", y)
    check_rows(_OWNER, inputs, {"y": targets})
    if targets is not None:
        check_values(_OWNER, "y", targets, _FLOAT64)
    function = _function(model_or_layer, inputs, targets, loss, sample_weight, seed, rng)
    report = GradientReport(tolerance)
    most = max_entries
    if most == "auto":  # a check shall take seconds
        weights = sum(values.size for _, values in function.arrays)
        most = min(1000, max(20, int(1e8 / (weights * len(function.arrays) + 1))))
        if most < 1000:
            report.notes.append(
                f"{most} entries of each array are compared, of {weights} numbers in all; "
                "max_entries= sets how many."
            )
    variants = {"": function, **_variants(function, np.random.default_rng(seed))}
    for title, variant in variants.items():
        part = _check(variant, method, tolerance, most, directions, rng)
        for row in part.rows:
            row.name += title
        report.rows += part.rows
        report.notes += [note for note in part.notes if note not in report.notes]
    return report


def _check(
    function: Any,
    method: str,
    tolerance: float,
    most: Any,
    directions: int,
    rng: np.random.Generator,
) -> GradientReport:
    """Compare all arrays of a function."""
    reference = function.value()
    if not np.isfinite(reference):
        raise ConfigurationError(f"{_OWNER}: the function to differentiate is {reference}.")
    gradients = function.gradients()
    report = GradientReport(tolerance)
    central = Central(function.value, reference, tolerance)
    step = _complex_step(function, reference, method, report)
    for place, ((name, values), analytic) in enumerate(
        zip(function.arrays, gradients, strict=True)
    ):
        entries = np.arange(values.size)
        if isinstance(most, int) and values.size > most:
            entries = np.sort(rng.choice(values.size, most, replace=False))
        row = GradientRow(name, values.shape)
        count = directions if len(entries) < values.size else 0
        vectors = [rng.standard_normal(values.shape) for _ in range(count)]
        chosen = step
        if step is not None and method == "auto" and values.size:
            probe = vectors[0] if vectors else rng.standard_normal(values.shape)
            if not step.agrees(place, values, probe, analytic, central):
                chosen = None
                report.notes.append(
                    f"{name}: the complex step disagrees with central differences; not used."
                )
        row.method = "central" if chosen is None else "complex"
        _compare(row, values, analytic, entries, vectors, central, chosen, place)
        report.rows.append(row)
    return report


def _compare(
    row: GradientRow,
    values: Array,
    analytic: Array,
    entries: Array,
    vectors: list[Array],
    central: Central,
    step: Complex | None,
    place: int,
) -> None:
    """Fill in a row."""
    floor = central.floor(analytic)
    for vector in vectors:
        a = float(np.vdot(analytic, vector))
        wide = floor * float(np.sqrt(values.size))
        error, _, corner = central.compare(values, vector, a, wide, step, place)
        if corner:
            row.kinks += 1
        else:
            row.directions += 1
            row.direction_error = max(row.direction_error, error)
    for i in entries:
        index = tuple(int(k) for k in np.unravel_index(int(i), values.shape))
        a = float(analytic[index])
        error, n, corner = central.compare(values, index, a, floor, step, place)
        if corner:
            row.kinks += 1
            continue
        row.checked += 1
        row.max_absolute_error = max(row.max_absolute_error, abs(a - n))
        if not error <= row.max_relative_error:
            row.max_relative_error = error
            row.worst = (index, a, n)


def _complex_step(
    function: Any, reference: float, method: str, report: GradientReport
) -> Complex | None:
    """Return the complex step, or ``None`` with a note where the arithmetic does not allow it."""
    if method == "central":
        return None
    reason = ""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")  # a derivative that is dropped is a ComplexWarning
            twin = function.in_complex()
            value = complex(twin.value())
        if abs(value.real - reference) <= 1e-9 * (1 + abs(reference)):
            return Complex(twin)
        reason = f"it computes {value.real:.6g}, not {reference:.6g}"
    except Exception as error:  # whatever an unknown layer raises for complex numbers
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if method == "complex":
        raise ConfigurationError(
            f"{_OWNER}: the complex step is not possible here ({reason}). Use method='auto'."
        )
    report.notes.append(f"no complex step ({reason}); central differences were used.")
    return None


def _inputs(model_or_layer: Any, x: Any) -> Any:
    """Return a copy of x in float64, as far as it is float: one array, or a tuple of them."""
    specs = specs_of(model_or_layer)
    names = input_names(model_or_layer, specs)
    inputs = []
    arrays = arrays_by_name(_OWNER, "x", x, names)
    for array, spec, name in zip(arrays, specs, names, strict=True):
        argument = label("x", name, names)
        if spec.dtype == "float":
            array = as_array(_OWNER, argument, array)
        array = checked_input(_OWNER, argument, array, spec, _FLOAT64)
        inputs.append(np.array(as_kind(_OWNER, argument, array, spec, _FLOAT64)))
    return one(inputs)


def _function(
    original: Any,
    inputs: Any,
    y: Any,
    loss: Any,
    sample_weight: Any,
    seed: int,
    rng: np.random.Generator,
) -> Any:
    """Return L as a function of arrays."""
    named = isinstance(original, str) and original in registered("loss")
    if named or isinstance(original, Loss):
        if y is None:
            raise ConfigurationError(f"{_OWNER}: a loss needs targets; pass y.")
        return LossFunction(Head(copy.deepcopy(get_loss(original)), y, sample_weight), inputs)
    if isinstance(original, type) or not isinstance(original, Layer):
        raise ConfigurationError(
            "check_gradients: expected a model or an object of a class from "
            f"netlayers.layers.Layer, or a loss, got {original!r}."
        )
    target = _target(original, inputs, seed)
    compiled = loss is None
    if loss is None and y is not None:
        loss = getattr(original, "loss", None)
        if loss is None:
            raise ConfigurationError(
                "check_gradients: y was given, but there is no loss to compare it with; pass "
                "loss=, or compile the model."
            )
    if loss is None:
        shape = shapes_of(target.forward(inputs, training=True))
        weights: Any = tuple(map(rng.standard_normal, listed_shapes(shape)))
        if not is_several(shape):
            (weights,) = weights
        target = _target(original, inputs, seed)
        return LayerFunction(target, inputs, Head(None, None, None, weights))
    if y is None:
        raise ConfigurationError("check_gradients: a loss needs targets; pass y.")
    output_shape = target.compute_output_shape(shapes_of(inputs))
    if is_several(output_shape):
        raise ConfigurationError(
            f"{_OWNER}: a loss takes one output, and there are {len(output_shape)}. Leave out y "
            "and loss: the sum of all outputs with random weights is then differentiated."
        )
    if isinstance(loss, str) and loss in ("ce", "crossentropy"):
        loss = crossentropy_by_shape(y.shape, output_shape)
    loss = copy.deepcopy(get_loss(loss))
    fused = fused_loss(loss, getattr(target, "activation", None)) if compiled else None
    head = Head(fused or loss, y, sample_weight)
    return LayerFunction(target, inputs, head, fused is not None)


def _target(original: Any, inputs: Any, seed: int) -> Any:
    """Return a copy in float64; its states are those that a batch leaves, as 0 hides a mistake."""
    target = float_copy(original, shapes_of(inputs), seed=seed)
    if states_of(target):
        target.reset_states()
        target.forward(inputs, training=True)
    return target


def _variants(function: Any, rng: np.random.Generator) -> dict[str, Any]:
    """Return further functions to check: of each output alone, and with a mask, by their titles."""
    if isinstance(function, LossFunction):
        return {}
    layer, x, head, fused = function.layer, function.x, function.head, function.fused
    found = {}
    if isinstance(head.weights, tuple):
        for i in range(len(head.weights)):
            alone = tuple(w if j == i else None for j, w in enumerate(head.weights))
            found[f" (output {i} alone)"] = LayerFunction(
                layer, x, Head(None, None, None, alone), fused
            )
    if layer.takes_mask:
        inputs = x if isinstance(x, tuple) else (x,)
        masks = tuple(_mask(v, rng) for v in inputs)
        if any(mask is not None for mask in masks):
            mask = masks if isinstance(x, tuple) else masks[0]
            found[" (masked)"] = LayerFunction(layer, x, head, fused, mask)
    return found


def _mask(x: Array, rng: np.random.Generator) -> Array | None:
    """Return a mask (batch, time) with a step to see in each row; ``None`` without a time axis."""
    if x.ndim < (3 if x.dtype.kind == "f" else 2):
        return None
    mask = rng.random(x.shape[:2]) < 0.7
    if mask.size:
        mask[:, 0] = True
    return mask
