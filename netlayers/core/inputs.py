"""Inputs of a layer: convert and check one or several arrays, and build the layer for them."""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_kind, shapes_of
from netlayers.arrays.sparse import as_input, is_sparse, refuse_sparse
from netlayers.arrays.spec import FLOAT
from netlayers.checks import is_several
from netlayers.core.shapes import (
    any_batch,
    listed_shapes,
    shape_hint,
    shown_shape,
)
from netlayers.errors import DataError, ShapeError

if TYPE_CHECKING:
    from netlayers._typing import Shape
    from netlayers.arrays.spec import InputSpec
    from netlayers.core.protocols import LayerLike


def specs_of(layer: object, count: int | None = None) -> tuple[InputSpec, ...]:
    """Return the input specs of a layer as a tuple.

    Args:
        layer: the layer.
        count: number of inputs, for one that takes any number.
    """
    if count is not None and getattr(layer, "_any_inputs", False):
        return (FLOAT,) * count
    spec = getattr(layer, "input_spec", FLOAT)
    return spec if isinstance(spec, tuple) else (spec,)


def input_names(specs: tuple[InputSpec, ...]) -> list[str]:
    """Return the names of the inputs in messages: ``"x"``, or ``"x_0"``, ``"x_1"``, ..."""
    if len(specs) == 1:
        return [specs[0].name or "x"]
    return [spec.name or f"x_{i}" for i, spec in enumerate(specs)]


def prepared(layer: LayerLike, x: Any) -> Any:
    """Return the input of a layer, or the tuple of its inputs; see :meth:`Layer.prepare`."""
    if _is_ready(layer, x):
        return x
    several = isinstance(layer.input_spec, tuple)
    if not several and not layer.built and getattr(layer, "_any_inputs", False):
        several = type(x) is tuple or (
            type(x) is list and all(isinstance(a, np.ndarray) for a in x)
        )
    specs = specs_of(layer, len(x) if several and isinstance(x, (tuple, list)) else None)
    names = input_names(specs)
    given = list(x) if isinstance(x, (tuple, list)) and several else [x]
    if len(given) != len(specs) or (isinstance(x, tuple) and not several):
        count = len(x) if isinstance(x, (tuple, list)) else 1
        hint = (
            "Pass them as a tuple."
            if several
            else "Put a layer that takes several inputs before it."
        )
        raise DataError(f"{_takes(layer)}, got {count}. {hint}")
    arrays = [
        _as_declared(layer, name, value, spec)
        for name, value, spec in zip(names, given, specs, strict=True)
    ]
    if len({a.shape[0] for a in arrays if a.shape}) > 1:
        rows = ", ".join(f"{n} has {a.shape[0]}" for n, a in zip(names, arrays, strict=True))
        raise ShapeError(f"{layer.owner}: its inputs differ in their number of rows: {rows}.")
    x = tuple(arrays) if several else arrays[0]
    if vars(layer).get("_building") == get_ident():  # the forward of a model, which its build runs
        return x
    if not layer.built:
        layer.build(any_batch(shapes_of(x)))
    try:
        layer.check_input_shape(shapes_of(x))
    except ShapeError:
        shape = any_batch(shapes_of(x))
        if not _takes_any_shape(layer) or len(shape) < 2 or shape == layer.input_shape:
            raise
        layer.build(shape)
        layer._row = None
    layer._bind_alone()
    if layer._row is not None and not several and None in (layer.input_shape or ())[1:]:
        layer._row = x.shape[1:]  # prepare() returns the next input of these lengths at once
    return x


def _takes_any_shape(layer: LayerLike) -> bool:
    """Whether a layer can be built again for another shape: it stands alone, without weights."""
    return not (layer._in_model or layer.declared_parameters or layer._sublayers)


def _is_ready(layer: LayerLike, x: Any) -> bool:
    """Whether ``x`` is an array of indices that needs no conversion, of the shape built for."""
    spec, shape = layer.input_spec, layer.input_shape
    return (
        type(x) is np.ndarray
        and x.dtype.kind in "iu"
        and x.dtype.isnative
        and x.flags.c_contiguous
        and not isinstance(spec, tuple)
        and spec.dtype == "integer"
        and layer._vector is not None
        and shape is not None
        and x.shape[1:] == shape[1:]
    )


def are_ready(layer: LayerLike, x: tuple[Any, ...]) -> bool:
    """Whether several inputs are arrays that need no conversion; a fast check."""
    shapes: Any = layer.input_shape
    specs: Any = layer.input_spec
    return len(x) == len(shapes) and all(
        type(a) is np.ndarray
        and (a.dtype is layer._dtype if spec.dtype == "float" else a.dtype.kind in "iu")
        and spec.dtype in ("float", "integer")
        and a.shape[1:] == shape[1:]
        and len(a) == len(x[0])
        and a.flags.c_contiguous
        for a, shape, spec in zip(x, shapes, specs, strict=True)
    )


def _as_declared(layer: LayerLike, name: str, value: Any, spec: InputSpec) -> Any:
    if is_sparse(value):
        refuse_sparse(layer)
        return as_input(layer.owner, value, layer._dtype)
    array = as_kind(layer.owner, name, value, spec, layer._dtype)
    _check_axes(layer, name, array.shape, spec)
    return array


def check_declared(layer: LayerLike, shape: Shape) -> None:
    """Check the input shape, or shapes, of a layer against its ``input_spec``.

    Raises:
        ShapeError: the number of shapes, or the number of axes of one, does not match.
    """
    shapes = listed_shapes(shape)
    specs = specs_of(layer, len(shapes) if is_several(shape) else None)
    several = isinstance(layer.input_spec, tuple)
    if getattr(layer, "_any_inputs", False) and not layer.built:
        several = several or is_several(shape)
    if len(specs) != len(shapes) or several != is_several(shape):
        hint = (
            "The layer before it must return a tuple of as many arrays."
            if several
            else "Put a layer that takes several inputs before it."
        )
        raise ShapeError(f"{_takes(layer)}, got {len(shapes)}: {shown_shape(shape)}. {hint}")
    for name, its, spec in zip(input_names(specs), shapes, specs, strict=True):
        _check_axes(layer, name, its, spec)


def _takes(layer: LayerLike) -> str:
    """Return the start of a message: the layer and its number of inputs."""
    specs = specs_of(layer)
    takes = "takes one input"
    if isinstance(layer.input_spec, tuple):
        takes = f"takes {len(specs)} inputs ({', '.join(input_names(specs))})"
    return f"{layer.owner} ({type(layer).__name__}): {takes}"


def _check_axes(layer: LayerLike, name: str, shape: Shape, spec: InputSpec) -> None:
    wanted = f"{spec.ndim}" if spec.ndim is not None else f"at least {spec.min_ndim}"
    if len(shape) != spec.ndim if spec.ndim is not None else len(shape) < spec.min_ndim:
        raise ShapeError(
            f"{layer.owner} ({type(layer).__name__}): {name} must have {wanted} axes, the batch "
            f"first, got the shape {shape}."
        )


def check_shapes(layer: LayerLike, shape: Shape) -> None:
    """Raise a ShapeError unless the layer was built for this shape or these shapes."""
    assert layer.input_shape is not None
    given, built = listed_shapes(shape), listed_shapes(layer.input_shape)
    if len(given) == len(built) and all(map(_fits, given, built)):
        return
    hint = "" if is_several(layer.input_shape) else shape_hint(layer.input_shape, shape)
    raise ShapeError(
        f"{layer.owner} ({type(layer).__name__}): expected an input of shape "
        f"{shown_shape(layer.input_shape)}, got {shown_shape(shape)}. {hint}".rstrip()
    )


def _fits(shape: Shape, expected: Shape) -> bool:
    return len(shape) == len(expected) and all(
        want is None or want == got for want, got in zip(expected[1:], shape[1:], strict=True)
    )
