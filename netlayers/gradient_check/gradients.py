"""check_gradients: compare ``backward`` with numerical derivatives."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.checks import check_rows, check_values, checked_input
from netlayers.arrays.convert import as_array, as_kind, one, shapes_of
from netlayers.checks import check_choice, check_integer, check_number, check_seed, is_several
from netlayers.core.buffers import states_of
from netlayers.core.inputs import specs_of
from netlayers.core.layer import Layer
from netlayers.core.shapes import listed_shapes
from netlayers.data.streams import is_stream, unpack_first_batch
from netlayers.data.structure import arrays_by_name, label
from netlayers.errors import ConfigurationError
from netlayers.gradient_check.differences import CentralDifferences, ComplexStepDerivative
from netlayers.gradient_check.functions import LayerFunction, LossFunction, Objective, float_copy
from netlayers.gradient_check.report import GradientReport, GradientRow
from netlayers.losses import BY_SHAPE, Loss
from netlayers.losses import get as get_loss
from netlayers.registry import registered
from netlayers.training.compilation import fused_loss
from netlayers.training.inputs import input_names
from netlayers.training.outputs import crossentropy_by_shape
from netlayers.training.own_steps import computed_loss

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike, Identifier
    from netlayers.gradient_check.functions import Function

_FLOAT64 = np.dtype(np.float64)
_OWNER = "check_gradients"
METHODS = ("auto", "central", "complex")


def check_gradients(
    model_or_layer: Layer | Loss | str,
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

    L is differentiated with respect to the input and each trainable parameter, entry by entry: by
    the complex step ``Im L(v + i h) / h`` if all operations support complex numbers, else by
    central differences ``(L(v + h) - L(v - h)) / 2h``. The complex step is used only if it
    reproduces L and, for each array, agrees with central differences along a random direction. An
    entry that it finds wrong is also checked by central differences.

    Arrays with more than ``max_entries`` entries are also compared along random directions, which
    change all entries: a direction detects an error anywhere in the array, the entries locate it.

    Near a kink, central differences use smaller steps h, down to 1e-8; the complex step does not
    need to. An entry at a kink (the left and right derivatives differ, and ``backward`` returns a
    value between them) is left out and counted. Random layers draw the same numbers in every
    evaluation, and layers with states start from the states after one batch.

    So that errors cannot hide behind the starting point, parameters whose values are all 0, 1 or
    -1 are first moved by about 0.1; and before the gradients are taken, there are steps on other
    data and with another number of rows, and inference between ``forward`` and ``backward``.

    An input of another dtype than float, or declared without a gradient, has no row, and
    ``backward`` must return ``None`` for it. A layer with several outputs is also checked for each
    output alone, with ``None`` as the gradient of the others; a layer with ``takes_mask`` is
    checked without a mask and with a random one.

    The denominator of the relative error is at least a thousandth of the largest gradient of the
    array plus 1e-5 of L, because smaller differences are rounding errors.

    Args:
        model_or_layer: a model or layer; or a loss or its name, with the predictions as ``x`` and
            the targets as ``y``. It is not changed: the check uses a copy.
        x: a batch of inputs, with a tuple or dict of arrays for several inputs. If the data come
            in batches, the first batch is used.
        y: targets; required with a loss.
        loss: the loss to differentiate, as a function of the outputs. By default, the loss that
            the model was compiled with (if ``y`` is given), computed together with the last
            activation if ``fit`` does so; otherwise the sum of the outputs with random weights.
        sample_weight: sample weights of the loss.
        method: ``"auto"``, ``"complex"`` or ``"central"``.
        tolerance: largest relative error that passes.
        max_entries: number of entries to compare in each array, chosen at random; ``None`` for
            all. ``"auto"`` is 1,000, and down to 20 for more than 100,000 weights.
        directions: number of random directions for an array that is not compared completely.
        seed: seed of these random choices and of the weights of the sum.

    Raises:
        ConfigurationError, DataError, ShapeError: the arguments do not match, or
            ``method="complex"`` and an operation does not support complex numbers.

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
    if max_entries is not None and not (isinstance(max_entries, str) and max_entries == "auto"):
        max_entries = check_integer(_OWNER, "max_entries", max_entries, minimum=1)
    rng = np.random.default_rng(check_seed(_OWNER, seed))
    if y is None and is_stream(x):
        x, y, weight = unpack_first_batch(_OWNER, x)
        sample_weight = weight if sample_weight is None else sample_weight
        if loss is None and getattr(model_or_layer, "loss", None) is None:
            y = None  # a layer without a loss does not use the targets
    inputs = _inputs(model_or_layer, x)
    targets = None
    if y is not None:
        (y,) = arrays_by_name(_OWNER, "y", y, ["y"], "output")
        targets = as_array(_OWNER, "y", y)
    check_rows(_OWNER, inputs, {"y": targets})
    if targets is not None:
        used = getattr(model_or_layer, "loss", model_or_layer) if loss is None else loss
        check_values(_OWNER, "y", targets, _FLOAT64, getattr(used, "mask_nan", None))
    function = _function(model_or_layer, inputs, targets, loss, sample_weight, seed, rng)
    report = GradientReport(tolerance)
    limit = max_entries
    if limit == "auto":  # keeps the check in the range of seconds
        total = sum(values.size for _, values in function.arrays)
        limit = min(1000, max(20, int(1e8 / (total * len(function.arrays) + 1))))
        if limit < 1000:
            report.notes.append(
                f"{limit} entries of each array are compared, of {total} entries in total; "
                "max_entries= changes this number."
            )
    variants = {"": function, **_variants(function, np.random.default_rng(seed))}
    for title, variant in variants.items():
        part = _check(variant, method, tolerance, limit, directions, rng)
        for row in part.rows:
            row.name += title
        report.rows += part.rows
        report.notes += [note for note in part.notes if note not in report.notes]
    return report


def _check(
    function: Function,
    method: str,
    tolerance: float,
    limit: int | str | None,
    directions: int,
    rng: np.random.Generator,
) -> GradientReport:
    """Compare the gradients of all arrays of a function."""
    function.warm_up()
    reference = function.value()
    if not np.isfinite(reference):
        raise ConfigurationError(f"{_OWNER}: L must be finite, got {reference}.")
    gradients = function.gradients()
    report = GradientReport(tolerance)
    central = CentralDifferences(function.value, reference, tolerance)
    step = _complex_step(function, reference, method, report)
    for number, ((name, values), analytic) in enumerate(
        zip(function.arrays, gradients, strict=True)
    ):
        entries = np.arange(values.size)
        if isinstance(limit, int) and values.size > limit:
            entries = np.sort(rng.choice(values.size, limit, replace=False))
        row = GradientRow(name, values.shape)
        count = directions if len(entries) < values.size else 0
        vectors = [rng.standard_normal(values.shape) for _ in range(count)]
        chosen = step
        if step is not None and method == "auto" and values.size:
            probe = vectors[0] if vectors else rng.standard_normal(values.shape)
            if not step.agrees(number, values, probe, analytic, central):
                chosen = None
                report.notes.append(
                    f"{name}: the complex step disagrees with central differences and was not used."
                )
        row.method = "central" if chosen is None else "complex"
        _compare(row, values, analytic, entries, vectors, central, chosen, number)
        report.rows.append(row)
    return report


def _compare(
    row: GradientRow,
    values: Array,
    analytic: Array,
    entries: Array,
    vectors: list[Array],
    central: CentralDifferences,
    step: ComplexStepDerivative | None,
    number: int,
) -> None:
    """Compare one array and write the errors into its row."""
    floor = central.floor(analytic)
    for vector in vectors:
        a = float(np.vdot(analytic, vector))
        direction_floor = floor * float(np.sqrt(values.size))
        error, _, kink = central.compare(values, vector, a, direction_floor, step, number)
        if kink:
            row.kinks += 1
        else:
            row.directions += 1
            row.direction_error = max(row.direction_error, error)
    for i in entries:
        index = tuple(int(k) for k in np.unravel_index(int(i), values.shape))
        a = float(analytic[index])
        error, n, kink = central.compare(values, index, a, floor, step, number)
        if kink:
            row.kinks += 1
            continue
        row.checked += 1
        row.max_absolute_error = max(row.max_absolute_error, abs(a - n))
        if not error <= row.max_relative_error:
            row.max_relative_error = error
            row.worst = (index, a, n)


def _complex_step(
    function: Function, reference: float, method: str, report: GradientReport
) -> ComplexStepDerivative | None:
    """Return the complex step, or ``None`` and add a note if an operation does not support it."""
    if method == "central":
        return None
    reason = ""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")  # a ComplexWarning means that the derivative is lost
            complex_function = function.complex_copy()
            value = complex(complex_function.value())
        if abs(value.real - reference) <= 1e-9 * (1 + abs(reference)):
            return ComplexStepDerivative(complex_function)
        reason = f"L is {value.real:.6g} instead of {reference:.6g}"
    except Exception as error:  # foreign code may raise anything for complex numbers
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if method == "complex":
        raise ConfigurationError(
            f"{_OWNER}: the complex step is not possible ({reason}). Use method='auto'."
        )
    report.notes.append(
        f"the complex step is not possible ({reason}); central differences were used."
    )
    return None


def _inputs(model_or_layer: Any, x: Any) -> Any:
    """Return a copy of x, float inputs in float64: one array or a tuple of arrays."""
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
    original: Layer | Loss | str,
    inputs: Any,
    y: Array | None,
    loss: Identifier,
    sample_weight: Any,
    seed: int,
    rng: np.random.Generator,
) -> LayerFunction | LossFunction:
    """Return L as a function of the arrays to check."""
    named = isinstance(original, str) and original in registered("loss")
    if named or isinstance(original, Loss):
        if y is None:
            raise ConfigurationError(f"{_OWNER}: a loss needs targets; pass y.")
        return LossFunction(Objective(copy.deepcopy(get_loss(original)), y, sample_weight), inputs)
    if isinstance(original, type) or not isinstance(original, Layer):
        raise ConfigurationError(
            "check_gradients: expected a model, an instance of a subclass of "
            f"netlayers.layers.Layer, or a loss, got {original!r}."
        )
    target = _target(original, inputs, seed)
    compiled = loss is None
    if loss is None and y is not None:
        loss = getattr(original, "loss", None)
        own: Any = computed_loss(target, inputs)
        if own is not None:
            return LayerFunction(target, inputs, Objective(own, y, sample_weight))
        if loss is None:
            raise ConfigurationError(
                "check_gradients: y was given without a loss; pass loss=, or compile the model."
            )
    if loss is None:
        shape = shapes_of(target.forward(inputs, training=True))
        weights: Any = tuple(map(rng.standard_normal, listed_shapes(shape)))
        if not is_several(shape):
            (weights,) = weights
        target = _target(original, inputs, seed)
        return LayerFunction(target, inputs, Objective(None, None, None, weights))
    if y is None:
        raise ConfigurationError(f"{_OWNER}: a loss needs targets; pass y.")
    output_shape = target.compute_output_shape(shapes_of(inputs))
    if is_several(output_shape):
        raise ConfigurationError(
            f"{_OWNER}: a loss takes one output, but there are {len(output_shape)}. Leave out y "
            "and loss to differentiate the sum of all outputs with random weights."
        )
    if isinstance(loss, str) and loss.lower() in BY_SHAPE:
        loss = crossentropy_by_shape(y.shape, output_shape)
    loss = copy.deepcopy(get_loss(loss))
    fused = fused_loss(loss, getattr(target, "activation", None)) if compiled else None
    objective = Objective(fused or loss, y, sample_weight)
    return LayerFunction(target, inputs, objective, fused is not None)


def _target(original: Layer, inputs: Any, seed: int) -> Layer:
    """Return a copy in float64, with the states after one batch: states of 0 can hide an error."""
    target = float_copy(original, shapes_of(inputs), seed=seed)
    rng = np.random.default_rng(seed)
    for values in (p.value for p in target.parameters.tensors):
        assert values is not None
        if np.isin(values, (-1, 0, 1)).all():  # a factor that is missing would not be seen
            values += rng.uniform(0.05, 0.15, values.shape)
    if states_of(target):
        target.reset_states()
        target.forward(inputs, training=True)
    return target


def _variants(
    function: LayerFunction | LossFunction, rng: np.random.Generator
) -> dict[str, Function]:
    """Return further functions to check by their titles: each output alone, and with a mask."""
    if isinstance(function, LossFunction):
        return {}
    layer, x, objective = function.layer, function.x, function.objective
    fused = function.fused
    found: dict[str, Function] = {}
    if isinstance(objective.weights, tuple):
        for i in range(len(objective.weights)):
            alone = tuple(w if j == i else None for j, w in enumerate(objective.weights))
            found[f" (output {i} alone)"] = LayerFunction(
                layer, x, Objective(None, None, None, alone), fused
            )
    if layer.takes_mask:
        inputs = x if isinstance(x, tuple) else (x,)
        masks = tuple(_mask(v, rng, getattr(layer, "_time_axis", 1)) for v in inputs)
        if any(mask is not None for mask in masks):
            mask = masks if isinstance(x, tuple) else masks[0]
            found[" (masked)"] = LayerFunction(layer, x, objective, fused, mask)
    return found


def _mask(x: Array, rng: np.random.Generator, axis: int) -> Array | None:
    """Return a mask (batch, time) with True in each row; ``None`` without a time axis."""
    if x.ndim < (3 if x.dtype.kind == "f" else 2):
        return None
    mask = rng.random((len(x), x.shape[axis])) < 0.7
    if mask.size:
        mask[:, 0] = True
    return mask
