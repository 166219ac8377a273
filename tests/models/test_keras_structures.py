"""Structures of outputs, losses and metrics that Keras takes."""

import copy

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import MissingMethodError, ShapeError

L = nl.layers
X, Y = np.linspace(-1, 1, 24).reshape(8, 3), np.linspace(0, 1, 8)


def single(form):
    x = nl.Input((3,), name="x")
    return nl.Model(x, form(L.Dense(1, name="y")(x)), seed=0)


@pytest.mark.parametrize("form", [lambda v: v, lambda v: [v], lambda v: (v,), lambda v: {"y": v}])
@pytest.mark.parametrize("loss", ["mse", ["mse"], {"y": "mse"}, {"y": ["mse"]}])
def test_losses_and_metrics_of_one_output_by_its_name(form, loss):
    model = single(form)
    model.compile("sgd", loss, metrics={"y": ["mae", "mse"]}, weighted_metrics={"y": "mse"})
    history = model.fit(X, Y, verbose=0).history
    assert list(history) == ["loss", "mae", "mse", "weighted_mse"]
    with pytest.raises(nl.errors.ConfigurationError, match="metrics"):
        model.compile("sgd", "mse", metrics={"z": ["mae"]})


def test_lists_of_one_loss_for_each_of_several_outputs():
    x = nl.Input((3,))
    model = nl.Model(x, [L.Dense(1, name="a")(x), L.Dense(1, name="b")(x)], seed=0)
    model.compile("sgd", [["mse"], ["mae"]])
    assert list(model.fit(X, [Y, Y], verbose=0).history) == ["loss", "a_loss", "b_loss"]


@pytest.mark.parametrize("kind", [list, tuple])
def test_outputs_are_returned_as_they_were_given(kind, tmp_path):
    x = nl.Input((3,))
    model = nl.Model(x, kind([L.Dense(2)(x), L.Dense(1)(x)]), seed=0)
    model.save(tmp_path / "model.safetensors")
    for its in (model, copy.deepcopy(model), nl.load_model(tmp_path / "model.safetensors")):
        assert type(its.predict(X)) is type(its(X)) is type(its(x)) is kind
    assert ("tuple_output" in model.get_config()) == (kind is tuple)


def test_dtypes_of_symbolic_values():
    x, text, number = nl.Input((3,)), nl.Input((1,), dtype="string"), nl.Input((1,), dtype="int32")
    assert (x.dtype, text.dtype, number.dtype) == ("float32", "string", "int64")
    look = L.StringLookup(vocabulary=["a", "b"])
    assert look(text).dtype == "int64"
    assert L.Embedding(3, 2)(look(text)).dtype == "float32"
    assert L.StringLookup(vocabulary=["a"], output_mode="one_hot")(text).dtype == "float32"
    assert L.StringLookup(vocabulary=["a"], invert=True)(number).dtype == "string"
    assert L.Dense(2, dtype="float64")(x).dtype == "float64"


def test_a_new_axis():
    x = nl.Input((3,))
    assert x[:, None].shape == (None, 1, 3)
    assert x[..., None].shape == (None, 3, 1)
    model = nl.Model(x, L.Flatten()(x[:, None, 1:]))
    np.testing.assert_allclose(model.predict(X), X[:, 1:], rtol=1e-6)
    again = nl.Model.from_config(model.get_config())
    np.testing.assert_allclose(again.predict(X), X[:, 1:], rtol=1e-6)


def test_the_shape_of_a_lambda_from_a_function():
    layer = L.Lambda(lambda x: x[:, :2], lambda shape: (shape[0], 2), gradient=lambda dy, x, y: x)
    assert layer.compute_output_shape((None, 5)) == (None, 2)
    assert layer(X).shape == (8, 2)
    assert callable(layer.get_config()["output_shape"])


def test_masks_of_a_merge():
    layer, x = L.Add(), np.ones((2, 4, 5))
    assert layer.compute_mask([x, x], [None, None]) is None
    for inputs, mask in (([x, x], x), (x, [None, None]), ([x, x], [None])):
        with pytest.raises(ShapeError, match="as many masks"):
            layer.compute_mask(inputs, mask)


def test_a_model_with_call_is_told_what_to_write():
    class Called(nl.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(2)

        def call(self, x):
            return self.dense(x)

    with pytest.raises(MissingMethodError, match="def backward"):
        Called()(X)

    class Nothing(nl.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(2)

    with pytest.raises(MissingMethodError, match="must define forward"):
        Nothing()(X)


def test_the_input_of_a_model_has_the_form_it_was_given_in():
    a, b = nl.Input((3,), name="a"), nl.Input((3,), name="b")
    y = L.Add()([a, b])
    assert nl.Model({"u": a, "v": b}, y).input == {"u": a, "v": b}
    assert nl.Model([a, b], y).input == [a, b]
    assert nl.Model(a, L.Dense(1)(a)).input is a


def test_several_arrays_for_one_input():
    model = single(lambda value: value)
    for given in ([X, X], (X, X)):
        with pytest.raises(nl.errors.DataError, match="takes one input, 'x', got"):
            model(given)
    assert model([X]).shape == (8, 1)
    assert model(X.tolist()).shape == (8, 1)
