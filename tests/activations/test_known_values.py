"""Activations, held against Keras, and at the ends of the number range."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import activations
from netlayers.errors import ConfigurationError, ShapeError

X = [-3.0, -0.5, 0.0, 1.0, 4.0]
# keras.activations of Keras 3.15.1 at X, JAX backend, float64.
KERAS = {
    "linear": [-3.0, -0.5, 0.0, 1.0, 4.0],
    "relu": [0.0, 0.0, 0.0, 1.0, 4.0],
    "leaky_relu": [-0.6, -0.1, 0.0, 1.0, 4.0],
    "elu": [-0.950212932, -0.39346934, 0.0, 1.0, 4.0],
    "selu": [-1.670568729, -0.691758188, 0.0, 1.050700987, 4.202803949],
    "sigmoid": [0.047425873, 0.377540669, 0.5, 0.731058579, 0.98201379],
    "hard_sigmoid": [0.0, 0.416666667, 0.5, 0.666666667, 1.0],
    "tanh": [-0.995054722, -0.462117165, 0.0, 0.761594176, 0.999329209],
    "softplus": [0.048587352, 0.474076984, 0.693147181, 1.313261688, 4.018149928],
    "softsign": [-0.75, -0.333333333, 0.0, 0.5, 0.8],
    "softmax": [0.000844239, 0.010284931, 0.016956984, 0.046093863, 0.925819983],
    "log_softmax": [-7.077075466, -4.577075466, -4.077075466, -3.077075466, -0.077075466],
    "gelu": [-0.004049694, -0.154268769, 0.0, 0.841344746, 3.999873315],
    "silu": [-0.14227762, -0.188770334, 0.0, 0.731058579, 3.92805516],
    "mish": [-0.145647461, -0.220743775, 0.0, 0.865098388, 3.997412807],
    "exponential": [0.049787068, 0.60653066, 1.0, 2.718281828, 54.598150033],
    "celu": [-0.950212932, -0.39346934, 0.0, 1.0, 4.0],
    "hard_shrink": [-3.0, 0.0, 0.0, 1.0, 4.0],
    "hard_silu": [0.0, -0.208333333, 0.0, 0.666666667, 4.0],
    "hard_swish": [0.0, -0.208333333, 0.0, 0.666666667, 4.0],
    "hard_tanh": [-1.0, -0.5, 0.0, 1.0, 1.0],
    "log_sigmoid": [-3.048587352, -0.974076984, -0.693147181, -0.313261688, -0.018149928],
    "relu6": [0.0, 0.0, 0.0, 1.0, 4.0],
    "soft_shrink": [-2.5, 0.0, 0.0, 0.5, 3.5],
    "sparse_plus": [0.0, 0.0625, 0.25, 1.0, 4.0],
    "sparse_sigmoid": [0.0, 0.25, 0.5, 1.0, 1.0],
    "squareplus": [0.302775638, 0.780776406, 1.0, 1.618033989, 4.236067977],
    "swish": [-0.14227762, -0.188770334, 0.0, 0.731058579, 3.92805516],
    "tanh_shrink": [-2.004945246, -0.037882843, 0.0, 0.238405844, 3.0006707],
}
# The gradient of keras.activations by jax.grad at X, the same versions, float64.
KERAS_GRADIENTS = {
    "celu": [0.049787068, 0.60653066, 1.0, 1.0, 1.0],
    "hard_shrink": [1.0, 0.0, 0.0, 1.0, 1.0],
    "hard_silu": [0.0, 0.333333333, 0.5, 0.833333333, 1.0],
    "hard_tanh": [0.0, 1.0, 1.0, None, 0.0],  # None: a corner, see below
    "log_sigmoid": [0.952574127, 0.622459331, 0.5, 0.268941421, 0.01798621],
    "relu6": [0.0, 0.0, 0.0, 1.0, 1.0],
    "soft_shrink": [1.0, 0.0, 0.0, 1.0, 1.0],
    "sparse_plus": [0.0, 0.25, 0.5, 1.0, 1.0],
    "sparse_sigmoid": [0.0, 0.5, 0.5, None, 0.0],
    "squareplus": [0.083974853, 0.378732187, 0.5, 0.723606798, 0.947213595],
    "tanh_shrink": [0.990133963, 0.213552267, 0.0, 0.580025659, 0.998659055],
}


@pytest.mark.parametrize("name", KERAS)
def test_same_numbers_as_keras(name):
    y = getattr(activations, name)(np.array(X))
    np.testing.assert_allclose(y, KERAS[name], rtol=2e-7, atol=2e-9)
    np.testing.assert_allclose(getattr(activations, name)(X), KERAS[name], rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name", KERAS_GRADIENTS)
def test_same_gradients_as_keras(name):
    keras = np.array(KERAS_GRADIENTS[name], float)
    known = ~np.isnan(keras)
    np.testing.assert_allclose(slopes(name, X)[known], keras[known], rtol=1e-7, atol=2e-9)


def slopes(activation, points, dtype="float64"):
    layer = activations.get(activation) if isinstance(activation, str) else activation
    layer._set_dtype(np.dtype(dtype))
    y = layer.forward(np.array(points, dtype), training=True)
    return layer.backward(np.ones_like(y))


def test_options_as_in_keras():
    gelu = [-0.003637392, -0.15428599, 0.0, 0.841191991, 3.999929754]
    np.testing.assert_allclose(activations.gelu(X, True), gelu, atol=1e-7)
    # Keras's order of arguments: negative_slope, max_value, threshold.
    np.testing.assert_allclose(
        activations.relu(X, 0.5, 3.0, 0.75), [-1.875, -0.625, -0.375, 1.0, 3.0]
    )
    assert nl.layers.LeakyReLU().negative_slope == 0.3
    assert activations.get("leaky_relu").negative_slope == 0.2
    celu = [-0.498760624, -0.316060279, 0.0, 1.0, 4.0]
    np.testing.assert_allclose(activations.celu(X, 0.5), celu, atol=1e-7)
    np.testing.assert_array_equal(activations.hard_shrink(X, 1.5), [-3, 0, 0, 0, 4])
    np.testing.assert_array_equal(activations.soft_shrink(X, 1.5), [-1.5, 0, 0, 0, 2.5])
    squareplus = [0.08113883, 0.309016994, 0.5, 1.207106781, 4.061552813]
    np.testing.assert_allclose(activations.squareplus(X, 1.0), squareplus, rtol=1e-6)
    np.testing.assert_array_equal(activations.squareplus(X, b=0), [0, 0, 0, 1, 4])
    # Keras's order: threshold, default_value.
    np.testing.assert_array_equal(activations.threshold(X, 0.75, -2.0), [-2, -2, -2, 1, 4])
    named = activations.threshold(X, default_value=-2.0, threshold=0.75)
    np.testing.assert_array_equal(named, [-2, -2, -2, 1, 4])
    glu = [-2.193175736, -0.491006895, 0.0]
    np.testing.assert_allclose(activations.glu([*X, 2.0]), glu, rtol=1e-6)
    columns = np.array([*X, 2.0])[:, None]
    np.testing.assert_allclose(activations.glu(columns, 0)[:, 0], glu, rtol=1e-8)


# Where a slope has two values: the one documented. Those of jax.grad of Keras 3.15.1 and of PyTorch
# 2.13 are the same, except that Keras has other values for: hard_tanh 1, sparse_sigmoid 1/4
# (the means of two rules), leaky_relu 1.
CORNERS = {
    "relu": ([0], [0]),
    "relu6": ([0, 6], [0, 0]),
    "leaky_relu": ([0], [0.2]),
    "elu": ([0], [1]),
    "selu": ([0], [1.7580993408473766]),
    "celu": ([0], [1]),
    "hard_tanh": ([-1, 1], [0, 0]),
    "hard_sigmoid": ([-3, 3], [0, 0]),
    "hard_silu": ([-3, 3], [0, 1]),
    "sparse_sigmoid": ([-1, 1], [0, 0]),
    "sparse_plus": ([-1, 1], [0, 1]),
    "hard_shrink": ([-0.5, 0.5], [0, 0]),
    "soft_shrink": ([-0.5, 0.5], [0, 0]),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CORNERS)
def test_slopes_on_corners(name, dtype):
    points, expected = CORNERS[name]
    np.testing.assert_allclose(slopes(name, points, dtype), expected, rtol=1e-7)


@pytest.mark.parametrize(
    ("layer", "points", "expected"),
    [
        (nl.layers.ReLU(max_value=5.0), [0, 5], [0, 0]),
        (nl.layers.ReLU(negative_slope=0.25), [0], [0.25]),
        (nl.layers.ReLU(threshold=1.0), [1], [0]),
        (nl.layers.ReLU(5.0, 0.25, 1.0), [1, 5], [0.25, 0]),
        (nl.layers.ELU(alpha=0.5), [0], [0.5]),
        (nl.layers.CELU(alpha=0.5), [0], [1]),
        (nl.layers.Threshold(0.75, -2.0), [0.75, 0.8], [0, 1]),
        (nl.layers.Squareplus(b=0), [-2, 0, 3], [0, 0, 1]),
    ],
    ids=repr,
)
def test_slopes_on_corners_with_options(layer, points, expected):
    np.testing.assert_allclose(slopes(layer, points), expected, rtol=1e-12)


def simplex_projection(z):
    """The nearest point of the simplex, by halving an interval that holds the threshold."""
    low, high = z.max() - 1, z.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(z - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(z - high, 0)


def test_sparsemax_is_the_projection_on_the_simplex():
    # By hand: all of [1, 0.9] is the support, the threshold (1.9 - 1) / 2; of [2, 0.5, 1.5] the
    # first and the last are, the threshold is (3.5 - 1) / 2. Keras 3.15.1 gives [0.05, 0] and
    # zeros, which is an error that it has mended since (its pull request 23469).
    np.testing.assert_allclose(activations.sparsemax(np.array([1.0, 0.9])), [0.55, 0.45])
    np.testing.assert_allclose(activations.sparsemax(np.array([2.0, 0.5, 1.5])), [0.75, 0, 0.25])
    rng = np.random.default_rng(0)
    for scale in (0.01, 0.3, 3.0):
        x = rng.normal(size=(20, 9)) * scale
        expected = np.array([simplex_projection(row) for row in x])
        np.testing.assert_allclose(activations.sparsemax(x), expected, atol=1e-14)
        np.testing.assert_allclose(activations.sparsemax(x.T, 0), expected.T, atol=1e-14)
    wide = rng.normal(size=(2, 5000)).astype("float32") / 1000  # thousands of values share the 1
    np.testing.assert_allclose(activations.sparsemax(wide).sum(axis=1), 1, rtol=2e-4)


def test_sparsemax_at_the_end_of_the_number_range():
    huge = np.array([1.7e308, 0.0, 0.0, 0.0])  # three depths of this size have no finite sum
    np.testing.assert_array_equal(activations.sparsemax(huge), [1, 0, 0, 0])
    masked = np.array([0.25, -np.inf, 0.0, -np.inf])
    np.testing.assert_array_equal(activations.sparsemax(masked), [0.625, 0, 0.375, 0])


def test_sparsemax_of_two_values_is_sparse_sigmoid():
    t = np.linspace(-2, 2, 41)
    pairs = np.stack([t, np.zeros_like(t)], axis=1)
    np.testing.assert_allclose(
        activations.sparsemax(pairs)[:, 0], activations.sparse_sigmoid(t), atol=1e-15
    )


GROWING = {"linear", "relu", "leaky_relu", "elu", "selu", "celu", "softplus", "sparse_plus"}
GROWING |= {"gelu", "silu", "hard_silu", "mish"}
VANISHING = {"relu", "relu6", "sigmoid", "hard_sigmoid", "sparse_sigmoid", "softplus"}
VANISHING |= {"sparse_plus", "silu", "hard_silu", "gelu", "mish"}
LIMITS = {"tanh": [-1, 1], "hard_tanh": [-1, 1], "hard_sigmoid": [0, 1], "relu6": [0, 6]}
LIMITS |= {"sparse_sigmoid": [0, 1], "sparsemax": [0, 1]}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
@pytest.mark.parametrize("name", sorted({*KERAS, "sparsemax"} - {"exponential"}))
def test_finite_for_large_inputs_of_either_sign(name, size, dtype):
    layer = activations.get(name)
    layer._set_dtype(np.dtype(dtype))
    x = np.array([[-size, size, 0.0]], dtype)
    y = layer.forward(x, training=True).copy()
    dx = layer.backward(np.ones_like(y))
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
    if name in GROWING:
        assert y[0, 1] >= size * 0.999
        assert dx[0, 1] == pytest.approx(1.0507009873554805 if name == "selu" else 1)
    if name in VANISHING:
        assert y[0, 0] == pytest.approx(0, abs=1e-20)
        assert dx[0, 0] == pytest.approx(0, abs=1e-20)
    if name in LIMITS:
        np.testing.assert_array_equal(y[0, :2], LIMITS[name])
        np.testing.assert_array_equal(dx[0, :2], 0)
    if name in ("log_sigmoid", "hard_shrink", "soft_shrink", "tanh_shrink"):
        assert y[0, 0] == pytest.approx(-size, rel=0.011)
        assert dx[0, 0] == 1
    if name == "squareplus":  # b / (4 |x|) below 0, where the plain formula gives 0
        np.testing.assert_allclose(y[0, :2], [1 / size, size + 1 / size], rtol=2e-4)
        np.testing.assert_allclose(dx[0, 0], 1 / size**2, rtol=4e-4, atol=1e-44)
        np.testing.assert_allclose(dx[0, 1], 1 - 1 / size**2, rtol=2e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_options_for_large_inputs_of_either_sign(size, dtype):
    def check(layer, y, dx):
        layer._set_dtype(np.dtype(dtype))
        got = layer.forward(np.array([[-size, size]], dtype), training=True)
        np.testing.assert_allclose(got, np.array([y], dtype), rtol=1e-6)
        np.testing.assert_allclose(layer.backward(np.ones_like(got)), [dx], rtol=1e-6)

    check(nl.layers.CELU(alpha=1e-10), [-1e-10, size], [0, 1])  # 1e30 / 1e-10 overflows in float32
    check(nl.layers.CELU(alpha=3.0), [-3, size], [0, 1])
    check(nl.layers.Squareplus(b=0.0), [0, size], [0, 1])
    check(nl.layers.Threshold(0.5, -2.0), [-2, size], [0, 1])
    check(nl.layers.ReLU(5.0, 0.25), [-size / 4, 5], [0.25, 0])
    check(nl.layers.GLU(), [-size], [1, 0])  # a = -size, b = size


def test_glu_where_its_gate_is_shut():
    layer = nl.layers.GLU(dtype="float32")
    y = layer.forward(np.array([[1e30, 1e30, -1e30, -1e4]]), training=True)
    np.testing.assert_array_equal(y, 0)
    np.testing.assert_array_equal(layer.backward(np.ones_like(y)), 0)


@pytest.mark.parametrize("name", sorted({*KERAS, "sparsemax"}))
def test_nan_is_passed_on(name):
    layer = activations.get(name)
    y = layer.forward(np.full((1, 3), np.nan, "float32"), training=True)
    assert np.isnan(y).all()
    layer.backward(np.ones_like(y))  # without a warning
    assert np.isnan(activations.threshold([np.nan], 0, 0)).all()


def test_shrinkages_and_threshold_take_infinite_values():
    ends = np.array([-np.inf, np.inf])
    np.testing.assert_array_equal(activations.threshold(ends, 0.5, -2.0), [-2, np.inf])
    for name in ("hard_shrink", "soft_shrink", "tanh_shrink"):
        np.testing.assert_array_equal(getattr(activations, name)(ends), ends)


def test_log_sigmoid_is_exact_in_its_tail():
    y = activations.log_sigmoid(np.array([80.0], np.float32))
    np.testing.assert_allclose(y, -np.exp(np.float64(-80)), rtol=1e-5)
    np.testing.assert_allclose(slopes("log_sigmoid", [80.0]), np.exp(-80), rtol=1e-12)


def test_glu_halves_what_a_dense_layer_gives():
    dense = nl.layers.Dense(6, activation="glu")
    model = nl.Sequential([nl.layers.Input((4,)), dense, nl.layers.Dense(2)], seed=0)
    assert dense.kernel.shape == (4, 6)
    assert dense.output_shape == model.layers[-1].input_shape == (None, 3)
    x = np.random.default_rng(0).normal(size=(5, 4))
    assert nl.check_gradients(model, x).passed
    z = x.astype("float32") @ dense.kernel
    expected = z[:, :3] * activations.sigmoid(z[:, 3:])
    np.testing.assert_allclose(dense.forward(x), expected, rtol=1e-5, atol=1e-6)
    model.compile("adam", "mse")
    before = model.evaluate(x, np.ones((5, 2)), verbose=0)
    model.fit(x, np.ones((5, 2)), epochs=30, verbose=0)
    assert np.less(model.evaluate(x, np.ones((5, 2)), verbose=0), before).all()


def test_glu_as_the_last_activation_before_a_crossentropy():
    layers = [nl.layers.Dense(6, activation="glu"), nl.layers.Softmax()]
    model = nl.Sequential(layers, seed=0)
    x = np.random.default_rng(0).normal(size=(5, 4))
    y = np.array([0, 1, 2, 1, 0])
    report = nl.check_gradients(model, x, y, loss="sparse_categorical_crossentropy")
    assert report.passed, f"\n{report}"
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    assert model.output_shape == (None, 3)
    last = nl.Sequential([nl.layers.Dense(6, activation="glu")], seed=0)
    last.compile("adam", nl.losses.SparseCategoricalCrossentropy(from_logits=True))
    last.fit(x, y, verbose=0)  # the logits of the loss are the layer's outputs, not its sums
    assert last.predict(x).shape == (5, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nl.layers.Dense(5, activation="glu"), "layer 'dense'.*even length"),
        (lambda: nl.layers.Activation("glu"), "layer 'activation'.*even length"),
        (lambda: nl.layers.GLU(name="gate"), "layer 'gate'.*even length"),
        (lambda: nl.layers.GLU(axis=0), "is the batch"),
        (lambda: nl.layers.GLU(axis=2), "axis=2 does not exist"),
    ],
)
def test_shapes_that_glu_can_not_take(make, message):
    with pytest.raises(ShapeError, match=message):
        nl.Sequential([nl.layers.Input((5,)), make()])
    with pytest.raises(ShapeError, match="even length"):
        activations.glu([1.0, 2.0, 3.0])


def test_an_activation_that_needs_arguments_says_so():
    for identifier in ("threshold", "Threshold", activations.threshold):
        with pytest.raises(ConfigurationError, match="default_value"):
            nl.layers.Dense(3, activation=identifier)
    dense = nl.layers.Dense(3, activation=nl.layers.Threshold(0.5, 0.0))
    assert repr(nl.layers.Dense.from_config(dense.get_config())) == repr(dense)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nl.layers.CELU(alpha=0),
        lambda: nl.layers.Squareplus(b=-1),
        lambda: nl.layers.HardShrink(threshold=-0.5),
        lambda: nl.layers.SoftShrink(threshold=np.nan),
        lambda: nl.layers.Threshold("0", 0.0),
        lambda: nl.layers.Sparsemax(axis=0.5),
    ],
)
def test_arguments_are_checked(make):
    with pytest.raises(ConfigurationError, match="must be"):
        make()


def test_sigmoid_is_exact_in_its_tail():
    y = activations.sigmoid(np.array([-80.0], np.float32))
    np.testing.assert_allclose(y, np.exp(np.float64(-80)), rtol=1e-5)


def test_one_object_for_two_layers_is_two_activations():
    tanh = nl.layers.Tanh()
    layers = [nl.layers.Dense(3, activation=tanh), nl.layers.Dense(3, activation=tanh)]
    model = nl.Sequential(layers, seed=0)
    assert nl.check_gradients(model, np.random.default_rng(0).normal(size=(4, 3))).passed


def test_unknown_names_and_functions_are_explained():
    with pytest.raises(ConfigurationError, match=r"'rellu'.*Did you mean 'relu'"):
        activations.get("rellu")
    with pytest.raises(ConfigurationError, match="is a layer"):
        nl.layers.Dense(3, activation=nl.layers.Dense(3))
