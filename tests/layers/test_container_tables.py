"""Containers of layers: names, weights, what is trained, rates, copies and refusals, in tables."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from tests.golden import check_text
from tests.snapshots import (
    numbers,
    numpy_kernels,  # noqa: F401
    outcome,
    shown,
)

L = nl.layers
X = numbers(4, 3)


def dense(units=3, name="d", **options):
    return L.Dense(units, "tanh", name=name, **options)


CONTAINERS = {
    "residual": lambda **o: L.Residual([dense(), dense(name="e")], name="it", **o),
    "residual of norm": lambda **o: L.Residual(
        [L.LayerNormalization(name="n"), dense()], name="it", **o
    ),
    "projected": lambda **o: L.Residual([dense(5)], L.Dense(5, name="p"), name="it", **o),
    "parallel": lambda **o: L.Parallel([dense(2), [dense(4, "e"), L.Dropout(0.0)]], name="it", **o),
    "chain": lambda **o: nl.Sequential([dense(4), L.BatchNormalization(name="b")], name="it", **o),
    "nested": lambda **o: nl.Sequential(
        [L.Residual([nl.Sequential([dense()], name="in")], name="r"), dense(2, "last")],
        name="it",
        **o,
    ),
    "frozen inside": lambda **o: nl.Sequential(
        [dense(4, trainable=False), dense(2, "e", learning_rate_multiplier=0.1)], name="it", **o
    ),
    "steps": lambda **o: L.TimeDistributed(dense(2), name="it", **o),
    "prelu": lambda **o: nl.Sequential([L.PReLU(name="p"), L.Dropout(0.0)], name="it", **o),
}


def data(name):
    return numbers(2, 4, 3) if name == "steps" else X


def fixed(container):
    for i, w in enumerate(container.weights):
        w[...] = np.abs(numbers(*w.shape, first=i)) if w.ndim else 1
    return container


def described(it):
    lines = [
        f"  {p.path} {p.shape} {p.trainable} {p.statistic} {p.learning_rate_multiplier:g}"
        for p in it.declared_parameters
    ]
    lines.append(f"  {it.trainable} {it.count_params()} {len(it.weights)} {len(it.gradients)}")
    lines.append(f"  {len(it.trainable_weights)} {len(it.non_trainable_weights)}")
    lines.append(f"  {it.input_shape} {it.output_shape} {it.takes_mask} {it.supports_masking}")
    activation = type(getattr(it, "activation", 0)).__name__
    lines.append(f"  {[layer.name for layer in it._flatten_layers()]} {activation}")
    return lines


def step(it, x):
    y = it.forward(x, training=True).copy()
    dx = it.backward(np.ones_like(y))
    return [
        f"  {shown(y)} | {shown(np.asarray(dx))} | {shown(it.forward(x))}",
        *(f"    {shown(np.asarray(d))}" for d in it.gradients),
    ]


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(name):
    make, x, lines = CONTAINERS[name], data(name), []
    for options in (
        {},
        {"trainable": False},
        {"learning_rate_multiplier": 0.5},
        {"dtype": "float64"},
    ):
        it = make(**options)
        lines.append(f"{options} {it.built} {outcome(it.count_params)}")
        if name == "nested" and "dtype" in options:  # the inner model has its own
            continue
        it.build((None, *x.shape[1:]))
        nl.Sequential([it], seed=0, dtype=options.get("dtype")) if options else it.forward(x)
        fixed(it)
        lines += described(it)
        lines += step(it, x) if options.get("trainable", True) else []
        lines.append(f"  {it}"[:160])
        again = type(it).from_config(it.get_config())
        assert again.get_config() == it.get_config()
        for other in (copy.deepcopy(it), pickle.loads(pickle.dumps(it))):
            np.testing.assert_array_equal(other.forward(x), it.forward(x))
            assert not any(
                np.shares_memory(a, b) for a, b in zip(other.weights, it.weights, strict=True)
            )
            other.weights[0][...] = 7
            assert (it.weights[0] != 7).any()
    it = make()
    it.build((None, *x.shape[1:]))
    for layer in it._flatten_layers():
        layer.trainable = False
        lines.append(f"without {layer.name}: {it.trainable} {len(it.trainable_weights)}")
        layer.trainable = True
    it.trainable = False
    lines.append(f"{[layer.trainable for layer in it._flatten_layers()]}")
    it.trainable = True
    lines.append(f"{[layer.trainable for layer in it._flatten_layers()]}")
    for shape in ((None, 4), (None, 3), (None, 2, 3), (None, None, 3), (None,)):
        lines.append(f"{shape}: {outcome(lambda i=it, s=shape: i.compute_output_shape(s))}")
        lines[-1] += f" | {outcome(lambda i=it, s=shape: i.check_input_shape(s))}"
        lines[-1] += f" | {outcome(lambda s=shape: make().build(s))}"
    weights = it.get_weights()
    for wrong in (weights[:-1], [*weights, weights[0]], [np.ones(9), *weights[1:]], 3):
        lines.append(f"weights: {outcome(lambda w=wrong, i=it: i.set_weights(w))}")
    check_text(__file__, f"container {name}.txt", "\n".join(lines))


def test_refusals():
    a, b = dense(), dense(name="b")
    built = nl.Sequential([nl.Input((3,)), dense()])
    lines = []
    for title, case in {
        "nothing": lambda: L.Residual([]), "no layer": lambda: L.Residual([3]),
        "none": lambda: L.Residual(None), "one layer": lambda: repr(L.Residual(dense())),
        "the same name": lambda: L.Residual([dense(), dense()]),
        "the same layer": lambda: L.Residual([a, a]), "of another": lambda: L.Residual([built]),
        "other shape": lambda: L.Residual([dense(4)]).build((None, 3)),
        "dtypes": lambda: nl.Sequential([dense(dtype="float64"), dense(name="e", dtype="float32")]),
        "dtype of a model": lambda: nl.Sequential([dense(dtype="float64")], dtype="float32"),
        "no branch": lambda: L.Parallel([]), "an empty branch": lambda: L.Parallel([[], dense()]),
        "one branch": lambda: L.Parallel([dense()]), "axis": lambda: L.Parallel([a, b], axis=0),
        "axis of shape": lambda: L.Parallel([dense(), dense(name="c")], axis=3).build((None, 3)),
        "merge": lambda: L.Parallel([dense(), dense(name="c")], merge="half"),
        "backward": lambda: L.Residual([dense()]).backward(X),
        "by name": lambda: repr(nl.Sequential(["relu", {"class_name": "Flatten"}]).layers),
        "unknown": lambda: nl.Sequential(["rely"]), "itself": lambda: built.add(built),
        "input later": lambda: built.add(L.InputLayer((3,))), "number": lambda: built.add(3),
        "built elsewhere": lambda: nl.Sequential([nl.Input((4,)), built.layers[0]]),
    }.items():  # fmt: skip
        lines.append(f"{title}: {outcome(case)}")
    check_text(__file__, "containers refused.txt", "\n".join(lines))


def test_a_container_that_fails_to_build_lets_its_layers_go():
    for make in (L.Residual, lambda parts: nl.Sequential([L.Residual(parts)])):
        parts = [dense(5), L.Reshape((7,), name="e")]
        with pytest.raises(nl.errors.ShapeError):
            make(parts).build((None, 3))
        assert not any(layer.built for layer in parts)
        ready = [dense(5), L.Reshape((7,), name="e")]
        ready[0].build((None, 3))
        kernel = ready[0].kernel
        with pytest.raises(nl.errors.ShapeError):
            make(ready).build((None, 3))
        assert [layer.built for layer in ready] == [True, False]
        np.testing.assert_array_equal(ready[0].kernel, kernel)


def test_calls_have_caches_of_their_own():
    layer = dense(dtype="float64")
    layer.build((None, 3))
    first, second = layer.new_call(), layer.new_call()
    a, b = numbers(4, 3), numbers(4, 3, first=2.0)
    ya, yb = first.forward(a, True), second.forward(b, True)
    assert not np.shares_memory(ya, yb)
    one = first.backward(np.ones_like(ya)).copy(), layer.d_kernel.copy()
    two = second.backward(np.ones_like(yb)).copy(), layer.d_kernel.copy()
    for x, (dx, dw) in ((a, one), (b, two)):
        y = layer.forward(x, True)
        np.testing.assert_allclose(layer.backward(np.ones_like(y)), dx)
        np.testing.assert_allclose(layer.d_kernel, dw)
    assert first.number != second.number
