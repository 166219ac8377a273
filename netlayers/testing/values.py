"""Test data, and comparisons of arrays that report differences."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import shapes_of
from netlayers.checks import is_several
from netlayers.core.calls import generators_of
from netlayers.core.inputs import specs_of
from netlayers.core.shapes import any_batch, listed_shapes
from netlayers.testing.contract import Mismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from netlayers._typing import Array
    from netlayers.core.layer import Layer
    from netlayers.testing.contract import Example

FLOATS = ("float32", "float64")
_KINDS: dict[str, Any] = {"integer": int, "boolean": bool, "string": str, "category": str}


# Layers and their inputs ------------------------------------------------------------------------


def built(example: Example, dtype: str = "float64", seed: int = 0) -> Any:
    """Return a built layer with random weights and the name ``mine``."""
    layer = example.make(dtype=dtype, name="mine")
    layer.build(any_batch(example.data[0]))
    rng = np.random.default_rng(seed)
    layer.set_weights(
        [rng.normal(size=w.shape) if w.dtype.kind == "f" else w for w in layer.weights]
    )
    statistics = layer.parameters.statistics
    statistics[...] = np.abs(statistics) + 0.5  # a variance is positive
    return layer


def normal(shape: Any, dtype: Any = "float64", seed: int = 1) -> Array:
    """Return random numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def inputs(layer: Layer, shape: Any, dtype: Any = "float64", seed: int = 1) -> Any:
    """Return an input of the kind that a layer declares: an array, or a tuple of them."""
    drawn: list[Array] = []
    shapes = listed_shapes(shape)
    for i, (spec, one) in enumerate(zip(specs_of(layer, len(shapes)), shapes, strict=True)):
        if spec.dtype == "float":
            drawn.append(normal(one, dtype, seed + 100 * i))
            continue
        numbers = np.random.default_rng(seed + i).integers(0, 3, one)
        drawn.append(numbers.astype(_KINDS[spec.dtype]))
    return tuple(drawn) if isinstance(layer.input_spec, tuple) else drawn[0]


def with_rows(shape: Any, rows: int) -> Any:
    """Return a shape, or several, with another number of rows."""
    return tuple(with_rows(s, rows) for s in shape) if is_several(shape) else (rows, *shape[1:])


def rows_of(x: Any, start: int, stop: int) -> Any:
    """Return some rows of an input."""
    return tuple(a[start:stop] for a in x) if isinstance(x, tuple) else x[start:stop]


def listed(value: Any) -> list[Array]:
    """Return several arrays, or the one, without those that are ``None``."""
    return [a for a in (value if isinstance(value, tuple) else (value,)) if a is not None]


def copies(value: Any) -> list[Array]:
    """Return copies of several arrays, or of one."""
    return [np.array(a) for a in listed(value)]


def gradient_like(y: Any, seed: int = 2) -> Any:
    """Return a random dL/dy for an output, or for several."""
    if isinstance(y, tuple):
        return tuple(normal(a.shape, a.dtype, seed + i) for i, a in enumerate(y))
    return normal(y.shape, y.dtype, seed)


def zeros(shape: Any, dtype: Any = "float64") -> Any:
    """Return an array of zeros, or a tuple of them for several shapes."""
    return tuple(map(zeros, shape)) if is_several(shape) else np.zeros(shape, dtype)


def forward(layer: Layer, x: Any, training: bool = False) -> Any:
    """Return the output, from states of zeros."""
    layer.reset_states()
    return layer.forward(x, training=training)


def restart_streams(layer: Layer) -> None:
    """Let random layers draw what they drew at first."""
    for generator in generators_of(layer).values():
        generator.bit_generator.state = np.random.PCG64(0).state


def step(
    layer: Layer, x: Any, seed: int = 2, between: Callable[[], Any] | None = None
) -> list[Array]:
    """Return output, dL/dx and the gradients of a training step, as copies.

    Random layers draw the same numbers in every step, so that two of them can be compared.

    Args:
        layer: a built layer.
        x: its input.
        seed: of dL/dy.
        between: called between ``forward`` and ``backward``.
    """
    restart_streams(layer)
    y = forward(layer, x, training=True)
    kept, dy = copies(y), gradient_like(y, seed)
    if between is not None:
        between()
    dx = layer.backward(dy)
    return [*kept, *copies(dx), *dense_gradients(layer)]


def dense_gradients(layer: Layer) -> list[Array]:
    """Return copies of the gradients of the weights; those by rows as whole arrays."""
    return [g.dense() if hasattr(g, "dense") else np.array(g) for g in layer.gradients]


# Awkward arrays ---------------------------------------------------------------------------------


def awkward(x: Array) -> dict[str, Any]:
    """Return the same numbers as ``x`` in the forms that users have them in."""
    padded = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    padded[..., ::2] = x
    readonly = x.copy()
    readonly.flags.writeable = False
    forms = {
        "a list": x.tolist(),
        "an array in Fortran order": np.asfortranarray(x),
        "a strided array": padded[..., ::2],
        "a reversed array": x[::-1].copy()[::-1],
        "a read-only array": readonly,
        "a big-endian array": x.astype(x.dtype.newbyteorder(">")),
    }
    if x.dtype.kind == "U":
        return {**forms, "objects": x.astype(object)}
    with np.errstate(invalid="ignore"):  # NaN is no integer
        integers = x.astype("int64")
    return {
        **forms,
        "float16": x.astype("float16"),
        "integers": integers,
        "float64": x.astype("float64"),
    }


# Comparisons ------------------------------------------------------------------------------------


def require(condition: bool, expected: str, got: str, hint: str) -> None:
    """Raise a Mismatch unless the condition holds."""
    if not condition:
        raise Mismatch(expected, got, hint)


def same(got: Iterable[Any], wanted: Iterable[Any], expected: str, hint: str) -> None:
    """Raise a Mismatch unless two lists of arrays are equal to the bit."""
    _compare(list(got), list(wanted), expected, hint, None)


def close(
    got: Iterable[Any],
    wanted: Iterable[Any],
    expected: str,
    hint: str,
    rtol: float = 1e-6,
    atol: float = 1e-6,
) -> None:
    """Raise a Mismatch unless two lists of arrays are equal up to rounding."""
    _compare(list(got), list(wanted), expected, hint, (rtol, atol))


def differ(got: Iterable[Any], other: Iterable[Any]) -> bool:
    """Whether two lists of arrays differ in a bit, in a shape or in their number."""
    got, other = list(got), list(other)
    return len(got) != len(other) or any(
        np.shape(a) != np.shape(b) or not _equal(np.asarray(a), np.asarray(b))
        for a, b in zip(got, other, strict=True)
    )


def _equal(a: Array, b: Array) -> bool:
    numbers = a.dtype.kind in "fc" and b.dtype.kind in "fc"
    return a.dtype == b.dtype and bool(np.array_equal(a, b, equal_nan=numbers))


def _compare(got: list[Any], wanted: list[Any], expected: str, hint: str, tolerance: Any) -> None:
    if len(got) != len(wanted):
        raise Mismatch(expected, f"{len(got)} arrays instead of {len(wanted)}", hint)
    for place, (a, b) in enumerate(zip(got, wanted, strict=True)):
        a, b = np.asarray(a), np.asarray(b)
        which = "" if len(got) == 1 else f" (array {place} of {len(got)})"
        if a.shape != b.shape:
            raise Mismatch(expected, f"the shape {a.shape} instead of {b.shape}{which}", hint)
        if tolerance is None and a.dtype != b.dtype:
            raise Mismatch(expected, f"the dtype {a.dtype} instead of {b.dtype}{which}", hint)
        if tolerance is None:
            wrong = ~((a == b) | ((a != a) & (b != b)))
        else:
            rtol, atol = tolerance
            wrong = ~np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
        if wrong.any():
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise Mismatch(
                expected,
                f"{a[index]} instead of {b[index]} at index {list(index)}{which}, "
                f"{np.count_nonzero(wrong)} of {wrong.size} entries differ",
                hint,
            )


def bits(arrays: Iterable[Array]) -> list[bytes]:
    """Return the bytes of arrays."""
    return [np.asarray(a).tobytes() for a in arrays]


def peak_of(function: Callable[[], Any]) -> int:
    """Return the bytes that a call has allocated at its worst moment."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        function()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def output_shapes(y: Any) -> Any:
    """Return the shape of an output, or the shapes of several."""
    return shapes_of(y)
