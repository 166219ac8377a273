"""Operators, arguments and refusals of symbolic values, and what inputs declare, kept in tables."""

import numpy as np

import netlayers as nl
from netlayers.core.symbolic import calls_up_to, recorded_call, symbols_in
from tests.golden import check_text
from tests.snapshots import numbers, outcome
from tests.user_layers import Gate, Halves

L = nl.layers
X = numbers(4, 3)


def value_of(function, data=X):
    """Return what a model computes that is made of operators on one input."""
    x = nl.Input(data.shape[1:], name="x")
    return nl.Model(x, function(x), dtype="float64", seed=0).predict(data)


def test_operators_and_what_they_refuse():
    powers = [lambda x, n=n: x**n for n in (2, 3, 1, 0, -1, 2.0, True, "2", np.int64(2))]
    cases = {
        "add": lambda x: x + 2, "radd": lambda x: 2 + x, "twice": lambda x: x + x,
        "sub": lambda x: x - 2, "rsub": lambda x: 2 - x, "of two": lambda x: (x + 1) - x * x,
        "mul": lambda x: x * 3, "rmul": lambda x: 3 * x, "div": lambda x: x / 4,
        "neg": lambda x: -x, "div by it": lambda x: 1 / x,
        "numpy": lambda x: np.float64(2) * x, "numpy add": lambda x: np.float32(2) + x,
        "numpy sub": lambda x: np.int64(2) - x, "numpy on the right": lambda x: x - np.float64(2),
        "numpy div": lambda x: np.float64(2) / x, "array": lambda x: np.ones(3) + x,
        "array on the right": lambda x: x + np.ones(3), "of no axis": lambda x: np.array(2.0) * x,
        "power": lambda x: np.float64(2) ** x, "out": lambda x: np.multiply(2, x, out=np.ones(3)),
        "where": lambda x: np.add(2, x, where=True), "outer": lambda x: np.add.outer(2.0, x),
        "exp": np.exp, "float": float, "list": list,
        "array of": np.asarray, "item": lambda x: x[:, 1], "first": lambda x: x[0],
        "none": lambda x: x + None, "word": lambda x: x * "a",
    }  # fmt: skip
    cases |= {f"power {i}": function for i, function in enumerate(powers)}
    lines = [f"{name}: {outcome(lambda f=f: value_of(f))}" for name, f in cases.items()]
    x = nl.Input((None, 3), name="x")
    lines.append(f"{x!r} {x.ndim} {x.name} {bool(x)} {x == x} {x.call.inputs} {x.item}")
    y = L.Dense(2, name="d")(x)
    lines.append(f"{y!r} {y.ndim} {y.name} {y.call.layer.name} {y.call.options} {y.item}")
    check_text(__file__, "operators.txt", "\n".join(lines))


class Careless(L.Layer):
    def __init__(self):
        self.given = 1

    def forward(self, x, training=False):
        return x


def test_calls():
    a, b = nl.Input((3,), name="a"), nl.Input((3,), name="b")
    pair = nl.Model({"a": a, "b": b}, a + b, name="pair")
    alone = nl.Model({"a": a}, a + 1, name="alone")
    dense = L.Dense(3, name="dense")
    cases = {
        "no init": lambda: Careless()(a), "training": lambda: dense(a, training=True),
        "not training": lambda: repr(dense(a, training=False).call.options),
        "mask": lambda: dense(a, mask=np.ones((4, 3))), "array": lambda: L.Add()([a, X]),
        "number": lambda: L.Add()([1.0, a]), "none": lambda: L.Add()([a, None]),
        "one of a list": lambda: repr(dense([a])), "two for one": lambda: dense([a, b]),
        "one for two": lambda: L.Add()([a]), "plain for two": lambda: L.Add()(a),
        "dict": lambda: repr(pair({"b": b, "a": a})), "dict of one": lambda: repr(alone({"a": b})),
        "too few": lambda: pair({"a": a}), "too many": lambda: pair({"a": a, "b": b, "c": a}),
        "other names": lambda: pair({"a": a, "c": b}), "no dict": lambda: dense({"a": a}),
        "two outputs": lambda: repr(Halves(name="h")(nl.Input((4,)))),
        "into two": lambda: repr(Gate(name="g")([a, b])), "shape": lambda: dense(nl.Input((4,))),
        "again": lambda: repr(dense(b)), "sparse": lambda: repr(a + b),
        "extra": lambda: L.Activation("relu")(a, spam=1),
        "symbols": lambda: repr([symbols_in(v) for v in (a, [a, 1, b], {"x": a}, X, (), "a")]),
    }  # fmt: skip
    lines = [f"{name}: {outcome(case)}" for name, case in cases.items()]
    once, twice, never = L.Dense(3, name="once"), L.Dense(3, name="twice"), L.Dense(3, name="never")
    once(a), twice(twice(a))
    lines += [
        f"{layer.name}: {outcome(lambda it=layer: repr(recorded_call(it).outputs))}"
        for layer in (once, twice, never)
    ]
    inner = L.Dense(3, name="inner")
    chain = nl.Sequential([nl.Input((3,)), inner], name="chain")  # holds it
    lines.append(f"in a {chain.name}: {outcome(lambda: repr(recorded_call(inner).outputs))}")
    y = L.Add(name="sum")([L.Dense(3, name="l")(a), L.Dense(3, name="r")(b)])
    z = L.Multiply(name="product")([y, y])
    for outputs in ([z], [z, y], [y, z], [a]):
        order = [call.layer.name for call in calls_up_to(outputs, [a, b])]
        lines.append(f"{[v.name for v in outputs]}: {order}")
    lines.append(outcome(lambda: calls_up_to([z], [a])))
    lines.append(repr([call.layer.name for call in calls_up_to([z], [y])]))
    check_text(__file__, "calls.txt", "\n".join(lines))


def test_inputs():
    cases = [{}, {"shape": (3,)}, {"shape": 3}, {"shape": [None, 2]}, {"shape": ()},
             {"batch_shape": (None, 3)}, {"batch_shape": (5, 3)}, {"batch_shape": ()},
             {"batch_shape": (None,)}, {"shape": (3,), "batch_shape": (None, 3)},
             {"shape": (3,), "batch_size": 2}, {"shape": (3,), "tensor": X},
             {"shape": (3,), "optional": True}, {"shape": (3,), "optional": False},
             {"shape": (3,), "sparse": True}, {"shape": (3,), "name": "mine"}, {"shape": (0,)},
             {"shape": (-1,)}, {"shape": "3"}, {"shape": (2.5,)}]  # fmt: skip
    kinds = ["float32", "float64", "int8", "uint16", "int64", "bool", "string", "complex64", "U3",
             np.float32, np.dtype("int32"), str, "nonsense", None, 3]  # fmt: skip
    cases += [{"shape": (3,), "dtype": kind} for kind in kinds]
    lines = []
    for case in cases:
        lines.append(f"{case}: {outcome(lambda c=case: repr(nl.Input(**c).shape))}")
        try:
            layer = nl.Input(**case).call.layer
        except Exception:
            continue
        lines.append(f"  {layer.input_spec} {layer.name.startswith('input')} {layer.get_config()}")
        for data in (X, X > 0, (9 * X).astype(int), np.full((4, 3), "a"), np.full((4, 3), None)):
            kind = data.dtype.kind
            lines.append(f"    {kind}: {outcome(lambda it=layer, d=data: it.forward(d, True))}")
            back = outcome(lambda it=layer: it.backward(np.ones((4, 3), "float32")))
            lines[-1] += f" | {back}"
    layer = L.InputLayer((3,), name="in")
    lines.append(outcome(lambda: layer.build((None, 4))))
    lines.append(outcome(lambda: layer.build((None, 3))))
    check_text(__file__, "declared_inputs.txt", "\n".join(lines))
