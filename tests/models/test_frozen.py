"""``trainable=False``: on any layer, at any time, also between two calls of compile."""

import numpy as np
import pytest

import netlayers as nl

L = nl.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 4)).astype("float32")
Y = RNG.normal(size=(32, 2)).astype("float32")


def make(**options):
    layers = [
        L.Dense(5, "tanh", kernel_regularizer="l2", kernel_constraint="unit_norm", **options),
        L.Dropout(0.3),
        L.Dense(4, "relu"),
        L.GaussianNoise(0.1),
        L.Dense(2),
    ]
    return nl.Sequential([L.Input((4,)), *layers], seed=0)


def train(model, optimizer="adam"):
    model.compile(optimizer, "mse")
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    return model


def changed(model, before):
    return [bool((a != b).any()) for a, b in zip(before, model.get_weights(), strict=True)]


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_frozen_and_thawed_between_two_calls_of_compile(optimizer, which):
    model = train(make(), optimizer)
    layer = [layer for layer in model.layers if layer.declared_parameters][which]
    layer.trainable = False
    before = model.get_weights()
    train(model, optimizer)
    expected = [True] * 6
    expected[2 * which : 2 * which + 2] = [False, False]
    assert changed(model, before) == expected
    assert len(model.trainable_weights) == 4
    layer.trainable = True
    before = model.get_weights()
    train(model, optimizer)
    assert changed(model, before) == [True] * 6


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_frozen_without_a_new_compile(optimizer):
    model = train(make(), optimizer)
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(X, Y, batch_size=8, verbose=0)
    assert changed(model, before) == [False, False, True, True, True, True]
    model.layers[0].trainable = True
    before = model.get_weights()
    model.fit(X, Y, batch_size=8, verbose=0)
    assert changed(model, before) == [True] * 6


def test_frozen_from_the_start_is_frozen_later():
    early, late = make(trainable=False), make()
    late.layers[0].trainable = False
    for model in (early, late):
        train(model)
    assert early.parameters.values.tobytes() == late.parameters.values.tobytes()
    assert changed(early, make().get_weights()) == [False, False, True, True, True, True]


def test_layers_without_weights_do_not_mind():
    """Frozen chance goes on: in Keras too, only weights and statistics can be frozen."""
    plain, frozen = make(), make()
    for layer in frozen.layers:
        if not layer.declared_parameters:
            layer.trainable = False
    for model in (plain, frozen):
        train(model)
    assert plain.parameters.values.tobytes() == frozen.parameters.values.tobytes()


@pytest.mark.filterwarnings("ignore:.* has no trainable weights:UserWarning")
def test_a_model_all_of_whose_layers_are_frozen():
    model = make()
    for layer in model.layers:
        layer.trainable = False
    before = model.get_weights()
    train(model)
    assert not any(changed(model, before))
    assert model.trainable_weights == model.gradients == []


def test_the_gradient_passes_through_a_frozen_layer():
    model = make()
    x = X.astype("float64")
    model.layers[2].trainable = False
    report = nl.check_gradients(model, x[:5], Y[:5], "mse")
    assert report.passed, f"\n{report}"
    names = [row.name for row in report.rows]
    assert names == ["input", "dense/kernel", "dense/bias", "dense_2/kernel", "dense_2/bias"]
