"""``clone_model``: new models of the layers of another one."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError

L = nl.layers
X = np.linspace(-1, 1, 12).reshape(3, 4)


def graph(name="graph"):
    a = nl.Input((4,), name="a")
    h = L.Dense(4, "tanh", name="h")(a)
    shared = L.Dense(4, name="shared")
    return nl.Model(a, {"y": L.Add()([shared(h), shared(a)]), "h": h}, name=name, seed=0)


def nested():
    x = nl.Input((4,))
    return nl.Model(x, L.Dense(2, name="last")(graph("inner")(x)["y"]), seed=0)


def renamed(layer):
    config = layer.get_config()
    return type(layer).from_config({**config, "name": f"{config['name']}_new"})


def with_dropout(layer, x, **options):
    y = layer(x, **options)
    return L.Dropout(0.5)(y) if isinstance(layer, L.Dense) else y


def test_new_layers_with_the_same_connections():
    model = graph()
    clone = nl.models.clone_model(model, clone_function=renamed)
    assert [layer.name for layer in clone.layers] == ["a", "h_new", "shared_new", "add_new"]
    assert clone.count_params() == model.count_params()
    assert set(clone.predict(X)) == {"y", "h"}
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(clone.predict(X)["y"], model.predict(X)["y"])


def test_layers_that_are_returned_share_their_weights():
    model = graph()
    clone = nl.models.clone_model(model, clone_function=lambda layer: layer)
    model.set_weights([w + 1 for w in model.get_weights()])
    np.testing.assert_allclose(clone.predict(X)["y"], model.predict(X)["y"])


def test_a_call_function_adds_layers():
    model = graph()
    clone = nl.models.clone_model(model, None, lambda layer: layer, with_dropout)
    kinds = [type(layer).__name__ for layer in clone.layers]
    assert kinds.count("Dropout") == 3  # one for each call
    np.testing.assert_allclose(clone.predict(X)["y"], model.predict(X)["y"])


@pytest.mark.parametrize("recursive", [False, True])
def test_models_in_models(recursive):
    model = nested()
    found = []

    def noted(layer):
        found.append(layer.name)
        return type(layer).from_config(layer.get_config())

    clone = nl.models.clone_model(model, clone_function=noted, recursive=recursive)
    assert ("inner" in found) != recursive
    assert ("shared" in found) == recursive
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(clone.predict(X), model.predict(X))
    deep = nl.models.clone_model(model, None, lambda layer: layer, with_dropout, recursive=True)
    inner = next(layer for layer in deep.layers if layer.name == "inner")
    assert any(isinstance(layer, L.Dropout) for layer in inner.layers)


def test_a_sequential_in_another():
    model = nl.Sequential([nl.Input((4,)), nl.Sequential([L.Dense(3)]), L.Dense(1)], seed=0)
    clone = nl.models.clone_model(model, recursive=True)
    assert clone.layers[0] is not model.layers[0]
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(clone.predict(X), model.predict(X))


def test_given_inputs():
    b = nl.Input((4,), name="b")
    assert nl.models.clone_model(graph(), input_tensors=b).inputs == [b]
    x, y = nl.Input((3,), name="x"), nl.Input((3,), name="y")
    model = nl.Model({"x": x, "y": y}, L.Dense(2)(x + y))
    given = {"x": nl.Input((3,), name="u"), "y": nl.Input((3,), name="v")}
    clone = nl.models.clone_model(model, input_tensors=given)
    assert clone.input_names == ["x", "y"]
    assert clone.inputs == list(given.values())
    for wrong in ((x, y), {"x": x}, X):
        with pytest.raises(ConfigurationError, match="in the form of"):
            nl.models.clone_model(model, input_tensors=wrong)
    chain = nl.Sequential([nl.Input((4,)), L.Dense(2)], seed=0)
    assert nl.models.clone_model(chain, input_tensors=b).predict(X).shape == (3, 2)
    with pytest.raises(ConfigurationError, match="in the form of"):
        nl.models.clone_model(chain, input_tensors=[x, y])


def test_what_is_refused():
    model = graph()
    for argument in ({"clone_function": 3}, {"call_function": lambda: 1}, {"recursive": 1}):
        with pytest.raises(ConfigurationError, match=next(iter(argument))):
            nl.models.clone_model(model, **argument)
    with pytest.raises(ConfigurationError, match="for a functional model"):
        nl.models.clone_model(nl.Sequential([L.Dense(2)]), call_function=with_dropout)

    class Own(nl.Model):
        pass

    with pytest.raises(ConfigurationError, match="got Own"):
        nl.models.clone_model(Own(), clone_function=renamed)


def test_a_clone_is_compiled_as_the_model_is():
    model = graph()
    model.compile("sgd", {"y": "mse"})
    assert model.compiled
    model.fit(X, {"y": X, "h": X}, verbose=0)
    clone = nl.models.clone_model(model)
    assert clone.compiled
    assert clone.optimizer.iterations == 0
    clone.fit(X, {"y": X, "h": X}, verbose=0)
    assert not nl.models.clone_model(graph()).compiled


@pytest.mark.parametrize("function", [None, renamed])
def test_the_clone_of_a_model_that_its_data_built_takes_its_weights(function):
    inner = nl.Sequential([L.Dense(3), L.Dense(2)], seed=0)
    model = nl.Sequential([L.Dense(4), inner], seed=0)
    y = model.predict(X, verbose=0)
    clone = nl.models.clone_model(model, clone_function=function)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(X, verbose=0), y)
    assert not nl.models.clone_model(nl.Sequential([L.Dense(4)])).built
