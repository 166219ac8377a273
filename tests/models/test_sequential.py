"""The container: layers, weights, copies, forward and backward."""

import copy
import inspect
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, NoForwardError, NotBuiltError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4)).astype(np.float32)


def make(**options):
    layers = [nl.layers.Dense(3, activation="tanh"), nl.layers.Dense(2)]
    return nl.Sequential(layers, seed=1, **options)


def test_weights_are_in_keras_order_and_shapes():
    model = make()
    model.build((None, 4))
    assert [w.shape for w in model.get_weights()] == [(4, 3), (3,), (3, 2), (2,)]
    assert model.count_params() == model.parameters.values.size == 23
    new = [RNG.normal(size=w.shape) for w in model.weights]
    model.set_weights(new)
    h = np.tanh(X @ new[0] + new[1])
    np.testing.assert_allclose(model.predict(X), h @ new[2] + new[3], rtol=1e-5, atol=1e-6)
    before = model.parameters.values.tobytes()
    for wrong in (new[:3], [*new[:3], np.zeros(3)]):
        with pytest.raises(ShapeError):
            model.set_weights(wrong)
    assert model.parameters.values.tobytes() == before


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_is_whole_and_independent(clone):
    model = make()
    model.compile("adam", "mse")
    y = RNG.normal(size=(6, 2))
    model.fit(X, y, epochs=2, verbose=0)
    other = clone(model)
    assert other.parameters.values.tobytes() == model.parameters.values.tobytes()
    assert np.shares_memory(other.layers[0].kernel, other.parameters.values)
    model.fit(X, y, epochs=2, verbose=0)
    assert other.parameters.values.tobytes() != model.parameters.values.tobytes()
    other.fit(X, y, epochs=2, verbose=0)  # optimizer state and random streams came along
    assert other.parameters.values.tobytes() == model.parameters.values.tobytes()


def test_backward_without_the_input_gradient_gives_the_same_weights_gradients():
    model = make()
    y = model.forward(X, training=True)
    dx = model.backward(np.ones_like(y))
    assert dx.shape == X.shape
    gradients = model.parameters.gradients.copy()
    assert model.backward(np.ones_like(y), input_gradient=False) is None
    assert model.parameters.gradients.tobytes() == gradients.tobytes()


def test_names_layers_and_summary(capsys):
    model = make(name="net")
    assert [layer.name for layer in model.layers] == ["dense", "dense_1"]
    assert model.get_layer("dense_1") is model.get_layer(index=1)
    with pytest.raises(ConfigurationError, match=r"'dens'.*Did you mean 'dense'"):
        model.get_layer("dens")
    model.summary()
    assert "not built" in capsys.readouterr().out
    model.build((None, 4))
    model.summary()
    out = capsys.readouterr().out
    assert "(None, 3)" in out
    assert out.splitlines()[-3].split() == ["Total", "23", "92"]


def test_a_layer_stands_once():
    layer = nl.layers.Dense(2)
    model = nl.Sequential([layer])
    with pytest.raises(ConfigurationError, match="used twice"):
        model.add(layer)
    model.build((None, 3))
    weights = model.get_weights()
    assert model.pop() is layer
    other = nl.Sequential([nl.layers.Input((3,)), layer])
    for a, b in zip(weights, other.weights, strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_layer_that_does_not_fit_leaves_the_model_as_it_was():
    model = nl.Sequential([nl.layers.Input((3,)), nl.layers.Dense(2)], seed=0)
    before = model.parameters.values.tobytes()
    with pytest.raises(ConfigurationError, match="named 'dense'"):
        model.add(nl.layers.Dense(1, name="dense"))
    assert model.parameters.values.tobytes() == before


def test_adding_a_layer_keeps_the_weights():
    model = nl.Sequential([nl.layers.Input((3,)), nl.layers.Dense(2)], seed=0)
    kernel = model.layers[0].kernel.copy()
    model.add(nl.layers.Dense(1))
    assert model.layers[0].kernel.tobytes() == kernel.tobytes()
    assert model.output_shape == (None, 1)
    model.pop()
    assert model.output_shape == (None, 2)


def test_config_round_trip():
    model = make()
    model.build((None, 4))
    config = model.get_config()
    other = nl.Sequential.from_config(config)
    assert other.parameters.values.tobytes() == model.parameters.values.tobytes()
    assert other.get_config() == config == model.get_config()
    assert not nl.Sequential.from_config(make().get_config()).built
    outer = nl.Sequential([nl.layers.Input((4,)), model])
    assert "build_input_shape" not in str(outer.get_config())


def test_not_built_says_what_to_do():
    for use in (lambda m: m.weights, lambda m: m.parameters, lambda m: m.count_params()):
        with pytest.raises(NotBuiltError, match=r"model 'sequential'.*build\("):
            use(make())
    with pytest.raises(NoForwardError, match=r"model 'sequential'.*forward\(\)"):
        make().backward(X)


def test_views_can_not_be_replaced():
    model = make()
    model.build((None, 4))
    with pytest.raises(AttributeError, match=r"kernel\[\.\.\.\] = value"):
        model.layers[0].kernel = np.zeros((4, 3))
    model.layers[0].kernel += 1
    model.layers[0].kernel[...] = 5
    assert model.parameters.values[0] == 5


def test_float64():
    model = make(dtype="float64")
    assert model.forward(X).dtype == np.float64
    assert model.parameters.values.dtype == np.float64


def test_another_last_layer_after_compile_gets_a_loss_of_its_own():
    y = np.array([0, 1, 2, 0, 1, 2])
    model = nl.Sequential([nl.layers.Dense(3, "softmax")], seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.evaluate(X, y, verbose=0)
    model.pop()
    model.add(nl.layers.Dense(3, "sigmoid"))
    got = model.evaluate(X, y, verbose=0)  # not from logits of a softmax any more
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert got == model.evaluate(X, y, verbose=0)


def test_a_shallow_copy_is_a_deep_one():
    model = make()
    model.build((None, 4))
    for thing in (model, model.layers[0]):
        again = copy.copy(thing)
        again.weights[0][...] = 7
        assert not (thing.weights[0] == 7).any()
    assert np.shares_memory(model.layers[0].kernel, model.parameters.values)


def test_compile_takes_what_keras_takes():
    y = np.ones((6, 2))
    model = make()
    model.compile("sgd", "mse", None, ["mae"], ["mse"], run_eagerly=True, jit_compile=False)
    history = model.fit(X, y, sample_weight=np.ones(6), verbose=0).history
    assert list(history) == ["loss", "mae", "mse"]
    with pytest.raises(ConfigurationError, match=r"loss_weights.*SplitLoss"):
        model.compile("sgd", "mse", ["mae"])
    with pytest.raises(TypeError, match="no argument metrix"):
        model.compile("sgd", "mse", metrix=["mae"])
    np.testing.assert_array_equal(model(X), model.predict(X))


def test_signatures_show_the_arguments_of_all_constructors():
    shown = str(inspect.signature(nl.layers.Dense))
    assert shown.startswith("(units: 'int', activation: 'Identifier' = None, use_bias")
    assert "*, name=None, trainable=True, dtype=None" in shown
    assert "y_true, y_pred, delta=1.0" in str(inspect.signature(nl.losses.huber))
    assert nl.losses.huber([0.0], [4.0], 2.0) == 6.0  # by hand: 2 (4 - 2 / 2)
