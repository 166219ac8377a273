"""What layers compute: shapes, dtypes, batches, and errors for gradients that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from netlayers.checks import is_several
from netlayers.core.buffers import states_of
from netlayers.core.inputs import specs_of
from netlayers.core.layer import Layer
from netlayers.core.penalties import collect_penalties
from netlayers.core.shapes import any_batch, listed_shapes
from netlayers.errors import NoForwardError, ShapeError
from netlayers.kernels.exact import exactly
from netlayers.models import Sequential
from netlayers.optimizers import SGD
from netlayers.testing.arguments import BASES, OBSERVE
from netlayers.testing.contract import Example, Mismatch, check
from netlayers.testing.values import (
    FLOATS,
    awkward,
    built,
    close,
    copies,
    forward,
    gradient_like,
    inputs,
    listed,
    normal,
    output_shapes,
    peak_of,
    require,
    rows_of,
    same,
    step,
    with_rows,
    zeros,
)
from netlayers.training.exact import has_exact_rows

KINDS = ("layer", "activation")
BASES[Layer] = "layer"


def observe_layer(example: Example, layer: Layer) -> list[Any]:
    """Return outputs, masks, gradients, penalties, and the weights before and after an update."""
    shape = example.data[0]
    seeded = isinstance(layer, Sequential) and layer.seed is not None
    model = layer if seeded else Sequential([layer], seed=0, dtype=layer.dtype)
    x = inputs(model, shape, layer.compute_dtype)
    seen = [*copies(forward(model, x)), *map(np.array, model.weights)]
    seen += [np.array(its) for its in listed(model.compute_mask(x))]
    if model._has_states:  # a second batch starts from those of the first
        seen += copies(forward(model, x))
    if layer.takes_mask and not isinstance(x, tuple) and x.ndim >= 3:
        mask = np.arange(x.shape[getattr(layer, "_time_axis", 1)]) % 2 == 0
        masked: Any = model.forward
        seen += copies(masked(x, mask=np.broadcast_to(mask, (len(x), len(mask)))))
    model.reset_states()
    y, penalties = collect_penalties(model.forward, x, True)
    seen += copies(y)
    seen += copies(model.backward(gradient_like(y)))
    vector = model.parameters
    rng = np.random.default_rng(3)
    vector.values[...] += rng.normal(size=vector.values.size)  # zeros would hide a penalty
    vector.gradients[...] = rng.normal(size=vector.gradients.size)
    seen += [np.array(penalties), np.array(vector.regularization())]
    SGD(0.5).step(vector)
    return [*seen, *map(np.array, model.weights)]


OBSERVE["layer"] = observe_layer


@check(*KINDS)
def can_be_built_and_called(example: Example) -> None:
    """Check that a new layer computes an output for the input of its example."""
    layer = example.make()
    y = layer.forward(inputs(layer, example.data[0], layer.compute_dtype))
    require(
        all(isinstance(a, np.ndarray) and a.shape for a in listed(y)),
        "forward() to return an array, or a tuple of arrays, with the batch as first axis",
        repr(y),
        "return an array of the shape that compute_output_shape() says",
    )


@check(*KINDS)
def shapes_and_dtypes(example: Example) -> None:
    """Check that outputs and gradients have the declared shapes and the dtype of the layer."""
    shape = example.data[0]
    for dtype in FLOATS:
        layer = built(example, dtype)
        declared = layer.compute_output_shape(any_batch(shape))
        hint = "make compute_output_shape() agree with what forward() returns, the batch as None"
        require(
            layer.output_shape == declared
            and all(one[0] is None for one in listed_shapes(declared)),
            f"compute_output_shape({any_batch(shape)}) to be layer.output_shape, with None first",
            f"{declared} and {layer.output_shape}",
            hint,
        )
        expected = layer.compute_output_shape(shape)
        require(
            expected == with_rows(declared, listed_shapes(shape)[0][0]),
            f"compute_output_shape({shape}) to be {declared} with the size of the batch",
            str(expected),
            hint,
        )
        for its in FLOATS:
            x = inputs(layer, shape, its)
            for training in (False, True):
                y = layer.forward(x, training=training)
                what = f"forward() of a {dtype} layer for a {its} input with training={training}"
                _has(what, listed(y), dtype if layer._output_kind == "float" else "int64")
                require(
                    output_shapes(y) == expected,
                    f"{what} to return the shape {expected}",
                    str(output_shapes(y)),
                    hint,
                )
            _input_gradient_fits(layer, layer.backward(gradient_like(y)), shape, dtype)
        require(
            [g.shape for g in layer.gradients] == [w.shape for w in layer.trainable_weights],
            "a gradient for each trainable weight, of the same shape",
            str([g.shape for g in layer.gradients]),
            "declare weights with add_weight() alone",
        )


def _has(what: str, arrays: list[Any], dtype: str) -> None:
    for a in arrays:
        require(
            a.dtype == dtype,
            f"{what} to return {dtype}",
            str(a.dtype),
            "begin forward() with x = self.prepare(x), and make new arrays with self.buffer() or "
            "in the dtype of x: a constant array in float64 makes the result float64",
        )


def _input_gradient_fits(layer: Layer, dx: Any, shape: Any, dtype: str) -> None:
    several = isinstance(layer.input_spec, tuple)
    require(
        isinstance(dx, tuple) is several,
        f"backward() to return {'a tuple, one gradient for each input' if several else 'an array'}",
        f"a {type(dx).__name__}",
        "return dL/dx as forward() takes x",
    )
    gradients = dx if several else (dx,)
    for spec, d, one in zip(specs_of(layer), gradients, listed_shapes(shape), strict=True):
        if spec.dtype != "float" or not spec.gradient:
            require(
                d is None,
                "backward() to return None for an input that is declared without a gradient",
                f"a {type(d).__name__}",
                "return None there, or declare the input with a gradient",
            )
            continue
        got = None if d is None else (d.shape, str(d.dtype))
        require(
            got == (tuple(one), dtype),
            f"backward() to return dL/dx in the shape {one} and in {dtype}",
            str(got),
            "return an array of the shape and dtype of x",
        )


@check(*KINDS)
def batch_is_the_sum_of_its_samples(example: Example) -> None:
    """Check that at inference, a sample has the same output alone as in a batch."""
    layer = built(example)
    x = inputs(layer, example.data[0])
    alone = [listed(forward(layer, rows_of(x, i, i + 1))) for i in range(len(listed(x)[0]))]
    for i, y in enumerate(listed(forward(layer, x))):
        close(
            [y],
            [np.concatenate([row[i] for row in alone])],
            "the output of a batch at inference to be that of its samples, one by one",
            "compute nothing over the batch axis at inference; use running statistics",
            1e-13,
            1e-14,
        )


@check(*KINDS, when=lambda example: has_exact_rows(example.cls))
def rows_are_exact(example: Example) -> None:
    """Check that with exact=True, a sample has the same bits alone as in any batch."""
    layer = built(example, "float32")
    if states_of(layer):  # which are those of one batch size
        return
    rows = 19
    x = inputs(layer, with_rows(example.data[0], rows), "float32")
    compute = exactly(layer.forward)
    whole = copies(compute(x))
    for start, stop in ((0, 1), (9, 10), (18, rows), (1, 5), (3, 18)):
        same(
            copies(compute(rows_of(x, start, stop))),
            [y[start:stop] for y in whole],
            f"rows {start} to {stop} of {rows} to have the bits that they have alone",
            "leave exact_rows out of the class, or compute each row alone, and matrix products in "
            "sublayers such as Dense",
        )


@check(*KINDS, when=lambda example: example.make().same_in_training)
def training_and_inference_agree(example: Example) -> None:
    """Check that with training=True the output has the same bits as at inference."""
    layer = built(example, "float32")
    x = inputs(layer, example.data[0], "float32")
    kept = copies(forward(layer, x))
    same(
        copies(forward(layer, x, training=True)),
        kept,
        "forward(x, training=True) to return the bits of forward(x)",
        "set same_in_training = False in the class if it computes something else in training",
    )


@check(*KINDS)
def awkward_arrays_are_taken(example: Example) -> None:
    """Check that lists, strided, read-only, big-endian and other arrays give the same result."""
    layer = built(example, "float32")
    x = inputs(layer, example.data[0], "float32")
    drawn = [  # whole numbers, exact in every dtype
        np.random.default_rng(3 + i).integers(-3, 4, a.shape).astype("float32")
        if a.dtype.kind == "f"
        else a
        for i, a in enumerate(listed(x))
    ]
    expected = step(layer, tuple(drawn) if isinstance(x, tuple) else drawn[0])
    forms = [awkward(a) for a in drawn]
    for form in (name for name in forms[0] if all(name in f for f in forms)):
        its = tuple(f[form] for f in forms)
        close(
            step(built(example, "float32"), its if isinstance(x, tuple) else its[0]),
            expected,
            f"the same result for the same numbers as {form}",
            "begin forward() with x = self.prepare(x)",
        )


@check(*KINDS)
def backward_needs_a_training_forward(example: Example) -> None:
    """Check that backward() without a training forward() raises a NoForwardError."""
    layer = built(example)
    dy = zeros(layer.compute_output_shape(example.data[0]))
    unbuilt = example.make(name="mine")
    after = built(example)
    after.forward(inputs(after, example.data[0]))
    for thing, when in (
        (unbuilt, "before anything"),
        (layer, "after build()"),
        (after, "after forward(x) with training=False"),
    ):
        try:
            thing.backward(dy)
        except AttributeError as error:  # it reads a weight first, which is not there yet
            if thing is not unbuilt or "not built yet" not in str(error):
                raise
        except NoForwardError as error:
            require(
                "'mine'" in str(error),
                "the error to name the layer 'mine'",
                str(error),
                "keep what backward() needs in self.cache, which raises it",
            )
        else:
            raise Mismatch(
                f"a NoForwardError from backward() {when}",
                "no error",
                "keep what backward() needs in self.cache, and set it with training=True alone",
            )


@check(*KINDS, strict=True)
def wrong_gradient_shapes_are_refused(example: Example) -> None:
    """Check that backward() raises a ShapeError for a dL/dy of another shape than the output."""
    layer = built(example)
    outputs = layer.forward(inputs(layer, example.data[0]), training=True)
    for i, y in enumerate(listed(outputs)):
        for wrong in ((len(y) + 1, *y.shape[1:]), (*y.shape[:-1], 1), y.shape[1:], (*y.shape, 1)):
            if wrong == y.shape:
                continue
            dy = [np.zeros(a.shape) for a in listed(outputs)]
            dy[i] = np.zeros(wrong)
            hint = "begin backward() with dy = self.check_gradient(dy, shape of the output)"
            try:
                layer.backward(tuple(dy) if isinstance(outputs, tuple) else dy[0])
            except ShapeError as error:
                require(
                    all(text in str(error) for text in ("'mine'", str(wrong), str(y.shape))),
                    f"a ShapeError that names 'mine', {y.shape} and {wrong}",
                    str(error),
                    hint,
                )
            else:
                raise Mismatch(
                    f"a ShapeError for dL/dy of the shape {wrong}; the output has {y.shape}",
                    "no error",
                    hint,
                )


def enlarged(example: Example) -> tuple[Any, Any]:
    """Return a layer and an input shape of its rank with 2^18 entries and no short axis."""
    shape = example.data[0]
    sizes = {
        2: (512, 512),
        3: (64, 64, 64),
        4: (16, 16, 32, 32),
        5: (8, 8, 8, 8, 64),
        6: (8, 8, 4, 4, 4, 64),
    }[len(shape)]

    def wide(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: sizes[-1] if k == "units" else wide(v) for k, v in value.items()}
        return [wide(v) for v in value] if isinstance(value, list) else value

    arguments = wide(example.arguments)
    try:
        layer = Example(example.cls, arguments).make(dtype="float32")
        layer.build((None, *sizes[1:]))
    except ShapeError:  # the layer's arguments fix the size of a sample
        layer = Example(example.cls, arguments).make(dtype="float32")
        sizes = (2**18 // int(np.prod(shape[1:])), *shape[1:])
        layer.build((None, *sizes[1:]))
    return layer, sizes


def one_float_input(example: Example) -> bool:
    """Whether the layer takes one array of floats that has a gradient, and returns one array."""
    spec = example.make().input_spec
    plain = not isinstance(spec, tuple) and spec.dtype == "float" and spec.gradient
    return plain and not is_several(example.data[0])


@check(*KINDS, strict=True, when=one_float_input)
def third_step_allocates_nothing_large(example: Example) -> None:
    """Check that a steady training step allocates no block as large as an activation."""
    layer, sizes = enlarged(example)
    if is_several(layer.compute_output_shape(sizes)):
        return

    def third_step(samples: int) -> tuple[int, int, int]:
        """Return what it allocates, and the bytes of its smaller and its larger array."""
        batch = (samples, *sizes[1:])
        layer.reset_states()
        x = normal(batch, "float32")
        dy = normal(layer.compute_output_shape(batch), "float32")

        def train() -> None:
            layer.forward(x, training=True)
            layer.backward(dy)

        train()
        train()
        return peak_of(train), min(x.nbytes, dy.nbytes), max(x.nbytes, dy.nbytes)

    peak, smaller, larger = third_step(sizes[0])
    most = smaller / 8  # a mask of booleans would be a quarter
    if peak >= most:  # a thread of ours may have computed for the first time
        peak = min(peak, third_step(sizes[0])[0])
    if most <= peak < 5 * np.getbufsize() * 8:
        # NumPy's buffers, and parts of a batch, have a fixed size: only what grows is counted.
        peak = min(third_step(2 * sizes[0])[0] for _ in range(2)) - peak
        most = larger / 8
    require(
        peak < most,
        f"the third training step to allocate less than {most:.0f} bytes",
        f"{peak} bytes",
        "write into self.buffer(name, shape, training) with out=",
    )
