"""The update rules, held against Keras."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError
from netlayers.optimizers import SGD, Adam, RAdam, layout, schedules
from tests.optimizers.networks import RULES

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
    "Adagrad(0.1)": [0.8887097613, -1.9958427277, 0.3433587408],
    "Adagrad(0.1, initial_accumulator_value=0.0, epsilon=0.01)": [
        0.873971468,
        -1.9940993796,
        0.342359288,
    ],
    "Adadelta(0.1)": [0.9998438594, -2.0000536564, 0.4997342442],
    "Adadelta(1.0, rho=0.8, epsilon=0.01)": [0.7727519112, -2.0969441307, 0.0955533984],
    "Adamax(0.1)": [0.8349422507, -1.8919404798, 0.3171064715],
    "Adamax(0.1, beta_1=0.7, beta_2=0.5, epsilon=0.1)": [
        0.8709260739,
        -1.9249585013,
        0.2855082597,
    ],
    "Nadam(0.1)": [0.8594782299, -1.984939363, 0.3113112648],
    "Nadam(0.1, beta_1=0.7, beta_2=0.5, epsilon=0.1)": [
        0.8724253421,
        -1.9997220253,
        0.3139724449,
    ],
    "Lion(0.1)": [0.8, -2.2, 0.3],
    "Lion(0.1, beta_1=0.5, beta_2=0.2, weight_decay=0.1)": [
        0.96455611,
        -1.92515212,
        0.284258105,
    ],
    "Lamb(0.1)": [0.6962792512, -2.1314684966, 0.32805],
    "Lamb(0.1, beta_1=0.7, beta_2=0.5, epsilon=0.1, weight_decay=0.1)": [
        0.7658990194,
        -2.0327541028,
        0.3151235211,
    ],
    "Adam(0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2)": [
        0.8918093625,
        -1.9003276049,
        0.3840715451,
    ],
    "SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3)": [
        0.9075,
        -1.96875,
        -0.04875,
    ],
}
NAMES = {n: getattr(nl.optimizers, n) for n in nl.optimizers.__all__}


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
    monkeypatch.setattr(layout, "BLOCK", 2)
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


@pytest.mark.parametrize("rule", KERAS)
def test_a_frozen_layer_keeps_its_bits_under_every_rule(rule):
    optimizer = eval(rule, NAMES)
    model = nl.Sequential([nl.layers.Dense(3), nl.layers.Dense(2), nl.layers.Dense(1)], seed=0)
    model.compile(optimizer, "mse")
    model.build((None, 4))
    model.layers[1].trainable = False
    before = model.get_weights()
    model.fit(np.ones((8, 4)), np.zeros(8), epochs=3, verbose=0)
    changed = [a.tobytes() != b.tobytes() for a, b in zip(before, model.weights, strict=True)]
    assert changed == [True, True, False, False, True, True]


@pytest.mark.parametrize(
    ("idle", "expected"),
    [
        (0, [0.8540972929, -1.8919638421, 0.0625150085]),
        (5, [0.99672496, -1.998722354, 0.4945483556]),
    ],
)
def test_radam_is_that_of_pytorch_but_for_its_fifth_update(idle, expected):
    """Values of torch.optim.RAdam(lr=0.1, eps=1e-7) of PyTorch 2.13 (float64).

    It begins to divide at ρ_t > 5, the paper at ρ_t > 4: update 6 and 5 for beta_2 = 0.999. So
    here are four updates, and four after five with zero gradients, which change nothing.
    """
    gradients = [[0.0] * 3] * idle + GRADIENTS
    values = run(RAdam(0.1), two(), gradients)
    np.testing.assert_allclose(values, expected, rtol=2e-6)


@pytest.mark.parametrize("name", RULES)
def test_names_in_lower_case(name):
    assert type(nl.optimizers.get(name.lower())) is NAMES[name]


@pytest.mark.parametrize("name", ["Adam", "Adamax", "Nadam", "Lion", "Lamb", "RAdam", "Adadelta"])
def test_signs_and_sizes_after_very_many_updates(name):
    optimizer, layer = NAMES[name](0.1), two()
    run(optimizer, layer, GRADIENTS)
    before = layer.get_weights()
    optimizer.iterations = 10**7
    values = run(optimizer, layer, [[1.0, -1.0, 1.0]] * 50)
    assert np.isfinite(values).all()
    assert (np.sign(values - np.concatenate(before)) == [-1, 1, -1]).all()


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


def test_adamw_has_a_decay():
    with pytest.raises(nl.errors.ConfigurationError, match="AdamW: weight_decay must be a number"):
        nl.optimizers.AdamW(weight_decay=None)
