"""Keras's methods of optimizers: gradients and weights as lists; arguments that are refused."""

import copy

import numpy as np
import pytest

import netlayers as nl
from netlayers import optimizers as opt
from netlayers.errors import ConfigurationError, NonFiniteError, ShapeError

L = nl.layers
RNG = np.random.default_rng(0)


def network(frozen=False):
    layers = [L.Dense(3, "tanh"), L.BatchNormalization(), L.Dense(2)]
    model = nl.Sequential(layers, seed=0, dtype="float64")
    model.build((None, 4))
    layers[0].trainable = not frozen
    return model


def gradients(model, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=w.shape) for w in model.trainable_variables]


def stepped(optimizer, model, grads):
    for p, g in zip(model.parameters.tensors, grads, strict=True):
        p.gradient[...] = g
    return optimizer.step(model.parameters)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("how", ["apply", "apply_gradients", "built", "parameters"])
def test_apply_is_a_step(how, frozen):
    ours, theirs = network(frozen), network(frozen)
    optimizer, plain = opt.Adam(0.1, clipnorm=0.5), opt.Adam(0.1, clipnorm=0.5)
    if how == "built":
        optimizer.build(ours.trainable_variables)
        assert len(optimizer.variables) == 4
    for i in range(3):
        grads = gradients(ours, i)
        if how == "apply":
            assert optimizer.apply(grads, ours.trainable_variables) is True
        elif how == "apply_gradients":
            pairs = zip(grads, ours.trainable_variables, strict=True)
            assert optimizer.apply_gradients(pairs) == i + 1
        elif how == "parameters":
            optimizer.apply(grads, ours.parameters)
        else:
            optimizer.apply(grads)
        stepped(plain, theirs, grads)
    np.testing.assert_array_equal(ours.parameters.values, theirs.parameters.values)


def test_one_layer_of_a_model():
    model = network()
    before = model.get_weights()
    last = model.layers[-1]
    optimizer = opt.SGD(0.5)
    for _ in range(2):
        optimizer.apply([np.ones((3, 2)), np.ones(2)], [last.kernel, last.bias])
    after = model.get_weights()
    changed = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    names = [p.path for p in model._ordered()]
    assert {n for n, c in zip(names, changed, strict=True) if c} == {
        "dense_1/kernel",
        "dense_1/bias",
    }
    np.testing.assert_allclose(before[names.index("dense_1/bias")] - last.bias, 1)


def test_a_training_loop_as_in_keras():
    model = network()
    loss, optimizer = nl.losses.MeanSquaredError(), opt.Adam(0.05)
    x, y = RNG.normal(size=(32, 4)), RNG.normal(size=(32, 2))
    values = []
    for _ in range(20):
        values.append(loss.forward(y, model.forward(x, training=True)))
        model.backward(loss.backward())
        optimizer.apply_gradients(zip(model.gradients, model.trainable_variables, strict=True))
    assert values[-1] < 0.7 * values[0]


def test_variables():
    model, optimizer = network(), opt.Adam(0.25)
    assert [v.tolist() for v in optimizer.variables] == [0, 0.25]
    optimizer.apply(gradients(model), model.trainable_variables)
    count, rate, m, v = optimizer.variables
    assert (count, rate) == (1, 0.25)
    assert m is optimizer.state["m"]
    assert v.size == model.parameters.size


def test_what_apply_refuses():
    model, optimizer = network(), opt.SGD(0.1)
    weights, grads = model.trainable_variables, gradients(model)
    with pytest.raises(ConfigurationError, match="needs the weights in the first call"):
        optimizer.apply(grads)
    with pytest.raises(ConfigurationError, match="views, not copies"):
        optimizer.apply(grads, model.get_weights())
    with pytest.raises(ConfigurationError, match="trainable weights of one built model"):
        optimizer.apply([np.ones(3)], [model.layers[1].moving_mean])
    with pytest.raises(ConfigurationError, match="trainable weights of one built model"):
        optimizer.apply([1, 2], [weights[0], network().trainable_variables[0]])
    with pytest.raises(ConfigurationError, match="trainable weights of one built model"):
        optimizer.apply([1.0], [3.0])
    with pytest.raises(ShapeError, match=r"got 1 gradients for 6 weights, dense/kernel"):
        optimizer.apply(grads[:1], weights)
    with pytest.raises(ShapeError, match=r"'dense/kernel' has the shape \(3,\), expected \(4, 3\)"):
        optimizer.apply([np.ones(3), *grads[1:]], weights)
    with pytest.raises(ConfigurationError, match="None as the gradient of 'dense/kernel'"):
        optimizer.apply([None, *grads[1:]], weights)
    with pytest.raises(ConfigurationError, match=r"takes pairs \(gradient, weight\)"):
        optimizer.apply_gradients(grads)
    before = model.parameters.values.copy()
    with pytest.raises(NonFiniteError, match="'dense'"):
        optimizer.apply([np.full((4, 3), np.nan), *grads[1:]], weights)
    np.testing.assert_array_equal(model.parameters.values, before)
    optimizer.apply(grads, weights)
    with pytest.raises(ConfigurationError, match="or create a new optimizer for others"):
        optimizer.apply(grads[:1], weights[:1])
    optimizer.apply(grads, weights)


def test_a_copy_of_a_model_has_weights_of_its_own():
    model = network()
    twin = copy.deepcopy(model)
    before = model.parameters.values.copy()
    opt.SGD(0.1).apply(gradients(twin), twin.trainable_variables)
    np.testing.assert_array_equal(model.parameters.values, before)
    assert not np.array_equal(twin.parameters.values, before)


def test_row_gradients():
    model = nl.Sequential([L.Embedding(5, 2)], seed=0, dtype="float64")
    model.build((None, 3))
    before = model.layers[0].embeddings.copy()
    g = np.zeros((5, 2))
    g[[1, 3]] = 1
    opt.SGD(0.5).apply([g], model.trainable_variables)
    np.testing.assert_allclose(before - model.layers[0].embeddings, 0.5 * g)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lr", 0.1, r"Adam: lr is called learning_rate; pass learning_rate=0\.1\."),
        ("decay", 1e-4, r"Adam: decay was .* decay_rate=0\.0001\)\."),
        ("loss_scale_factor", 8.0, r"loss_scale_factor=8\.0 is not supported: .* mixed precision"),
        ("learnig_rate", 0.1, "unknown argument 'learnig_rate'. Did you mean 'learning_rate'"),
    ],
)
def test_arguments_of_old_versions(name, value, message):
    with pytest.raises(TypeError, match=message):
        opt.Adam(**{name: value})

    class Mine(opt.SGD):
        pass

    with pytest.raises(TypeError, match=message.replace("Adam", "Mine")):
        Mine(**{name: value})


def test_what_layers_refuse_by_name():
    same = L.BatchNormalization(
        renorm=False, renorm_clipping=None, renorm_momentum=0.99, synchronized=False
    )
    assert same.get_config() == L.BatchNormalization(name=same.name).get_config()
    for name, value in (
        ("renorm", True),
        ("renorm_clipping", {"rmax": 3}),
        ("renorm_momentum", 0.9),
        ("synchronized", True),
    ):
        with pytest.raises(
            ConfigurationError, match=f"BatchNormalization: {name}=.* not supported"
        ):
            L.BatchNormalization(**{name: value})


def test_state_of_another_optimizer():
    layer = L.Dense(1, kernel_initializer="ones")
    layer.build((None, 2))
    weights = layer.trainable_variables
    first = nl.optimizers.Adam(0.01, use_ema=True)
    second = nl.optimizers.Adam(0.5, use_ema=True)
    with pytest.raises(ConfigurationError, match=r"set_weights\(\) needs the state.* build"):
        second.set_weights(first.variables)
    gradients = [np.array([[1.0], [2.0]]), np.array([3.0])]
    first.apply(gradients, weights)
    second.build(weights)
    second.set_weights(first.variables)
    assert (second.iterations, second.learning_rate) == (1, 0.01)
    for one, other in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(one, other)
        assert not np.shares_memory(one, other)
    before = second.variables[2].copy()
    with pytest.raises(ShapeError, match=r"expected \[\(\), \(\), \(3,\), \(3,\), \(3,\)\]"):
        second.set_weights(first.variables[:-1])
    np.testing.assert_array_equal(second.variables[2], before)
    scheduled = nl.optimizers.Adam(
        nl.optimizers.schedules.ExponentialDecay(0.2, 1, 0.5), use_ema=True
    )
    scheduled.build(weights)
    scheduled.set_weights(first.variables)
    assert scheduled.learning_rate == pytest.approx(0.1)
