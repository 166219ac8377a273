"""Check data against a model before training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.checks import WHOLE, Part, check_rows, check_values, checked_input
from netlayers.arrays.convert import (
    as_array,
    as_column,
    as_kind,
    each,
    in_order,
    kind_dtype,
    one,
    shapes_of,
)
from netlayers.arrays.foreign import LazyRows
from netlayers.arrays.frames import check_names, column_names
from netlayers.arrays.sparse import is_sparse, refuse_sparse
from netlayers.core.shapes import OR_SINGLE_SAMPLE, listed_shapes
from netlayers.data.arrays import column
from netlayers.data.batch import Batch, is_ready_input
from netlayers.data.class_weights import times_class_weights
from netlayers.data.streams import refuse_stream
from netlayers.data.structure import arrays_by_name, label
from netlayers.errors import ConfigurationError, NetlayersError, ShapeError
from netlayers.layers.input import InputLayer
from netlayers.losses.given import check_weights
from netlayers.training.compilation import warn_of_data
from netlayers.training.outputs import (
    output_names,
    parts_of,
    targets_by_output,
    weights_by_output,
)
from netlayers.training.own_steps import no_targets

if TYPE_CHECKING:
    from netlayers._typing import Array, Shape
    from netlayers.arrays.spec import InputSpec
    from netlayers.data.arrays import AnyColumn
    from netlayers.training.compilation import CompilableModel


# What a model takes ------------------------------------------------------------------------------


def input_names(layer: object, specs: tuple[InputSpec, ...]) -> list[str]:
    """Return the names of the inputs of a model, a layer or a loss, in dicts and messages."""
    if len(specs) > 1:
        return [spec.name or f"x_{i}" for i, spec in enumerate(specs)]
    first = next(iter(getattr(layer, "_layers", ())), None)
    return [specs[0].name or (first.name if isinstance(first, InputLayer) else "x")]


def checked_inputs(model: CompilableModel, owner: str, x: Any, part: Part = WHOLE) -> Any:
    """Return the input of a model, or a tuple of its inputs, checked but not yet converted.

    Of values in files, ``part`` is checked; see :func:`check_values`.

    Raises:
        DataError, ShapeError: they do not fit the model, or the columns of a frame are not those
            that it was trained with.
    """
    specs = each(model.input_spec)
    if type(x) is np.ndarray and len(specs) == 1:
        return checked_input(owner, "x", x, specs[0], model._dtype, part)
    names = input_names(model, specs)
    arrays = arrays_by_name(owner, "x", x, names)
    known, shapes = _known_columns(model, len(specs)), listed_shapes(model.input_shape or ())
    checked: list[Any] = []
    for array, spec, name, columns in zip(arrays, specs, names, known, strict=True):
        argument = label("x", name, names)
        found = column_names(array)
        if columns is not None and found is not None:
            check_names(owner, argument, found, columns)
        array = checked_input(owner, argument, array, spec, model._dtype, part)
        checked.append(as_column(array, shapes[len(checked)]) if model.built else array)
    return one(checked)


def remember_columns(model: CompilableModel, x: Any) -> None:
    """Store the column names of frames that a model is trained with."""
    if type(x) is np.ndarray:
        return
    specs = each(model.input_spec)
    known = _known_columns(model, len(specs))
    arrays = arrays_by_name("fit", "x", x, input_names(model, specs))
    found = [names or column_names(a) for names, a in zip(known, arrays, strict=True)]
    if any(found):
        model._columns = found


def _known_columns(model: CompilableModel, count: int) -> list[list[str] | None]:
    """Return the stored column names for each of ``count`` inputs, ``None`` if there are none."""
    known = model._columns
    return known if known is not None and len(known) == count else [None] * count


def checked_targets(model: CompilableModel, owner: str, y: Any) -> Any:
    """Return the targets as an array, or a tuple of arrays, one for each output.

    Raises:
        DataError: their number differs from that of the outputs, or they are not numeric.
    """
    count = model._output_count
    if type(y) is np.ndarray and count == 1:
        return as_array(owner, "y", y)
    return targets_by_output(model.loss, owner, y, output_names(model))


def build_for(model: CompilableModel, inputs: Any, targets: Any = None) -> None:
    """Build the model for the shapes of its inputs, if it is not built.

    Args:
        model: the model.
        inputs: checked inputs.
        targets: checked targets, for the message about inputs of a wrong shape.

    Raises:
        DataError: an input is sparse, and the first layer does not support it.
    """
    if not isinstance(inputs, (np.ndarray, tuple, LazyRows)) and is_sparse(inputs):
        for layer in model._layers:
            refuse_sparse(layer)
            if not isinstance(layer, InputLayer):  # which passes its input on
                break
    if not model.built:
        shapes: Any = tuple((None, *a.shape[1:]) for a in each(inputs))
        try:
            model.build(shapes if isinstance(inputs, tuple) else shapes[0])
        except ShapeError as error:
            raise _of_samples(error, inputs, targets) from None


class rollback_on_error:
    """Context manager that restores the model, even to unbuilt, if the data raise an error."""

    def __init__(self, model: CompilableModel) -> None:
        self._model = model
        self._before = model.built, model._steps, model._columns

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is None:
            return
        built, steps, self._model._columns = self._before
        if steps is not None:  # data change nothing else of a model in use
            return
        self._model._steps = None
        # Weights for which the optimizer has state are kept.
        begun = getattr(self._model.optimizer, "_parameters", None) is not None
        if not built and not begun:
            self._model._unbuild()


# Data and batches --------------------------------------------------------------------------------


def input_of(model: CompilableModel, owner: str, x: Any, part: Part = WHOLE) -> Any:
    """Check inputs without targets, build the model for them, and return them.

    Raises:
        DataError, ShapeError: they are not numeric, or do not fit the model.
    """
    if is_ready_input(model, x):
        return x
    inputs = checked_inputs(model, owner, x, part)
    check_rows(owner, inputs, {}, empty=True)
    build_for(model, inputs)
    return inputs


def input_batch(model: CompilableModel, owner: str, x: Any) -> Any:
    """Return the inputs of one batch, checked and converted; see :func:`input_of`."""
    if is_ready_input(model, x):
        return x
    refuse_stream(owner, x)
    return _converted(model, owner, input_of(model, owner, x))


def input_columns(model: CompilableModel, inputs: Any) -> AnyColumn:
    """Return checked inputs as a column to be split into batches."""
    specs, dtype = each(model.input_spec), model._dtype
    if not isinstance(inputs, tuple):
        return column(inputs, kind_dtype(inputs.dtype, specs[0], dtype))
    pairs = zip(inputs, specs, strict=True)
    return column(inputs, one([kind_dtype(a.dtype, spec, dtype) for a, spec in pairs]))


def columns_of(
    model: CompilableModel, owner: str, x: Any, y: Any, weight: Any = None, part: Part = WHOLE
) -> list[AnyColumn | None]:
    """Check a data set; return x, y and weights as columns to be split into batches.

    For ``part`` see :func:`checked_inputs`.

    Raises:
        DataError, ShapeError, ConfigurationError: what is wrong, where, and what to do.
    """
    inputs, targets, weight = _checked(model, owner, x, y, weight, part)
    dtype = check_against(model, owner, inputs, targets, weight)
    if owner == "fit":
        warn_of_data(owner, model, targets, weight)
    weights = None if weight is None else column(weight, model._dtype)
    return [input_columns(model, inputs), column(targets, dtype), weights]


def class_count(model: CompilableModel) -> int | None:
    """Return the number of classes, if the loss takes classes."""
    if getattr(model.loss, "target_kind", None) is None:
        return None
    assert model.output_shape is not None
    return max(2, model.output_shape[-1])  # type: ignore[type-var]


def batch_of(
    model: CompilableModel,
    owner: str,
    x: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Any = None,
    remember: bool = False,
) -> Batch:
    """Check one batch; the loss checks its targets itself.

    With ``remember``, the column names of frames are stored as those of the training data.

    Raises:
        DataError, ShapeError, ConfigurationError: see :func:`columns_of`.
    """
    plain = type(x) is np.ndarray
    if not plain:
        refuse_stream(owner, x)
    inputs, targets, weight = _checked(model, owner, x, y, sample_weight)
    if remember and not plain:
        remember_columns(model, x)
    if isinstance(targets, tuple):
        targets = tuple(in_order(np.asarray(t)) for t in targets)
    else:
        targets = in_order(np.asarray(targets))
    if class_weight is not None:
        y = single_target(owner, "class_weight", targets)
        ignored = getattr(model.loss, "ignore_class", None)
        weight = times_class_weights(owner, class_weight, y, weight, class_count(model), ignored)
    if weight is not None:
        weight = one([in_order(np.asarray(w)) for w in each(weight)])
    return Batch(
        _converted(model, owner, inputs),
        targets,
        weight,
        len(targets[0] if isinstance(targets, tuple) else targets),
    )


def check_against(
    model: CompilableModel, owner: str, inputs: Any, targets: Any, weight: Any
) -> Any:
    """Check x, y and weights against the model and its loss; return the dtype for y.

    Raises:
        DataError, ShapeError: what is wrong, where, and what to do.
    """
    if weight is not None:
        for its in each(weight):
            check_weights(owner, np.asarray(its))
    _check_shapes(model, inputs, targets)
    loss: Any = model._make_steps(shapes_of(targets)).loss
    if weight is not None and not isinstance(weight, tuple) and weight.ndim > 1:
        _check_weight_axes(model, owner, loss, weight.shape, each(targets)[0].shape)
    if hasattr(loss, "check_targets"):
        assert model.output_shape is not None
        try:
            loss.check_targets(targets, model.output_shape)
        except NetlayersError as error:
            raise _explained(error, model, inputs, targets) from None
    return target_dtype(model, targets)


def target_dtype(model: CompilableModel, targets: Any) -> Any:
    """Return the dtype of the targets for the loss; for several, a common one or one for each."""
    loss: Any = model._make_steps(shapes_of(targets)).loss
    if hasattr(loss, "target_dtype"):
        return loss.target_dtype(model._dtype)
    # A loss of another library gets integers as integers.
    return one([model._dtype if y.dtype.kind == "f" else y.dtype for y in each(targets)])


def single_target(owner: str, argument: str, targets: Any) -> Array:
    """Return the targets of a model with one output.

    Raises:
        ConfigurationError: there are several, and ``argument`` requires one.
    """
    if isinstance(targets, tuple):
        raise ConfigurationError(
            f"{owner}: {argument} needs the classes of one output, but y has {len(targets)} "
            "arrays; pass sample_weight instead."
        )
    return np.asarray(targets)


# Details -----------------------------------------------------------------------------------------


def _checked(
    model: CompilableModel, owner: str, x: Any, y: Any, sample_weight: Any, rows: Part = WHOLE
) -> tuple[Any, Any, Any]:
    inputs = checked_inputs(model, owner, x, rows)
    if y is None:
        y = no_targets(model, owner, each(inputs)[0].shape[0])
    targets = checked_targets(model, owner, y)
    weight = sample_weight
    if weight is not None:
        weight = weights_by_output(model.loss, owner, weight, each(inputs)[0].shape[0])
    check_rows(owner, inputs, {"y": targets, "sample_weight": weight})
    parts = [("y", model.loss, targets)]
    for name, part, its in parts_of(model.loss, targets) if isinstance(targets, tuple) else parts:
        check_values(owner, name, its, model._dtype, getattr(part, "mask_nan", None), rows)
    for its in () if weight is None else each(weight):
        check_values(owner, "sample_weight", its, model._dtype)
    build_for(model, inputs, targets)
    return inputs, targets, weight


def _converted(model: CompilableModel, owner: str, inputs: Any) -> Any:
    """Return checked inputs of one batch as arrays that the first layer takes."""
    specs = each(model.input_spec)
    if not isinstance(inputs, tuple) and specs[0].dtype == "float":  # which the layer converts
        return np.asarray(inputs) if isinstance(inputs, LazyRows) else inputs
    pairs = zip(each(inputs), specs, strict=True)
    return one(
        [a if is_sparse(a) else as_kind(owner, "x", a, spec, model._dtype) for a, spec in pairs]
    )


def _check_weight_axes(
    model: CompilableModel, owner: str, loss: Any, shape: tuple[int, ...], targets: Shape
) -> None:
    """Check the shape of weights that are not one for each sample.

    Raises:
        ShapeError: they do not belong to the targets, or the loss weighs whole samples only.
    """
    outputs = model.output_shape
    assert outputs is not None
    by_output = len(shape) == len(outputs) and shape[-1] > 1
    by_output = by_output and not hasattr(loss, "losses")  # which say themselves what they take
    if by_output and not getattr(loss, "weighs_outputs", True):
        raise ShapeError(
            f"{owner}: sample_weight has the shape {shape}, a weight for each output, but the loss "
            f"{loss.name!r} weighs whole samples; expected {shape[:-1]}."
        )
    if shape[1:] != (1,) and shape != targets[: len(shape)]:
        raise ShapeError(
            f"{owner}: sample_weight has the shape {shape}, expected {shape[:1]}, or the leading "
            f"axes of y, which has the shape {targets}."
        )


def _check_shapes(model: CompilableModel, inputs: Any, targets: Any) -> None:
    try:
        model.check_input_shape(shapes_of(inputs))
    except ShapeError as error:
        raise _of_samples(error, inputs, targets) from None


def _of_samples(error: ShapeError, inputs: Any, targets: Any) -> ShapeError:
    """Return the error without its hint for a single sample where targets show more."""
    x, y = each(inputs)[0], each(targets)[0] if targets is not None else None
    if y is not None and x.ndim == 1 and y.ndim and len(y) == len(x) > 1:
        return ShapeError(str(error).replace(OR_SINGLE_SAMPLE, ""))
    return error


def _explained(
    error: NetlayersError, model: CompilableModel, inputs: Any, targets: Any
) -> NetlayersError:
    """Return the error of a loss, with a hint if the additional axes of x are the reason."""
    x, y = each(inputs)[0], each(targets)[0]
    outputs = model.output_shape
    if (
        isinstance(error, ShapeError)
        and x.ndim > 2
        and isinstance(outputs, tuple)
        and len(outputs) == x.ndim
        and y.ndim < x.ndim
    ):
        return ShapeError(
            f"{error} The input has the shape {x.shape}, and all of its axes but the last are kept:"
            " for one prediction for each sample, begin the model with layers.Flatten()."
        )
    return error
