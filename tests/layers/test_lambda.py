"""Functions as layers."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers import registry
from netlayers.errors import ConfigurationError, FileError, ShapeError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 3)) + 5


def cube(x):
    return x**3


def cube_gradient(dy, x, y):
    return 3 * x**2 * dy


def quotient(xs):
    return xs[0] / xs[1]


def quotient_gradient(dy, xs, y):
    return dy / xs[1], -dy * y / xs[1]


def test_a_function_with_its_gradient():
    layer = L.Lambda(cube, gradient=cube_gradient)
    np.testing.assert_allclose(layer(X), X**3, rtol=1e-5)
    assert nl.check_gradients(L.Lambda(cube, gradient=cube_gradient), X).passed
    ratio = L.Lambda(quotient, gradient=quotient_gradient)
    np.testing.assert_allclose(ratio([X, Y]), X / Y, rtol=1e-5)
    assert nl.check_gradients(ratio, (X, Y)).passed
    assert not nl.check_gradients(L.Lambda(cube, gradient=lambda dy, x, y: dy), X).passed


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: np.exp(x).sum(axis=1, keepdims=True), lambda dy: dy * np.exp(X)),
        (np.abs, lambda dy: dy * np.sign(X)),  # no complex step
    ],
)
def test_a_numerical_derivative_warns_of_its_cost(function, expected):
    layer = L.Lambda(function, dtype="float64")
    y = layer.forward(X, training=True)
    dy = RNG.normal(size=y.shape)
    with pytest.warns(UserWarning, match="evaluates the function [36] times more"):
        dx = layer.backward(dy)
    np.testing.assert_allclose(dx, expected(dy), rtol=1e-6, atol=1e-8)
    layer.backward(dy)  # warns once


def test_several_inputs_without_a_gradient():
    layer = L.Lambda(quotient, dtype="float64")
    y = layer.forward((X, Y), training=True)
    with pytest.warns(UserWarning, match="has no derivative"):
        first, second = layer.backward(np.ones_like(y))
    np.testing.assert_allclose(first, 1 / Y, rtol=1e-6)
    np.testing.assert_allclose(second, -X / Y**2, rtol=1e-6)


def test_shapes_and_arguments():
    x = nl.Input((4, None))
    assert L.Lambda(lambda x: x.sum(axis=1))(x).shape == (None, None)
    assert L.Lambda(lambda x: x[:, 0], output_shape=(None,))(x).shape == (None, None)
    assert L.Lambda(lambda x: np.stack([x, x], axis=-1))(nl.Input((3,))).shape == (None, 3, 2)
    layer = L.Lambda(lambda x, factor: factor * x, arguments={"factor": 3.0})
    np.testing.assert_array_equal(layer(np.ones((2, 2))), 3.0)


def test_a_file_holds_the_names(tmp_path):
    x = nl.Input((3,))
    model = nl.Model(x, L.Lambda(cube, gradient=cube_gradient)(L.Dense(3)(x)), seed=0)
    model.save(tmp_path / "m")
    own = {"cube": cube, "cube_gradient": cube_gradient}
    loaded = nl.load_model(tmp_path / "m", custom_objects=own)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    with pytest.raises(FileError, match="'cube' is a function of the user"):
        nl.load_model(tmp_path / "m")


def test_registered_functions_are_found(tmp_path, monkeypatch):
    before = {kind: dict(names) for kind, names in registry._REGISTRY.items()}
    monkeypatch.setattr(registry, "_REGISTRY", before)
    register = nl.saving.register_keras_serializable("lambdas")

    @register
    def tripled(x):
        return 3 * x

    @register
    def three(dy, x, y):
        return 3 * dy

    @register
    def same_shape(shape):
        return shape

    layer = L.Lambda(tripled, output_shape=same_shape, gradient=three)
    nl.Sequential([L.Input((3,)), layer]).save(tmp_path / "m")
    (loaded,) = nl.load_model(tmp_path / "m").layers
    assert (loaded.function, loaded.gradient, loaded._sizes) == (tripled, three, same_shape)
    assert L.Lambda.from_config({"function": "lambdas>tripled"}).function is tripled
    with nl.saving.custom_object_scope({"tripled": cube}):
        assert L.Lambda("tripled").function is cube

    first = tripled

    @nl.saving.register_keras_serializable("others")
    def tripled(x, times):  # a loss and a metric: it takes two arrays
        return times * x

    with pytest.raises(ConfigurationError, match="'tripled' is a function of the user"):
        L.Lambda("tripled")
    assert L.Lambda("lambdas>tripled").function is first
    assert L.Lambda("others>tripled").function is tripled


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.Lambda(3), "function must be a function"),
        (lambda: L.Lambda(None), "function must be a function"),
        (lambda: L.Lambda(cube, gradient=3), "gradient must be a function"),
        (lambda: L.Lambda(cube, mask=cube), "mask"),
        (lambda: L.Lambda(lambda x: x.sum())(X), "must keep the batch"),
        (lambda: L.Lambda("nothing"), "custom_objects"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises((ConfigurationError, ShapeError), match=message):
        make()


def test_a_gradient_of_another_shape_is_refused():
    layer = L.Lambda(cube, gradient=lambda dy, x, y: dy[:, :1])
    layer.forward(X, training=True)
    with pytest.raises(ShapeError, match="must return dL/dx in the shape of x"):
        layer.backward(np.ones((6, 3)))


def test_large_samples_need_a_gradient():
    layer = L.Lambda(cube)
    layer.forward(np.ones((2, 65)), training=True)
    with pytest.raises(ShapeError, match="at most 64"):
        layer.backward(np.ones((2, 65)))
