"""Models of the layers of ``user_layers``, with data for each."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.data.batch import Batch
from netlayers.layers.graph import Graph
from tests.user_layers import Embed, Gate, Halves, Join, Leaky, MaskedMean, MaskingEmbed

L = nl.layers
RNG = np.random.default_rng(0)


FLOATS = RNG.normal(size=(8, 4)).astype("float32")
WORDS = RNG.integers(0, 6, (8, 5))
TWO = (FLOATS, FLOATS[::-1].copy())


def gated():
    """A gate in a network: both inputs go through the same Dense."""
    calls = [(0, [(0, 0)]), (0, [(0, 1)]), (1, [(1, None), (2, None)]), (2, [(3, None)])]
    return Graph([L.Dense(4, "tanh"), Gate(), L.Dense(1)], calls)


# For each: what makes the layers, and an input.
MODELS = {
    "embedding": (lambda: [Embed(6, 3), L.Flatten(), L.Dense(1)], WORDS),
    "two inputs": (lambda: [Gate(), L.Dense(1)], TWO),
    "two inputs of a graph": (lambda: [gated()], TWO),
    "two outputs": (lambda: [L.Dense(4), Halves(), Join(), L.Dense(1)], FLOATS),
    "mask": (lambda: [MaskingEmbed(6, 3), MaskedMean(), L.Dense(1)], WORDS),
    "state": (lambda: [L.Dense(3), Leaky(), L.Dense(1)], FLOATS),
}
each = pytest.mark.parametrize("name", MODELS)


def model_of(name, dtype="float32"):
    make, x = MODELS[name]
    model = nl.Sequential(make(), seed=0, dtype=dtype)
    model.compile(nl.optimizers.Adam(0.05), "mse")
    shape = tuple((None, *a.shape[1:]) for a in x) if isinstance(x, tuple) else (None, *x.shape[1:])
    model.build(shape)
    return model, x


def batch_for(model, x):
    y = np.random.default_rng(1).normal(size=(8, 1)).astype(model.compute_dtype)
    x = tuple(x) if isinstance(x, tuple) else x
    return Batch(x, y, None, 8)


def steps_of(name):
    model, x = model_of(name)
    batch = batch_for(model, x)
    return model._make_steps(batch.targets.shape), batch


LAYERS = {
    "embedding": (lambda: Embed(6, 3), WORDS, ["embed/table"]),
    "two inputs": (Gate, TWO, ["input a", "input b"]),
    "two outputs": (
        Halves,
        FLOATS,
        [
            f"{name}{alone}"
            for alone in ("", " (output 0 alone)", " (output 1 alone)")
            for name in ("input", "halves/kernel")
        ],
    ),
    "both": (Join, (FLOATS[:, :2], FLOATS), ["input x_0", "input x_1"]),
    "mask made": (lambda: MaskingEmbed(6, 3), WORDS, ["masking_embed/table"]),
    "mask taken": (MaskedMean, RNG.normal(size=(3, 4, 2)), ["input", "input (masked)"]),
    "state": (Leaky, FLOATS, ["input", "leaky/scale"]),
}


def rows(x, count):
    return tuple(a[:count] for a in x) if isinstance(x, tuple) else x[:count]
