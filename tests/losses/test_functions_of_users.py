"""Plain functions as losses and activations: their derivatives are numerical."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from scipy import special

import netlayers as nl
from netlayers.activations.function import FunctionActivation
from netlayers.errors import ConfigurationError, FileError, ShapeError
from netlayers.losses.function import FunctionLoss

pytestmark = pytest.mark.filterwarnings("ignore:.*the function has no derivative:UserWarning")
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 3)), RNG.normal(size=(24, 2))


def mse(y_true, y_pred):
    return np.mean(np.square(y_true - y_pred), axis=-1)


def squares(y_true, y_pred):
    return (y_true - y_pred) ** 2


def whole(y_true, y_pred):
    return np.mean(np.square(y_true - y_pred))


def root(y_true, y_pred):
    return np.sqrt(np.mean(np.square(y_true - y_pred)))


def hinge(y_true, y_pred):
    return np.maximum(1 - np.sign(y_true) * y_pred, 0).mean(axis=-1)


def by_norm(y_true, y_pred):  # whose complex form is another function
    return np.linalg.norm(y_true - y_pred, axis=-1)


def with_scipy(y_true, y_pred):  # takes no complex numbers
    return np.square(special.expit(y_pred) - y_true).mean(axis=-1)


def in_float32(y_true, y_pred):
    return mse(y_true.astype(np.float32), y_pred.astype(np.float32))


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cube(z):
    return z**3


FUNCTIONS = [mse, squares, whole, root, hinge, by_norm, with_scipy]


def network(loss, activation="tanh", dtype="float64", units=2):
    layers = [nl.layers.Dense(4, activation=activation), nl.layers.Dense(units)]
    model = nl.Sequential(layers, seed=0, dtype=dtype)
    model.compile(nl.optimizers.SGD(0.1), loss, metrics=["mae"])
    return model


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("shape", [(5, 2), (4, 3, 2), (3, 1), (1, 4)])
def test_the_gradient_is_that_of_the_value(function, shape):
    loss = nl.losses.get(function)
    assert type(loss) is FunctionLoss
    t, p = RNG.normal(size=shape), RNG.normal(size=shape)
    value = loss.forward(t, p)
    assert value == pytest.approx(float(np.mean(function(t, p))), rel=1e-12)
    gradient = loss.backward().copy()
    assert gradient.shape == shape
    for _ in range(3):
        d = RNG.normal(size=shape)
        numeric = (loss.forward(t, p + 1e-6 * d) - loss.forward(t, p - 1e-6 * d)) / 2e-6
        assert np.vdot(gradient, d) == pytest.approx(numeric, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("function", "method"),
    [
        (mse, "complex step"),
        (hinge, "complex step"),
        (whole, "complex step"),
        (by_norm, "central differences"),
        (with_scipy, "central differences"),
        (in_float32, "central differences"),
    ],
)
def test_which_method(function, method):
    loss = nl.losses.get(function)
    loss.forward(Y, Y + 0.3)
    gradient = loss.backward()
    assert loss._derivative.method == method
    if function is in_float32:
        np.testing.assert_allclose(gradient, 0.6 / Y.size, rtol=1e-2)


@pytest.mark.parametrize("function", [mse, squares, whole])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_is_that_with_the_class(function, dtype):
    models = [network(loss, dtype=dtype) for loss in (function, "mse")]
    logs = [m.fit(X, Y, epochs=3, batch_size=8, verbose=0).history for m in models]
    for name in logs[1]:
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=1e-5)
    tolerance = {"float32": 1e-4, "float64": 1e-11}[dtype]
    np.testing.assert_allclose(
        models[0].parameters.values, models[1].parameters.values, rtol=tolerance, atol=tolerance
    )


def test_weights_and_reductions():
    weight = np.arange(24.0)
    for reduction in ("sum_over_batch_size", "sum", "mean_with_sample_weight"):
        ours, theirs = FunctionLoss(mse, reduction), nl.losses.MeanSquaredError(reduction)
        for w in (None, weight):
            a, b = ours.forward(Y, Y[::-1], w), theirs.forward(Y, Y[::-1], w)
            assert a == pytest.approx(b, rel=1e-12)
            np.testing.assert_allclose(ours.backward(), theirs.backward(), rtol=1e-10)
    of_the_batch = FunctionLoss(whole)
    with pytest.raises(ShapeError, match="which sample_weight cannot weigh"):
        of_the_batch.forward(Y, Y, weight)


def test_targets_of_one_output_are_not_broadcast():
    loss = nl.losses.get(squares)
    assert loss.forward(np.zeros(3), np.array([[1.0], [2.0], [3.0]])) == pytest.approx(14 / 3)
    with pytest.raises(ShapeError, match="y_true has 2 samples, y_pred has 3"):
        loss.forward(np.zeros(2), np.ones((3, 1)))


def test_labels_that_the_function_itself_uses():
    def negative_log(y_true, y_pred):
        return -np.log(y_pred[np.arange(len(y_pred)), y_true[:, 0].astype(int)])

    labels = RNG.integers(0, 3, (24, 1))
    p = softmax(RNG.normal(size=(24, 3)))
    ours, theirs = nl.losses.get(negative_log), nl.losses.SparseCategoricalCrossentropy()
    assert ours.forward(labels, p) == pytest.approx(theirs.forward(labels[:, 0], p))
    there = np.arange(24), labels[:, 0]
    np.testing.assert_allclose(ours.backward()[there], -1 / p[there] / 24, rtol=1e-10)


def test_the_warning_names_the_cost_and_shows_the_derivative():
    loss = nl.losses.get(by_norm)
    loss.forward(Y, Y + 1)
    text = r"""loss 'by_norm': the function has no derivative. It is computed by central \
differences, which evaluates the function 4 times more in each training step. Faster, with the \
derivative:

    class MyLoss(nl.losses.Loss):
        def forward_samples(self, y_true, y_pred):
            self.cache.t, self.cache.p = y_true, y_pred
            return by_norm(y_true, y_pred)

        def backward_samples(self, dl):
            t, p = self.cache.t, self.cache.p
            return dl * ...  # dby_norm/dp, in the shape of p
""".replace("\\\n", "")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loss.backward()
        loss.backward()
    assert [str(w.message) for w in caught] == [text]
    whole_batch, layer = nl.losses.get(whole), nl.layers.Dense(3, activation=lambda z: z**3)
    whole_batch.forward(Y, Y + 1)
    with pytest.warns(UserWarning, match="evaluates the function 48 times more"):
        whole_batch.backward()
    y = layer.forward(X, training=True)
    with pytest.warns(UserWarning, match=r"(?s)activation 'lambda'.* 3 times.*y\[...\] = f\(x\)"):
        layer.backward(y)


def test_the_shown_classes_work_once_completed():
    class MyActivation(nl.activations.ActivationLayer):
        needs_input = True

        def forward(self, x, training=False, inplace=False):
            x, y = self.start_forward(x, training, inplace)
            y[...] = cube(x)
            return y

        def backward(self, dy):
            dy, dx = self.start_backward(dy)
            x = self.cache.x
            dx[...] = dy * 3 * x**2  # dcube/dx
            return dx

    class MyLoss(nl.losses.Loss):
        def forward_samples(self, y_true, y_pred):
            self.cache.t, self.cache.p = y_true, y_pred
            return mse(y_true, y_pred)

        def backward_samples(self, dl):
            t, p = self.cache.t, self.cache.p
            return dl * (p - t) * 2 / p.shape[-1]  # dmse/dp, in the shape of p

    models = [network(MyLoss(), MyActivation()), network(mse, cube)]
    for model in models:
        model.fit(X / 4, Y, epochs=3, batch_size=8, verbose=0)
    a, b = (m.parameters.values for m in models)
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("count", [64, 65])
def test_at_most_64_values_of_a_sample(count):
    target = np.zeros((2, count))
    for model in (network(mse, units=count), network("mse", lambda z: z, units=count)):
        if model.loss.name != "mse" or not isinstance(model.loss, FunctionLoss):
            model = nl.Sequential([nl.layers.Dense(count, activation=cube)], seed=0)
            model.compile("sgd", "mse")
        if count == 64:
            model.fit(X[:2], target, verbose=0)
            continue
        with pytest.raises(ShapeError, match=r"65 times for the 65 values .* at most 64 are acc"):
            model.fit(X[:2], target, verbose=0)
        assert np.isfinite(model.evaluate(X[:2], target, verbose=0)).all()


def test_samples_must_not_depend_on_each_other():
    loss = nl.losses.get(lambda t, p: np.mean(np.square(p - p.mean(axis=0) - t), axis=-1))
    loss.forward(Y, Y + X[:, :2])
    with pytest.raises(ConfigurationError, match=r"loss 'lambda': .* depends on other samples"):
        loss.backward()
    layer = nl.layers.Dense(3, activation=lambda z: z - z.mean(axis=0))
    y = layer.forward(X, training=True)
    with pytest.raises(ConfigurationError, match=r"activation 'lambda': .* depends on other sam"):
        layer.backward(y)


@pytest.mark.parametrize("function", [softmax, cube, np.tanh, np.abs, special.expit, np.cumsum])
@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3)])
def test_activations(function, shape):
    if function is np.cumsum:
        function = lambda z: np.cumsum(z, axis=-1)  # noqa: E731
    layer = nl.activations.get(function)
    assert type(layer) is FunctionActivation
    x = RNG.normal(size=shape)
    assert nl.check_gradients(layer, x).passed
    assert nl.check_gradients(nl.layers.Dense(3, activation=function), x).passed
    np.testing.assert_allclose(
        nl.layers.Activation(function).forward(x), function(x.astype(np.float32)), rtol=1e-6
    )


def test_what_is_refused():
    for wrong in (lambda z: z[:, :1], lambda z: z.sum()):
        with pytest.raises(ShapeError, match="must return an array of the shape of its argument"):
            nl.activations.get(wrong).forward(X)
    with pytest.raises(ConfigurationError, match="the function must take one array"):
        nl.activations.get(lambda: 0)
    for wrong in (lambda t: t, max):
        if wrong is not max:
            with pytest.raises(ConfigurationError, match="must take y_true and y_pred"):
                nl.losses.get(wrong)
    with pytest.raises(ShapeError, match=r"returned an array of the shape \(2,\) for 24 samples"):
        nl.losses.get(lambda t, p: np.mean(t - p, axis=0)).forward(Y, Y)

    def writes(t, p):
        p[...] = 0
        return mse(t, p)

    with pytest.raises(ValueError, match="read-only"):
        nl.losses.get(writes).forward(Y, Y)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(clone):
    model = network(mse, cube)
    model.fit(X, Y, verbose=0)
    twin = clone(model)
    for m in (model, twin):
        m.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.parameters.values, twin.parameters.values)
    nl.models.clone_model(model).predict(X)


def test_files_hold_the_names(tmp_path):
    model, path = network(mse, cube), tmp_path / "m.safetensors"
    model.fit(X, Y, verbose=0)
    model.save(path)
    again = nl.load_model(path, custom_objects={"mse": mse, "cube": cube})
    assert again.layers[0].activation.fn is cube
    for m in (model, again):
        m.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.parameters.values, again.parameters.values)
    with pytest.raises(FileError, match=r"'cube' is a function of the user; pass custom_objects"):
        nl.load_model(path, custom_objects={"mse": mse})
    with pytest.raises(FileError, match=r"a loss called 'mse'"):
        nl.load_model(path, custom_objects={"cube": cube})
    again = nl.models.model_from_json(model.to_json(), custom_objects={"cube": cube})
    assert again.layers[0].activation.fn is cube
