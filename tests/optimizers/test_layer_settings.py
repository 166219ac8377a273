"""Learning-rate multipliers of layers, and weights excluded from weight decay."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers import optimizers as opt
from netlayers.errors import ConfigurationError
from netlayers.optimizers import SGD
from tests.optimizers.networks import GRADIENTS, each_clone, each_rule, run, two


def three(*multipliers, units=3):
    layers = [nl.layers.Dense(units, learning_rate_multiplier=m) for m in multipliers]
    model = nl.Sequential(layers, seed=0, dtype="float64")
    model.build((None, units))
    return model


def random_gradients(size, times=4):
    rng = np.random.default_rng(1)
    return [rng.normal(size=size) for _ in range(times)]


@each_rule
@pytest.mark.parametrize("weight_decay", [None, 0.1])
def test_a_multiplier_is_another_learning_rate(name, weight_decay):
    multipliers = 1.0, 0.5, 0.0, 0.25
    model = three(*multipliers)
    start = model.parameters.values.copy()
    gradients = random_gradients(start.size)
    make, options = (
        getattr(opt, name),
        {} if weight_decay is None else {"weight_decay": weight_decay},
    )
    run(make(0.1, **options), model.parameters, gradients)
    for i, multiplier in enumerate(multipliers):
        plain = three(*[1.0] * 4)
        run(make(0.1 * multiplier, **options), plain.parameters, gradients)
        for got, expected in zip(model.layers[i].weights, plain.layers[i].weights, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-14)
    frozen = slice(24, 36)
    assert model.parameters.values[frozen].tobytes() == start[frozen].tobytes()


@each_rule
def test_a_multiplier_of_zero_keeps_the_bits(name):
    model = three(1.0, 0.0)
    odd = np.array([-0.0, np.nan, np.inf, 5e-324] * 3)
    model.parameters.values[12:] = odd
    optimizer = getattr(opt, name)(0.1, weight_decay=0.1, use_ema=True, ema_overwrite_frequency=2)
    run(optimizer, model.parameters, random_gradients(24))
    optimizer.finalize_variable_values(model.parameters)
    assert model.parameters.values[12:].tobytes() == odd.tobytes()


def blocks_of(optimizer):
    return [
        (treatment[:2], [w.size for w, *_ in blocks])
        for treatment, blocks in optimizer._layout.groups
    ]


def test_neighbours_of_one_treatment_are_one_block():
    optimizer = SGD(0.1, weight_decay=0.5)
    model = three(1, 1, 2, 2, 1)
    run(optimizer, model.parameters, random_gradients(60))
    assert blocks_of(optimizer) == [((1, 0.5), [24]), ((2, 0.5), [24]), ((1, 0.5), [12])]
    model.layers[2].learning_rate_multiplier = model.layers[3].learning_rate_multiplier = 1
    run(optimizer, model.parameters, random_gradients(60))
    assert blocks_of(optimizer) == [((1, 0.5), [60])]
    optimizer.exclude_from_weight_decay(var_names=["dense_4", "^dense/bias$"])
    run(optimizer, model.parameters, random_gradients(60))
    assert blocks_of(optimizer) == [
        ((1, 0.5), [9]), ((1, 0), [3]), ((1, 0.5), [36]), ((1, 0), [12]),
    ]  # fmt: skip
    assert model.parameters.segments == [slice(0, 60)]


def test_the_multiplier_is_part_of_the_configuration():
    layer = nl.layers.Dense(3, learning_rate_multiplier=0.5)
    assert nl.layers.Dense.from_config(layer.get_config()).learning_rate_multiplier == 0.5
    assert "learning_rate_multiplier=0.5" in repr(layer)
    assert "multiplier" not in repr(nl.layers.Dense(3))
    model = three(0.5, 1.0)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert [layer.learning_rate_multiplier for layer in again.layers] == [0.5, 1.0]
    for wrong in (-1, float("inf"), "1", None):
        with pytest.raises(ConfigurationError, match="learning_rate_multiplier must be"):
            nl.layers.Dense(3, learning_rate_multiplier=wrong)
        with pytest.raises(ConfigurationError, match="'dense': learning_rate_multiplier must be"):
            model.layers[0].learning_rate_multiplier = wrong


def test_a_layer_with_multiplier_zero_is_in_no_norm():
    model = three(1.0, 0.0)
    optimizer = SGD(0.1, global_clipnorm=1e9)
    g = np.concatenate([np.full(12, 2.0), np.full(12, np.nan)])
    run(optimizer, model.parameters, [g])
    assert optimizer.grad_norm == pytest.approx(2 * 12**0.5)


def test_excluded_from_weight_decay_as_in_keras():
    optimizer, parameters = SGD(0.1, weight_decay=0.5), two().parameters
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    values = run(optimizer, parameters, GRADIENTS)
    np.testing.assert_allclose(values, [0.7962625, -1.6608375, -0.035], rtol=1e-9)  # Keras 3.15.1


@each_clone
def test_a_copy_excludes_the_same(clone):
    optimizer, layer = SGD(0.1, weight_decay=0.5), two()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    other, twin = clone((optimizer, layer))
    expected = run(optimizer, layer.parameters, GRADIENTS)
    assert run(other, twin.parameters, GRADIENTS).tobytes() == expected.tobytes()


@pytest.mark.parametrize("wrong", ["bias", [3], ["("], 3])
def test_what_is_no_list_of_patterns_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="SGD: var_names must be"):
        SGD(0.1).exclude_from_weight_decay(var_names=wrong)
