"""Layers with all that version 2 of the format is for, and a model of them.

``make_v2.py`` wrote the golden files with it. The layers are small, and of no use but for tests.
"""

import numpy as np

import netlayers as nl
from netlayers.layers.graph import Graph

L = nl.layers


def numbers(seed, *shape):
    """Return multiples of 1/64 in [-1, 1), the same everywhere."""
    raw = np.random.PCG64(seed).random_raw(int(np.prod(shape)))
    return (((raw >> np.uint64(57)).astype(float) - 64) / 64).reshape(shape)


class Gate(L.Layer):
    """Two inputs: ``y = a b``."""

    input_spec = (nl.InputSpec(name="a"), nl.InputSpec(name="b"))

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def forward(self, x, training=False):
        a, b = self.prepare(x)
        if training:
            self.cache.a, self.cache.b = a, b
        return a * b

    def backward(self, dy):
        return dy * self.cache.b, dy * self.cache.a


class Table(L.Layer):
    """A row for each number in column 0, with statistics of three dtypes about what was read."""

    def __init__(self, rows=4, **kwargs):
        super().__init__(**kwargs)
        self.rows = rows

    def build(self, input_shape):
        self.add_weight("table", (self.rows, input_shape[-1]))
        self.add_weight("count", (self.rows,), "zeros", statistic=True, dtype="int64")
        self.add_weight("seen", (self.rows,), "zeros", statistic=True, dtype="bool")
        self.add_weight("total", (), "zeros", statistic=True, dtype="float64")

    def forward(self, x, training=False):
        x = self.prepare(x)
        rows = np.floor(np.abs(x[:, 0]) * 8).astype(int) % self.rows
        if training:
            self.cache.rows = rows
            np.add.at(self.count, rows, 1)
            self.seen[rows] = True
            self.total[...] += x.sum(dtype=float)
        return x + self.table[rows]

    def backward(self, dy):
        self.d_table[...] = 0
        np.add.at(self.d_table, self.cache.rows, dy)
        return dy


class Memory(L.Layer):
    """``h = h / 2 + x``, which goes on from batch to batch; no gradient through earlier batches."""

    def build(self, input_shape):
        self.add_state("h", (input_shape[-1],))
        self.add_state("steps", (), dtype="int64")

    def forward(self, x, training=False):
        x = self.prepare(x)
        h = self.state("h", len(x))
        h[...] = h / 2 + x
        self.state("steps", len(x))[...] += 1
        return h.copy()

    def backward(self, dy):
        return dy


class Words(L.Layer):
    """``y = n x`` for a vocabulary of n words."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.words, self.blob = [], b""

    def get_assets(self):
        return {"words": list(self.words), "blob": self.blob} if self.words else {}

    def set_assets(self, assets):
        words = assets.get("words", [])
        if len(words) > 1000:
            raise ValueError("too many words")
        self.words, self.blob = list(words), assets.get("blob", b"")

    def forward(self, x, training=False):
        return self.prepare(x) * self._dtype.type(len(self.words))

    def backward(self, dy):
        return dy * self._dtype.type(len(self.words))


CUSTOM = {cls.__name__: cls for cls in (Gate, Table, Memory, Words)}
WORDS = ["", "word", "Wörter", "言葉", "a\nb", 'c"d\\', "\x00", "😀"]
INPUT = numbers(1, 8, 4), numbers(2, 8, 4)


def model(dtype=None):
    """Return a compiled model: two inputs, and layers that are used twice, among them a Dropout."""
    twice = [[0, [[0, None]]], [1, [[1, None]]], [0, [[2, None]]], [1, [[3, None]]]]
    words = Words()
    words.words, words.blob = list(WORDS), bytes(range(256))
    layers = [Gate(), words, Table(), Memory(), Graph([L.Dense(4), L.Dropout(0.25)], twice)]
    made = nl.Sequential([*layers, L.Dense(1)], seed=3, name="all", dtype=dtype)
    made.build([(None, 4), (None, 4)])
    made.compile(nl.optimizers.Adam(0.01, global_clipnorm=1.0), "mse")
    return made


def train(made, steps):
    """Train with dL/dy = y."""
    dtype = np.dtype(made.dtype)
    x = tuple(a.astype(dtype) for a in INPUT)
    for _ in range(steps):
        y = made.forward(x, training=True)
        made.backward(y.copy(), input_gradient=False)
        made.optimizer.step(made.parameters)
    return made


def state(made):
    """Return every number of a model as bytes or plain data, to be compared."""
    return {
        "weights": {
            p.path: (p.dtype.name, p.shape, p.value.tobytes()) for p in made.declared_parameters
        },
        "states": {
            f"{layer.name}/{name}": None if s.value is None else (s.value.shape, s.value.tobytes())
            for layer in made.layers
            for name, s in layer.states.items()
        },
        "assets": [layer.get_assets() for layer in made.layers],
        "optimizer": {name: v.tobytes() for name, v in made.optimizer.state.items()},
        "iterations": made.optimizer.iterations,
        "streams": {n: g.bit_generator.state for n, g in made._streams._generators.items()},
    }


def arrays(made):
    """Return the arrays of a model by name: weights, statistics, states, optimizer."""
    states = {
        f"{layer.name} {name}": s.value for layer in made.layers for name, s in layer.states.items()
    }
    vectors = {f"optimizer {name}": v for name, v in made.optimizer.state.items()}
    found = {p.path.replace("/", " "): p.value for p in made.declared_parameters} | states | vectors
    return {name: array.copy() for name, array in found.items()}
