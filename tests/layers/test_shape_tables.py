"""Shapes, masks and refusals of layers of several inputs and of parts, in tables."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.layers.merge_layers import MergeLayer
from tests.golden import check_text
from tests.snapshots import numbers, outcome

L = nl.layers
N = None
SHAPES = [
    ((N, 3), (N, 3)),
    ((N, 3), (N, N)),
    ((N, N), (N, N)),
    ((N, 3), (N, 1)),
    ((N, 3), (N, 2)),
    ((4, 3), (N, 3)),
    ((N, 3), (4, 3)),
    ((N, 3), (N, 3), (N, 3)),
    ((N, 3),),
    (N, 3),
    (N, 3, 2),
    (N, N, 3),
    (N, 2, N, 5),
    (N,),
    ((N,), (N,)),
    ((N, 2, 3), (N, 3)),
    ((N, 2, 3), (N, 4, 3)),
    ((N, 2, 3), (N, N, 3), (N, 5, 3)),
    ((N, 2, 3), (N, 2, N)),
    ((N, 2, 3), (N, 3, 2)),
    ((N, 2, 1), (N, 1, 4)),
    ((N, 2, 3, 4), (N, 4, 3)),
]
ALL, EVERY_OTHER = slice(None), slice(None, None, 2)
LAYERS = {
    "add": L.Add,
    "subtract": L.Subtract,
    "concatenate": L.Concatenate,
    "concatenate 1": lambda **o: L.Concatenate(1, **o),
    "concatenate -2": lambda **o: L.Concatenate(-2, **o),
    "concatenate -3": lambda **o: L.Concatenate(-3, **o),
    "concatenate 3": lambda **o: L.Concatenate(3, **o),
    "dot 1": lambda **o: L.Dot(1, **o),
    "dot 2 1": lambda **o: L.Dot((2, 1), **o),
    "dot -1": lambda **o: L.Dot(-1, normalize=True, **o),
    "dot -2": lambda **o: L.Dot(-2, **o),
    "dot 3 -1": lambda **o: L.Dot((3, -1), **o),
    "item 0": lambda **o: L.GetItem((ALL, 0), **o),
    "item -1": lambda **o: L.GetItem((..., -1), **o),
    "item 4": lambda **o: L.GetItem((ALL, 4), **o),
    "every other": lambda **o: L.GetItem((ALL, EVERY_OTHER), **o),
    "last two": lambda **o: L.GetItem((ALL, slice(-2, None), ...), **o),
    "item of axes": lambda **o: L.GetItem((ALL, 1, slice(1, 2)), **o),
    "steps of dense": lambda **o: L.TimeDistributed(L.Dense(2, kernel_initializer="ones"), **o),
    "steps of flatten": lambda **o: L.TimeDistributed(L.Flatten(), **o),
    "sum": lambda **o: L.Lambda(lambda x: np.sum(x, axis=-1), **o),
    "given": lambda **o: L.Lambda(lambda x: x[:, :1], output_shape=(1, None), **o),
    "pair": lambda **o: L.Lambda(lambda x: x[0] - x[1], **o),
    "rows": lambda **o: L.Lambda(lambda x: x[:1], **o),
}


def is_several(shape):
    return bool(shape) and isinstance(shape[0], tuple)


def arrays(shape):
    """Return arrays of a shape or shapes, with 2 for what is not known."""
    if is_several(shape):
        return tuple(map(arrays, shape))
    return numbers(*(2 if size is None else size for size in shape))


def told(lines, title, said, before):
    """Add a line, unless the same was said before."""
    if said != before:
        lines.append(f"  {title} {said}")


@pytest.mark.parametrize("name", LAYERS)
def test_shapes(name):
    lines, usable = [], []
    several = not name.startswith(("item", "every", "last", "steps", "sum", "given", "rows"))
    shapes = [s for s in SHAPES if is_several(s) == several] + [SHAPES[0], SHAPES[9]]

    def make():
        return LAYERS[name](name="it", dtype="float64")

    for shape in shapes:
        new = make()
        shown = outcome(lambda n=new, s=shape: n.compute_output_shape(s))
        lines.append(f"{shape} {shown}")
        if isinstance(new, MergeLayer):
            told(lines, "check", outcome(lambda n=new, s=shape: n.check_input_shape(s)), shown)
        told(lines, "build", outcome(lambda n=new, s=shape: n.build(s)), shown)
        if new.built:
            usable.append(shape)
            lines.append(f"  input {new.input_shape} {np.shape(new.input_spec)}")
        told(lines, "call", outcome(lambda s=shape: make()(arrays(s))), shown)
    for first in usable[:1] + usable[-1:]:
        lines.append(f"built for {first}")
        for shape in shapes:
            new = make()
            new.build(first)
            check = outcome(lambda n=new, s=shape: n.check_input_shape(s))
            lines.append(f"  {shape}: {check}")
            told(lines, "  call", outcome(lambda n=new, s=shape: n(arrays(s))), check)
    check_text(__file__, f"shapes of {name}.txt", "\n".join(lines))


def bits(mask):
    return None if mask is None else repr(np.asarray(mask).astype(int).tolist())


def test_masks():
    left = np.array([[True, True, False], [True, False, False]])
    right = np.array([[True, False, True], [False, False, True]])
    lines = []
    for name in ("add", "concatenate", "concatenate 1", "concatenate -2", "dot 2 1", "item 0"):
        for ndim in (2, 3):
            shape = (2, 3, 2)[:ndim]
            layer, xs = LAYERS[name](name="it"), (numbers(*shape), numbers(*shape))
            for masks in ((left, right), (left, None), (None, right), (None, None), None):
                which = masks and [m is not None for m in masks]
                found = outcome(lambda it=layer, x=xs, m=masks: bits(it.compute_mask(x, m)))
                lines.append(f"{name} {ndim} {which}: {found}")
    steps = LAYERS["steps of dense"](name="it")
    lines.append(f"steps {steps.compute_mask(numbers(2, 3, 2), left) is left}")
    out = []
    steps.forward(numbers(2, 3, 2), mask=left, mask_out=out)
    lines.append(f"{len(out)} {out[0] is left}")
    check_text(__file__, "masks of several.txt", "\n".join(lines))


@pytest.mark.parametrize("layer", [L.Maximum, L.Minimum])
def test_ties_among_three(layer):
    a = np.array([[1.0, 2.0, 3.0, 1.0]])
    b = np.array([[1.0, 2.0, 1.0, 3.0]])
    c = np.array([[1.0, 1.0, 3.0, 3.0]])
    its = layer(dtype="float64")
    y = its.forward((a, b, c), training=True)
    dx = its.backward(np.array([[1.0, 10.0, 100.0, 1000.0]]))
    assert [d.dtype for d in dx] == [np.float64] * 3
    np.testing.assert_array_equal(sum(dx), [[1.0, 10.0, 100.0, 1000.0]])
    first = np.argmax(np.concatenate([a, b, c]) == y, axis=0)
    for i, d in enumerate(dx):
        np.testing.assert_array_equal(d[0] != 0, first == i)
    for buffers in (its.forward((a, b, c), training=True), its.backward(y)[1]):
        assert buffers.shape == (1, 4)


def test_odd_indices():
    cases = [0, (0,), "x", (":", 0), ("...", 1), [[None, None, None], 1], [[0, 1], 1], [[1, 2], 0],
             (ALL, True), (ALL, np.int64(1)), (ALL, 1.0), (ALL, slice(0.5)), (ALL, "..."),
             (ALL, [0, 1, None]), (slice(0, 2), 0), (slice(None, None, -1),), (), (None,),
             (ALL, slice(np.int64(1), None)), (ALL, slice(None, 1.5)),
             (ALL, slice(None, None, "a"))]  # fmt: skip
    lines = []
    for index in cases:
        lines.append(f"{index}: {outcome(lambda i=index: L.GetItem(i).index)}")
        lines[-1] += f" {outcome(lambda i=index: L.GetItem(i)(numbers(4, 3)))}"
    check_text(__file__, "odd indices.txt", "\n".join(lines))


def test_a_function_is_called_on_new_data_and_numerical_derivatives_are_kept():
    calls = []

    def f(xs, power):
        calls.append(len(xs))
        return xs[0] ** power * xs[1]

    layer = L.Lambda(f, arguments={"power": 2}, dtype="float64")
    a, b = numbers(4, 3), numbers(4, 3, first=5.0)
    for x, y in ((a, b), (b, a)):
        layer.forward((x, y), training=True)
        if x is a:
            with pytest.warns(UserWarning, match="3 times more") as seen:
                first, second = layer.backward(np.full((4, 3), 2.0))
            assert len(seen) == 1
        else:
            first, second = layer.backward(np.full((4, 3), 2.0))
        np.testing.assert_allclose(first, 4 * x * y, rtol=1e-7)
        np.testing.assert_allclose(second, 2 * x**2, rtol=1e-7)
    assert len(layer._derivatives) == 2
    assert set(calls) == {2}
    assert layer.__getstate__()["_derivatives"] == []
    unknown = L.Lambda(lambda x: x, output_shape=(2, None))
    assert unknown.get_config()["output_shape"] == [2, None]
    assert unknown.compute_output_shape((7, 3)) == (7, 2, None)


def test_a_function_of_lists_may_return_integers_but_not_complex_numbers():
    layer = L.Lambda(lambda x: (x > 0).astype(np.float32), dtype="float32")
    assert layer(numbers(4, 3)).dtype == np.float32
    with pytest.raises(TypeError, match="complex"):
        L.Lambda(lambda x: x + 1j)(numbers(4, 3))
