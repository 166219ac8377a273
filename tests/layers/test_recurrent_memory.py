"""A steady step of a recurrent layer allocates nothing as large as an activation of all steps."""

import importlib.util
import tracemalloc

import numpy as np
import pytest

import netlayers as nl

KINDS = {
    "LSTM": nl.layers.LSTM,
    "GRU": nl.layers.GRU,
    "GRU, reset before": lambda units: nl.layers.GRU(units, reset_after=False),
    "SimpleRNN": nl.layers.SimpleRNN,
}
BATCH, STEPS, UNITS = 32, 128, 32


@pytest.fixture(params=["numpy", pytest.param("numba", marks=pytest.mark.slow)])
def kernels(request):
    if not importlib.util.find_spec(request.param):
        pytest.skip(f"needs {request.param}")
    before = nl.kernels_in_use()
    nl.use_kernels(request.param)
    yield request.param
    nl.use_kernels(before)


def peak_of_third_step(layer, x, dy, mask):
    """Return the most bytes that a training step allocates at a time."""

    def step():
        layer.forward(x, training=True, mask=mask)
        layer.backward(dy)

    step()
    step()
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_steady_step_allocates_no_activation(kind, masked, kernels):
    layer = KINDS[kind](UNITS)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, STEPS, 3)).astype("float32")
    mask = rng.random((BATCH, STEPS)) > 0.3 if masked else None
    dy = np.ones((BATCH, UNITS), "float32")
    assert (
        peak_of_third_step(layer, x, dy, mask) < 4 * BATCH * STEPS * UNITS / 2
    )  # buffers of NumPy are 100 kB, of any size


class Fading(nl.layers.RNNCell):
    """``h = decay h + x``."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.add_weight("decay", (self.units,), initializer="ones")

    def forward(self, x, training=False):
        x, h = self.prepare(x)
        if training:
            self.cache.h = h
        y = self.buffer("y", h.shape, training)
        np.multiply(self.decay, h, out=y)
        np.add(y, x, out=y)
        return y, y

    def backward(self, dy):
        d, dh = self.buffer("d", dy[0].shape), self.buffer("dh", dy[0].shape)
        np.add(dy[0], dy[1], out=d)
        np.sum(np.multiply(d, self.cache.h, out=dh), axis=0, out=self.d_decay)
        return d, np.multiply(d, self.decay, out=dh)


SOFT = {"activation": "softsign"}  # which is computed step by step
CELLS = {
    "stacked": lambda n: [nl.layers.GRUCell(n, **SOFT), nl.layers.LSTMCell(n), Fading(n)],
    "reset before": lambda n: nl.layers.GRUCell(n, reset_after=False, **SOFT),
    "of the user": Fading,
}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_steady_step_of_any_cell_allocates_not_even_an_output(cell, masked):
    batch, steps, units = 256, 3, 256
    layer, rng = nl.layers.RNN(CELLS[cell](units)), np.random.default_rng(0)
    x = rng.normal(size=(batch, steps, units)).astype("float32")
    mask = rng.random((batch, steps)) > 0.3 if masked else None
    dy = np.ones((batch, units), "float32")
    assert peak_of_third_step(layer, x, dy, mask) < 4 * batch * units


@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_linear_in_the_steps(kind):
    held = []
    for steps in (50, 50, 100, 200):  # the first time, kernels may be compiled
        layer = KINDS[kind](8)
        tracemalloc.start()
        try:
            layer.forward(np.ones((4, steps, 3), "float32"), training=True)
            layer.backward(np.ones((4, 8), "float32"))
            held.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert held[3] - held[2] == pytest.approx(2 * (held[2] - held[1]), rel=0.3)
