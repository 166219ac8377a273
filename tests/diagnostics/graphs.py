"""Graphs with several outputs, for tests of what looks into networks."""

import numpy as np

import netlayers as nl

L = nl.layers
RNG = np.random.default_rng(0)


def shared(dtype="float64", **options):
    """A siamese network: a tower and a model with two outputs, each called twice."""
    a, b, point = nl.Input((4,), name="a"), nl.Input((4,), name="b"), nl.Input((3,))
    tower = nl.Sequential([L.Dense(6, "tanh"), L.Dense(3)], name="tower")
    ends = [L.Dense(2, name="first")(point), L.Dense(1, "tanh", name="second")(point)]
    pair = nl.Model(point, ends, name="pair", seed=0)
    left, right = tower(a), tower(b)
    (u, v), (w, s) = pair(left), pair(right)
    kind = L.Dense(3, "softmax", name="kind")(L.Subtract(name="difference")([left, right]))
    sums = L.Add(name="sums")([u, w])
    model = nl.Model([a, b], [sums, L.Concatenate(name="both")([v, s]), kind], seed=0, dtype=dtype)
    loss = {"sums": "mse", "both": "mse", "kind": "sparse_categorical_crossentropy"}
    model.compile(nl.optimizers.Adam(0.01), loss, **options)
    return model


def shared_data(n):
    x = [RNG.normal(size=(n, 4)), RNG.normal(size=(n, 4))]
    return x, [RNG.normal(size=(n, 2)), RNG.normal(size=(n, 2)), RNG.integers(0, 3, n)]


def table():
    """Texts and numbers, given and predicted by name."""
    city, numbers = nl.Input((1,), name="city", dtype="string"), nl.Input((3,), name="numbers")
    place = L.Embedding(4, 2)(L.StringLookup(vocabulary=["x", "y", "z"])(city))
    h = L.Dense(8, "relu", name="h")(L.Concatenate()([L.Flatten()(place), numbers]))
    outputs = {"size": L.Dense(1, name="last")(h), "kind": L.Dense(2, "softmax", name="classes")(h)}
    model = nl.Model({"city": city, "numbers": numbers}, outputs, seed=0)
    model.compile("adam", {"size": "mse", "kind": "sparse_categorical_crossentropy"})
    return model


def table_data(n):
    x = {"city": RNG.choice(list("xyzq"), (n, 1)), "numbers": RNG.normal(size=(n, 3))}
    return x, {"size": x["numbers"][:, 0], "kind": (x["city"][:, 0] == "x").astype(int)}
