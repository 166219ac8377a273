"""The update rules, held against Keras."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError
from netlayers.optimizers import SGD, Adam, AdamW, RMSprop, base, schedules

# Weights [1, -2] and [0.5] after four updates with GRADIENTS, by keras.optimizers of Keras 3.15.1
# (JAX backend, float64).
GRADIENTS = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [-2.0, 1.0, 0.1], [0.3, 0.0, 4.0]]
KERAS = {
    "SGD(0.1)": [0.97, -2.025, -0.035],
    "SGD(0.1, momentum=0.9)": [0.77155, -1.91385, -0.40355],
    "SGD(0.1, momentum=0.9, nesterov=True)": [0.764395, -1.947465, -0.848195],
    "SGD(0.1, weight_decay=0.1)": [0.93306606, -1.94766462, -0.050154295],
    "SGD(0.1, clipvalue=0.4)": [0.93, -2.025, 0.45],
    "SGD(0.1, global_clipnorm=1.0)": [0.9715874528, -2.0157773227, 0.3527578292],
    "SGD(0.1, clipnorm=1.0)": [0.9160819672, -1.9717185392, 0.365],
    "RMSprop(0.1)": [0.5959460971, -1.9958354459, -0.00362321],
    "RMSprop(0.1, momentum=0.5)": [0.2198332893, -1.8953133796, -0.2012949212],
    "RMSprop(0.1, centered=True)": [0.5527352604, -1.9816345171, -0.0394045966],
    "Adam(0.1)": [0.8125618497, -1.8866511759, 0.2688370689],
    "Adam(0.1, amsgrad=True)": [0.8125618497, -1.8866436097, 0.2688370689],
    "AdamW(0.1)": [0.8111537123, -1.8836032093, 0.2681992705],
    "SGD(schedules.ExponentialDecay(0.1, 2, 0.5))": [0.9333273811, -1.9676776695, 0.2066116524],
    "SGD(schedules.CosineDecay(0.0, 2, 0.1, warmup_target=0.2, warmup_steps=2))": [
        1.2170000029,
        -2.225,
        0.1150000381,
    ],
}
NAMES = {"SGD": SGD, "Adam": Adam, "AdamW": AdamW, "RMSprop": RMSprop, "schedules": schedules}


class Two(nl.layers.Layer):
    """Two weights, of shapes (2,) and (1,)."""

    def build(self, input_shape):
        self.add_weight("a", (2,), "zeros")
        self.add_weight("b", (1,), "zeros")

    def forward(self, x, training=False):
        return self.prepare(x)

    def backward(self, dy):
        return dy


def two(dtype="float64"):
    layer = Two(dtype=dtype)
    layer.build((None, 1))
    layer.set_weights([[1.0, -2.0], [0.5]])
    return layer


def run(optimizer, layer, gradients):
    for g in gradients:
        layer.parameters.gradients[...] = g
        optimizer.step(layer.parameters)
    return layer.parameters.values


@pytest.mark.parametrize("rule", KERAS)
def test_same_numbers_as_keras(rule):
    values = run(eval(rule, NAMES), two(), GRADIENTS)
    np.testing.assert_allclose(values, KERAS[rule], rtol=2e-6)


@pytest.mark.parametrize("rule", KERAS)
def test_blocks_give_the_same_as_one(rule, monkeypatch):
    whole = run(eval(rule, NAMES), two(), GRADIENTS)
    monkeypatch.setattr(base, "BLOCK", 2)
    assert run(eval(rule, NAMES), two(), GRADIENTS).tobytes() == whole.tobytes()


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
@pytest.mark.parametrize("rule", KERAS)
def test_a_copy_goes_on_with_the_same_bits(rule, clone):
    optimizer, layer = eval(rule, NAMES), two()
    run(optimizer, layer, GRADIENTS[:2])
    other, twin = clone(optimizer), clone(layer)
    expected = run(optimizer, layer, GRADIENTS[2:])
    assert run(other, twin, GRADIENTS[2:]).tobytes() == expected.tobytes()
    assert other.iterations == 4


def test_a_frozen_layer_keeps_its_bits_under_every_rule():
    for optimizer in (SGD(0.1, momentum=0.9, weight_decay=0.1), RMSprop(0.1), AdamW(0.1)):
        model = nl.Sequential([nl.layers.Dense(3), nl.layers.Dense(2), nl.layers.Dense(1)], seed=0)
        model.compile(optimizer, "mse")
        model.build((None, 4))
        model.layers[1].trainable = False
        before = model.get_weights()
        model.fit(np.ones((8, 4)), np.zeros(8), epochs=2, verbose=0)
        changed = [a.tobytes() != b.tobytes() for a, b in zip(before, model.weights, strict=True)]
        assert changed == [True, True, False, False, True, True]


def test_one_optimizer_is_for_one_model():
    optimizer = Adam()
    run(optimizer, two(), GRADIENTS)
    with pytest.raises(ConfigurationError, match="other weights"):
        run(optimizer, two(), GRADIENTS)


def test_learning_rate_can_be_set_unless_a_schedule_says():
    optimizer = SGD(0.1)
    optimizer.learning_rate = 0.5
    assert optimizer.learning_rate == 0.5
    with pytest.raises(ConfigurationError, match="learning_rate must be"):
        optimizer.learning_rate = -1
    scheduled = SGD(schedules.ExponentialDecay(1.0, 1, 0.5))
    with pytest.raises(TypeError, match="not settable"):
        scheduled.learning_rate = 0.5
    run(scheduled, two(), GRADIENTS)
    assert scheduled.learning_rate == 1 / 16


def test_a_schedule_that_gives_nonsense_is_an_error():
    class Wrong(schedules.LearningRateSchedule):
        def __call__(self, step):
            return float("nan")

    with pytest.raises(ConfigurationError, match="schedule"):
        run(SGD(Wrong()), two(), GRADIENTS)
