"""Normalization layers, held against Keras, float64 formulas and awkward data."""

import copy
import json
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError, ShapeError
from netlayers.kernels.moments import centre, sums
from netlayers.layers import (
    BatchNormalization,
    Dense,
    GroupNormalization,
    Input,
    LayerNormalization,
    Normalization,
    RMSNormalization,
    UnitNormalization,
)


def numbers(shape, start):
    return np.cos(np.arange(start, start + np.prod(shape)) ** 2.0).reshape(shape)


# Layer, arguments, shape; then, flat, from PyTorch 2.13 in float64: output, dL/dx, and the
# gradients of the weights. (Keras 3.15.1 on JAX gives the same but for the digits that it loses:
# it computes these in float32.) From Keras: the moving statistics after the step.
REFERENCE = [
    (
        "BatchNormalization",
        {},
        (4, 3),
        [
            1.314536622,
            -1.808578709,
            -2.462928877,
            -2.590760891,
            3.353109977,
            -0.01377449819,
            0.689595488,
            1.472305031,
            2.815287394,
            2.154057702,
            0.0899076294,
            3.110691471,
        ],
        [
            -0.9436340677,
            -0.4360266023,
            2.2284523,
            0.7484085688,
            -1.347910761,
            -3.941923686,
            -1.881060438,
            2.573340599,
            -0.3538240206,
            2.076285937,
            -0.7894032357,
            2.067295407,
        ],
        [[-0.4186784436, -0.8164007238, 0.02831644105], [-0.4388360836, 0.9748374337, 1.11538626]],
        [[2.255783081, 2.340397358, 1.438344836], [2.343455553, 1.44044745, 2.352725983]],
    ),
    (
        "BatchNormalization",
        {"axis": 1, "momentum": 0.8, "epsilon": 0.01},
        (2, 3, 2),
        [
            1.877466002,
            -2.607043661,
            -1.051731068,
            -1.151387161,
            3.347620941,
            -1.534097386,
            0.9771063452,
            1.319900236,
            2.563226988,
            2.746635169,
            -1.188196525,
            2.823948459,
        ],
        [
            -1.321931037,
            0.1309052333,
            0.7064713217,
            -0.6587204472,
            -3.079527199,
            -2.343241724,
            -2.92980969,
            4.120835493,
            -0.4794880909,
            0.4317372163,
            2.026466875,
            3.396302048,
        ],
        [[-0.8386290925, -0.5350663941, 1.286080301], [-0.00146852597, 2.087875055, -0.4350189193]],
        [[1.850304246, 1.878365755, 1.245355248], [1.933817148, 1.315114379, 1.949403405]],
    ),
    (
        "BatchNormalization",
        {"trainable": False},
        (3, 2),
        [-1.641904075, -3.957885585, -3.341912798, -4.435141137, -1.113781164, -3.132653421],
        [-0.6152599695, 0.6023005772, 1.1491254, 0.5506062561, -0.5432028598, -1.545328209],
        [],
        [],
    ),
    (
        "LayerNormalization",
        {},
        (2, 4),
        [
            3.44959468,
            0.2862930697,
            -0.6888896835,
            -1.838419208,
            3.099368474,
            -1.664714421,
            0.3602471655,
            -0.03135335214,
        ],
        [
            0.02952339641,
            -0.3939383009,
            1.395641424,
            -1.03122652,
            -2.146251076,
            -1.936658315,
            -3.172596889,
            7.25550628,
        ],
        [
            [-1.58941875, 1.170878047, -0.4813413582, -0.2584858012],
            [-0.9890717954, -0.6007166493, 0.1325613145, 1.339436464],
        ],
        [],
    ),
    (
        "LayerNormalization",
        {"axis": [1, 2], "epsilon": 0.01},
        (2, 3, 2),
        [
            2.151995198,
            -0.4120386322,
            -1.35667511,
            -2.498959853,
            3.170062246,
            0.9851238328,
            -0.751222008,
            0.06268811374,
            2.474386132,
            2.194641526,
            -1.479985407,
            3.109232637,
        ],
        [
            0.006645962173,
            0.2150414877,
            1.803098519,
            -0.166270811,
            1.143935433,
            -3.002450592,
            -5.245009804,
            3.870624471,
            -2.28421937,
            0.06475691531,
            1.134580928,
            2.459266861,
        ],
        [
            [0.0251875807, -0.6142140185, -0.8346072642, 0.1910196536, -0.8419378754, 0.8452936108],
            [-1.373834714, 1.372366188, 1.152876425, 0.9349986306, -0.3975287545, -0.0374901648],
        ],
        [],
    ),
    (
        "LayerNormalization",
        {"axis": 1, "scale": False},
        (2, 3, 2),
        [
            2.211190521,
            1.585916251,
            0.5155401287,
            0.793884917,
            3.242405107,
            3.589334588,
            1.676149338,
            0.4004594996,
            3.168735261,
            2.572401103,
            1.124251157,
            2.996275154,
        ],
        [
            -0.3041025122,
            0.9909814268,
            0.07368446793,
            -0.6099647347,
            0.2304180442,
            -0.3810166921,
            -1.868223629,
            0.02764747193,
            0.7931696254,
            -0.8245203538,
            1.075054004,
            0.7968728819,
        ],
        [[-0.00146852597, 2.087875055, -0.4350189193]],
        [],
    ),
    (
        "GroupNormalization",
        {"groups": 2},
        (2, 4),
        [
            2.189928829,
            -1.112522527,
            2.211478919,
            -1.448569554,
            2.189581522,
            -1.112157616,
            -1.008956466,
            1.892995926,
        ],
        [
            -0.003912348917,
            0.003912348917,
            11.61098714,
            -11.61098714,
            0.002917257392,
            -0.002917257392,
            -12.46883312,
            12.46883312,
        ],
        [
            [-0.9875975762, 0.5996857338, 1.278836635, 0.6047896283],
            [-0.9890717954, -0.6007166493, 0.1325613145, 1.339436464],
        ],
        [],
    ),
    (
        "GroupNormalization",
        {"groups": 2, "epsilon": 0.01},
        (2, 2, 4),
        [
            1.390920968,
            -1.725734055,
            -1.301993994,
            -2.463724475,
            2.667686222,
            -0.1617776549,
            2.948175948,
            2.447804002,
            1.03436567,
            2.159383028,
            -1.102141091,
            3.49026755,
            1.20589873,
            -2.136387575,
            1.328741806,
            -2.033212137,
        ],
        [
            0.01217415693,
            1.447761486,
            1.274354245,
            -0.9531174561,
            0.6370323344,
            -2.096967977,
            -3.50945058,
            3.188213791,
            -2.411162024,
            -0.1422783283,
            -3.108618547,
            -0.403097017,
            3.695495708,
            -1.142055356,
            1.117157256,
            2.394558308,
        ],
        [
            [-0.369968949, 1.061106127, -1.563533673, 1.285163693],
            [0.1700585575, -0.4407198025, 1.193185058, 3.261982709],
        ],
        [],
    ),
    (
        "GroupNormalization",
        {"groups": -1, "axis": 1, "center": False},
        (2, 2, 3),
        [
            2.507854515,
            -0.8877760413,
            -1.620078473,
            -2.192551099,
            2.42097149,
            -0.2284203915,
            -1.631478286,
            -0.8441641642,
            2.47564245,
            1.314820822,
            -2.668242373,
            1.353421551,
        ],
        [
            0.09157367743,
            -0.5476587812,
            0.4560851038,
            0.8904799371,
            0.6578265199,
            -1.548306457,
            -6.806227595,
            8.362212743,
            -1.555985148,
            -0.776346623,
            -0.003424562096,
            0.7797711851,
        ],
        [[-1.262045948, 0.1089049291]],
        [],
    ),
    (
        "RMSNormalization",
        {},
        (2, 3),
        [1.353754212, -1.720746673, -2.886497311, -2.157707458, 2.346480165, -0.3645489824],
        [0.1496527168, -0.7632667387, 0.636319861, 0.04742012426, -0.3290435348, -2.903627447],
        [[-0.8152418253, -0.9241922721, -1.086264976]],
        [],
    ),
    (
        "UnitNormalization",
        {},
        (2, 3),
        [0.4340743928, -0.5251318656, -0.7319944981, -0.6918577783, 0.7160910422, -0.09244692485],
        [-0.02179499134, -0.1759424346, 0.1132963861, 0.01159131114, -0.08478336388, -0.743476825],
        [],
        [],
    ),
    (
        "UnitNormalization",
        {"axis": [1, 2]},
        (1, 3, 2),
        [0.290245925, -0.351131941, -0.4894516325, -0.5144467434, 0.5324659434, -0.06874103453],
        [-0.1064501021, -0.006494627718, 0.2306911235, -0.123066158, 0.07325497796, -0.5704252093],
        [],
        [],
    ),
]


@pytest.mark.parametrize(("name", "kwargs", "shape", "y", "dx", "gradients", "moving"), REFERENCE)
def test_same_numbers_as_pytorch_and_keras(name, kwargs, shape, y, dx, gradients, moving):
    layer = getattr(nl.layers, name)(**kwargs, dtype="float64")
    layer.build((None, *shape[1:]))
    layer.set_weights(
        [numbers(w.shape, 7 + i) + (0 if i == 1 else 1.5) for i, w in enumerate(layer.weights)]
    )
    before = layer.get_weights()
    got = layer.forward(numbers(shape, 1), training=True)
    np.testing.assert_allclose(got.ravel(), y, rtol=1e-8, atol=1e-9)
    got = layer.backward(numbers(shape, 20))
    np.testing.assert_allclose(got.ravel(), dx, rtol=1e-8, atol=1e-9)
    assert len(layer.gradients) == len(gradients)
    for one, other in zip(layer.gradients, gradients, strict=True):
        np.testing.assert_allclose(one.ravel(), other, rtol=1e-8, atol=1e-9)
    expected = moving or before[len(gradients) :]
    for one, other in zip(layer.non_trainable_weights, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_weights_are_in_the_order_of_keras():
    layer = BatchNormalization()
    layer.build((None, 3))
    names = ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [p.name for p in layer.declared_parameters] == names
    for name, w in zip(names, layer.weights, strict=True):
        assert getattr(layer, name) is w
    assert len(layer.trainable_weights) == len(layer.non_trainable_weights) == 2


# Digits ---------------------------------------------------------------------------------------

EACH = [
    pytest.param(BatchNormalization, {}, (0,), id="batch"),
    pytest.param(LayerNormalization, {}, (1,), id="layer"),
    pytest.param(GroupNormalization, {"groups": 1}, (1,), id="group"),
]


def exact(x, dy, axis, epsilon=1e-3):
    """Output and dL/dx in float64, by the formulas as they stand in the papers."""
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    centred = x - x.mean(axis, keepdims=True)
    centred -= centred.mean(axis, keepdims=True)
    inverse = 1 / np.sqrt(np.mean(centred**2, axis, keepdims=True) + epsilon)
    y = centred * inverse
    dx = inverse * (dy - dy.mean(axis, keepdims=True) - y * (dy * y).mean(axis, keepdims=True))
    return y, dx, centred, inverse


@pytest.mark.parametrize(("cls", "kwargs", "axis"), EACH)
@pytest.mark.parametrize("shape", [(128, 300), (3000, 7), (7, 20000)], ids=str)
@pytest.mark.parametrize("offset", [0, 10, 1e4, 1e6])
def test_float32_keeps_its_digits_at_a_large_offset(cls, kwargs, axis, shape, offset):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=shape) + offset).astype(np.float32)
    dy = rng.normal(size=shape).astype(np.float32)
    y, dx, _, _ = exact(x, dy, axis)
    layer = cls(**kwargs)
    np.testing.assert_allclose(layer.forward(x, training=True), y, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(layer.backward(dy), dx, rtol=2e-6, atol=4e-6)


def test_moments_of_a_hundred_thousand_rows():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(100_000, 2)) * [1, 1e-2] + [100, 3]).astype(np.float32)
    mean, variance = centre(x, np.empty_like(x), 0, 1e-3)
    np.testing.assert_allclose(mean, x.mean(0, dtype=np.float64), rtol=1e-9)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(0), rtol=2e-7)
    np.testing.assert_allclose(sums(x, 1, 0), x.sum(0, dtype=np.float64), rtol=1e-7)


@pytest.mark.parametrize(("cls", "kwargs", "axis"), EACH)
@pytest.mark.parametrize("size", [1e-30, 1e-4, 1e4, 1e20, 1e30])
def test_numbers_of_every_size(cls, kwargs, axis, size):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(6, 5)) * size).astype(np.float32)
    dy = rng.normal(size=x.shape).astype(np.float32)
    y, dx, _, inverse = exact(x, dy, axis)
    layer = cls(**kwargs)
    np.testing.assert_allclose(layer.forward(x, training=True), y, rtol=1e-5, atol=1e-6)
    got = layer.backward(dy)
    np.testing.assert_allclose(got / inverse, dx / inverse, rtol=1e-5, atol=2e-6)
    assert all(np.isfinite(w).all() for w in layer.weights)


@pytest.mark.parametrize("size", [1e-30, 1e-4, 1e4, 1e20, 1e30])
def test_rms_and_unit_of_numbers_of_every_size(size):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(6, 5)) * size).astype(np.float32)
    wide = x.astype(np.float64)
    square = (wide**2).sum(1, keepdims=True)
    y = RMSNormalization().forward(x, training=True)
    np.testing.assert_allclose(y, wide / np.sqrt(square / 5 + 1e-6), rtol=1e-6)
    y = UnitNormalization().forward(x, training=True)
    np.testing.assert_allclose(y, wide / np.maximum(np.sqrt(square), 1e-12), rtol=1e-6)


def test_below_its_shortest_length_unit_normalization_is_a_plain_factor():
    layer = UnitNormalization(dtype="float64")
    y = layer.forward([[3e-13, 4e-13], [0.0, 0.0], [3e-12, 4e-12]], training=True)
    np.testing.assert_allclose(y, [[0.3, 0.4], [0, 0], [0.6, 0.8]], rtol=1e-12)
    dx = layer.backward([[1.0, 2.0], [1.0, 2.0], [0.8, -0.6]])
    np.testing.assert_allclose(dx, [[1e12, 2e12], [1e12, 2e12], [1.6e11, -1.2e11]], rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e4, 1e20, -1e30])
@pytest.mark.parametrize("n", [1, 3, 100, 1000])
@pytest.mark.parametrize(("cls", "kwargs", "axis"), EACH)
def test_where_all_numbers_are_equal_the_output_is_beta(cls, kwargs, axis, n, value):
    shape = (n, 4) if axis == (0,) else (4, n)
    layer = cls(**kwargs, beta_initializer="ones")
    x = np.full(shape, value, np.float32)
    np.testing.assert_allclose(layer.forward(x, training=True), 1, atol=1e-6)
    dx = layer.backward(np.random.default_rng(0).normal(size=shape))
    np.testing.assert_allclose(dx.sum(axis), 0, atol=1e-3)
    assert np.abs(layer.d_gamma).max() < 1e-4


def test_a_batch_of_one():
    layer = BatchNormalization(momentum=0.9)
    layer.build((None, 3))
    layer.beta[...] = [1, 2, 3]
    y = layer.forward([[5.0, -7.0, 1e10]], training=True)
    assert y.tolist() == [[1, 2, 3]]
    assert layer.backward([[3.0, 1.0, 2.0]]).tolist() == [[0, 0, 0]]
    assert layer.d_gamma.tolist() == [0, 0, 0]
    assert layer.d_beta.tolist() == [3, 1, 2]
    np.testing.assert_allclose(layer.moving_mean, [0.5, -0.7, 1e9], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, 0.9, rtol=1e-6)


def test_a_batch_of_none():
    layer = BatchNormalization()
    layer.build((None, 3))
    assert layer.forward(np.ones((0, 3))).shape == (0, 3)
    with pytest.raises(DataError, match=r"'batch_normalization'.*no samples"):
        layer.forward(np.ones((0, 3)), training=True)
    for other in (LayerNormalization(), GroupNormalization(1), RMSNormalization()):
        assert other.forward(np.ones((0, 3)), training=True).shape == (0, 3)
        assert other.backward(np.ones((0, 3))).shape == (0, 3)


# Batch normalization --------------------------------------------------------------------------


def test_moving_statistics_approach_those_of_the_data():
    rng = np.random.default_rng(0)
    layer = BatchNormalization(momentum=0.9)
    for _ in range(200):
        layer.forward(rng.normal([1, -2], [0.5, 3], (500, 2)), training=True)
    np.testing.assert_allclose(layer.moving_mean, [1, -2], atol=0.1)
    np.testing.assert_allclose(np.sqrt(layer.moving_variance), [0.5, 3], rtol=0.05)
    kept = layer.get_weights()
    y = layer.forward([[1.0, 1.0]])
    np.testing.assert_allclose(y, [[0, 1]], atol=0.1)
    for one, other in zip(layer.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_variance_beyond_float32_is_kept_as_its_largest_number():
    layer = BatchNormalization(momentum=0.5)
    layer.forward([[1e30], [-1e30]], training=True)
    assert layer.moving_variance[0] == np.finfo(np.float32).max
    for _ in range(140):  # and it comes down again
        layer.forward([[1.0], [-1.0]], training=True)
    np.testing.assert_allclose(layer.moving_variance, 1, rtol=1e-3)


def test_frozen_it_uses_the_moving_statistics():
    layer = BatchNormalization()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 3)).astype(np.float32)
    layer.build((None, 3))
    layer.set_weights([[2, 3, 4], [1, 1, 1], [0.5, 0, -0.5], [1, 4, 9]])
    layer.trainable = False
    kept = layer.get_weights()
    np.testing.assert_array_equal(layer.forward(x, training=True), layer.forward(x))
    dx = layer.backward(np.ones_like(x))
    np.testing.assert_allclose(dx, np.tile([2, 1.5, 4 / 3], (5, 1)), rtol=1e-3)
    for one, other in zip(layer.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not layer.d_gamma.any()
    layer.trainable = True
    y = layer.forward(x, training=True)
    np.testing.assert_allclose(y.mean(0), 1, atol=1e-6)
    assert (layer.moving_mean != kept[2]).all()


def test_gradients_through_a_model():
    norms = [BatchNormalization(), LayerNormalization(), GroupNormalization(2), RMSNormalization()]
    layers = [Normalization(mean=1.0, variance=2.0)]
    for norm in norms:
        layers += [Dense(4), norm, nl.layers.Activation("tanh")]
    model = nl.Sequential([*layers, Dense(2, activation="softmax")], seed=0)
    x = np.random.default_rng(0).normal(1, 2, (6, 3))
    report = nl.check_gradients(
        model, x, np.array([0, 1, 1, 0, 1, 0]), "sparse_categorical_crossentropy"
    )
    assert report.passed, f"\n{report}"


def test_frozen_between_two_fits():
    model = nl.Sequential([Dense(4), BatchNormalization(), Dense(1)], seed=0)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 3)) + 5, rng.normal(size=(64, 1))
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0)
    norm = model.layers[1]
    assert norm.moving_mean.any()
    norm.trainable = False
    kept = norm.get_weights()
    first = model.layers[0].kernel.copy()
    model.compile("adam", "mse")
    model.fit(x, y, epochs=2, verbose=0)
    for one, other in zip(norm.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (model.layers[0].kernel != first).all()


def test_channels_first_is_channels_last_with_the_axes_moved():
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 4, 3, 2, 2)), rng.normal(size=(2, 4, 3, 2, 2))
    for make in (
        BatchNormalization,
        lambda axis, **kw: GroupNormalization(2, axis, **kw),
        LayerNormalization,
        RMSNormalization,
        UnitNormalization,
    ):
        first, last = make(axis=1, dtype="float64"), make(axis=-1, dtype="float64")
        one = first.forward(x, training=True)
        other = last.forward(np.moveaxis(x, 1, -1), training=True)
        np.testing.assert_allclose(np.moveaxis(one, 1, -1), other, rtol=1e-12)
        one, other = first.backward(dy), last.backward(np.moveaxis(dy, 1, -1))
        np.testing.assert_allclose(np.moveaxis(one, 1, -1), other, rtol=1e-12, atol=1e-14)
        for a, b in zip(
            first.weights + first.gradients, last.weights + last.gradients, strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_other_axes_may_have_any_length():
    for layer in (BatchNormalization(), LayerNormalization(), GroupNormalization(3)):
        layer.forward(np.ones((2, 5, 3)), training=True)
        assert layer.forward(np.ones((4, 7, 3)), training=True).shape == (4, 7, 3)
        for wrong in ((4, 7, 2), (4, 3), (4, 7, 2, 3)):
            with pytest.raises(ShapeError, match="expected an input of shape"):
                layer.forward(np.ones(wrong))


def test_fifty_layers_train_only_with_batch_normalization():
    """The weights shrink the signal from layer to layer, which the normalization undoes."""
    x = np.random.default_rng(0).normal(size=(512, 8))
    y = (x[:, :1] > 0).astype(np.float32)

    def accuracy(normalized):
        small = nl.initializers.RandomNormal(stddev=0.1)
        layers = []
        for _ in range(50):
            layers.append(Dense(32, kernel_initializer=small))
            layers += [BatchNormalization()] if normalized else []
            layers.append(nl.layers.Activation("tanh"))
        model = nl.Sequential([*layers, Dense(1, activation="sigmoid")], seed=0)
        model.compile(nl.optimizers.Adam(0.003), "binary_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, batch_size=64, epochs=20, verbose=0)
        return np.mean(history.history["accuracy"][-5:])

    assert accuracy(normalized=False) < 0.55
    assert accuracy(normalized=True) > 0.7  # with other seeds and other roundings 0.77 to 0.94


# Arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: BatchNormalization(axis=[1, 2]), "axis"),
        (lambda: BatchNormalization(momentum=1.5), "momentum"),
        (lambda: BatchNormalization(epsilon=0), "epsilon"),
        (lambda: BatchNormalization(center="no"), "center"),
        (lambda: LayerNormalization(axis=[]), "axis"),
        (lambda: LayerNormalization(axis="last"), "axis"),
        (lambda: LayerNormalization(scale=1), "scale"),
        (lambda: RMSNormalization(epsilon=-1), "epsilon"),
        (lambda: UnitNormalization(axis=1.5), "axis"),
        (lambda: GroupNormalization(groups=0), "groups"),
        (lambda: GroupNormalization(groups=-2), "groups"),
        (lambda: Normalization(axis="last"), "axis"),
        (lambda: Normalization(mean=1.0), "variance"),
        (lambda: Normalization(mean=[1.0, 2.0], variance=1.0), "variance"),
        (lambda: Normalization(mean=1.0, variance=-1.0), "variance"),
        (lambda: Normalization(invert=None), "invert"),
    ],
)
def test_bad_arguments_are_named(make, argument):
    with pytest.raises(ConfigurationError, match=f"Normalization: .*{argument}"):
        make()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (BatchNormalization(axis=2), (4, 3)),
        (BatchNormalization(axis=0), (4, 3)),
        (BatchNormalization(axis=-2), (4, 3)),
        (LayerNormalization(axis=[1, -1]), (4, 3)),
        (LayerNormalization(axis=[0, 1]), (4, 3)),
        (LayerNormalization(axis=1), (4, None, 3)),
        (RMSNormalization(axis=5), (4, 3)),
        (UnitNormalization(axis=-3), (4, 3)),
        (GroupNormalization(axis=1), (4, None, 3)),
        (Normalization(axis=0), (4, 3)),
        (Normalization(axis=[1, 1]), (4, 3)),
        (Normalization(axis=[1, 3]), (4, 3)),
    ],
    ids=repr,
)
def test_axes_that_do_not_exist(layer, shape):
    with pytest.raises(ShapeError, match=f"layer {layer.name!r}.*axis="):
        layer.build((None, *shape[1:]))


def test_groups_that_do_not_fit():
    with pytest.raises(ShapeError, match="3 channels can not be cut into 2 groups"):
        GroupNormalization(2).build((None, 3))
    with pytest.raises(ShapeError, match="3 channels can not be cut into 32 groups"):
        GroupNormalization().build((None, 3))
    with pytest.raises(ShapeError, match="does not fit"):
        Normalization(mean=[1.0, 2.0], variance=[1.0, 2.0]).build((None, 3))


# Normalization --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "data", "shape", "expected"),
    [  # Keras 3.15.1 on JAX, float64
        ({}, (3, 2), (2, 2), [0.525786538208, -0.760021775503, -1.32016888084, -1.30705082219]),
        (
            {"axis": [1, 2], "invert": True},
            (3, 2, 2),
            (1, 2, 2),
            [0.055419929124, -0.404315057479, 0.767632715112, -0.0283838284833],
        ),
        (
            {"axis": None},
            (3, 2),
            (2, 2),
            [0.841598973671, -0.854346651001, -1.22009465723, -1.28618728560],
        ),
        (
            {"axis": [1, 2], "mean": [1.0, 2.0], "variance": [4.0, 9.0]},
            None,
            (1, 3, 2),
            [-0.229848847, -0.884547874, -0.955565131, -0.985886493, -0.00439859407, -0.70932123],
        ),
    ],
    ids=str,
)
def test_normalization_has_the_numbers_of_keras(kwargs, data, shape, expected):
    layer = Normalization(**kwargs, dtype="float64")
    if data:
        layer.adapt(numbers(data, 3))
    got = layer.forward(numbers(shape, 1))
    np.testing.assert_allclose(got.ravel(), expected, rtol=1e-8)


def moments(layer):
    return layer.adapt_mean.tolist(), layer.adapt_variance.tolist(), float(layer.count)


def test_adapt_takes_arrays_lists_maps_and_iterators(tmp_path):
    data = np.random.default_rng(0).normal(3, 2, (1000, 4)).astype(np.float32)
    path = tmp_path / "data.npy"
    np.save(path, data)
    wide = data.astype(np.float64)
    forms = {
        "array": data,
        "list": data.tolist(),
        "map": np.load(path, mmap_mode="r"),
        "iterator": (data[i : i + 300] for i in range(0, 1000, 300)),
        "fortran": np.asfortranarray(data),
    }
    for form, given in forms.items():
        for batch_size in (None, 7) if form != "iterator" else (None,):
            layer = Normalization(dtype="float64")
            layer.adapt(given, batch_size)
            np.testing.assert_allclose(layer.adapt_mean, wide.mean(0), rtol=1e-13, err_msg=form)
            np.testing.assert_allclose(layer.adapt_variance, wide.var(0), rtol=1e-12)
            assert layer.count == 1000
    layer.adapt(np.arange(8).reshape(2, 4))  # anew, and of integers
    assert moments(layer) == ([2, 3, 4, 5], [4, 4, 4, 4], 2)


def test_adapt_keeps_its_digits_at_a_large_offset():
    rng = np.random.default_rng(0)
    deviations = rng.normal(size=(5000, 3))
    layer = Normalization(dtype="float64")
    data = deviations * [1, 1e-3, 10] + [1e9, 1e3, -1e10]
    layer.adapt(data, batch_size=64)
    exact_mean = (data - data[0]).mean(0) + data[0]
    np.testing.assert_allclose(layer.adapt_mean, exact_mean, rtol=1e-15)
    np.testing.assert_allclose(layer.adapt_variance, (data - data[0]).var(0), rtol=1e-9)


def test_adapt_reads_a_map_piece_by_piece(tmp_path):
    import tracemalloc

    data = np.lib.format.open_memmap(tmp_path / "big.npy", "w+", np.float32, (1_000_000, 8))
    data[:, 0] = 1
    layer = Normalization()
    tracemalloc.start()
    layer.adapt(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert layer.adapt_mean.tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert peak < data.nbytes / 4


def test_constant_features_become_zero():
    layer = Normalization()
    data = np.full((10, 3), [0.0, 0.1, 1e20], np.float32)
    layer.adapt(data)
    y = layer.forward(data, training=True)
    np.testing.assert_array_equal(y, 0)
    assert np.isfinite(layer.backward(np.ones((10, 3)))).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([[1.0, np.nan], [1.0, 2.0]], "data contains NaN; the first such row is row 0"),
        ([[1.0, 2.0], [1.0, np.inf]], "data contains an infinite number.*row 1"),
        (np.zeros((0, 2)), "empty"),
        (iter([]), "empty"),
        (3.0, "single number"),
        ([["a", "b"]], "real numbers"),
        ([[1e30, 1.0], [-1e30, 1.0]], "too large for float32"),
    ],
    ids=["nan", "inf", "no rows", "no batches", "number", "text", "huge"],
)
def test_adapt_refuses_bad_data_and_changes_nothing(data, message):
    layer = Normalization()
    layer.adapt([[1.0, 2.0], [3.0, 6.0]])
    kept = moments(layer)
    with pytest.raises(DataError, match=rf"layer 'normalization': adapt\(\).*{message}"):
        layer.adapt(data)
    assert moments(layer) == kept
    with pytest.raises(ShapeError, match="expected an input of shape"):
        layer.adapt(np.ones((2, 3)))
    with pytest.raises(ConfigurationError, match="batch_size"):
        layer.adapt(np.ones((2, 2)), batch_size=0)
    assert moments(layer) == kept


def test_adapt_with_given_moments_is_an_error():
    with pytest.raises(ConfigurationError, match="given to the constructor"):
        Normalization(mean=1.0, variance=1.0).adapt([[1.0]])


def test_invert_undoes_it():
    rng = np.random.default_rng(0)
    data = rng.normal(5, 3, (50, 4))
    there, back = Normalization(dtype="float64"), Normalization(invert=True, dtype="float64")
    there.adapt(data)
    back.adapt(data)
    np.testing.assert_allclose(back.forward(there.forward(data)), data, rtol=1e-13)


@pytest.mark.parametrize("when", ["before", "in the model", "after build", "with Input"])
def test_normalization_as_first_layer(when):
    rng = np.random.default_rng(0)
    x = rng.normal(1000, 50, (200, 3)).astype(np.float32)
    y = (x[:, :1] - 1000) / 50
    norm = Normalization()
    if when == "before":
        norm.adapt(x)
    model = nl.Sequential(
        ([Input((3,))] if when == "with Input" else []) + [norm, Dense(1)], seed=0
    )
    if when == "after build":
        model.build((None, 3))
    if when != "before":
        norm.adapt(x)
    with pytest.raises(ConfigurationError, match="used twice"):
        model.add(norm)
    kept = norm.get_weights() if when != "in the model" else None
    model.compile(nl.optimizers.SGD(0.1), "mse")
    history = model.fit(x, y, epochs=20, verbose=0)
    assert history.history["loss"][-1] < 1e-3
    assert abs(norm.forward(x).mean()) < 1e-3
    assert np.shares_memory(norm.adapt_mean, model.parameters.statistics)
    for one, other in zip(norm.get_weights(), kept or norm.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.predict(x), model.predict(x))
    again = nl.Sequential.from_config(json.loads(json.dumps(model.get_config())))
    again.build((None, 3)) if when != "with Input" else None
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_what_adapt_found_survives_a_build_that_fails():
    norm = Normalization()
    norm.adapt([[1.0, 2.0], [3.0, 6.0]])
    model = nl.Sequential([norm, GroupNormalization(3)])
    with pytest.raises(ShapeError, match="3 groups"):
        model.predict(np.ones((1, 2)))
    model.pop()
    np.testing.assert_allclose(model.predict(np.array([[3.0, 6.0]])), 1, rtol=1e-6)


def test_no_gradient_is_computed_below_the_first_learned_weights():
    model = nl.Sequential([Normalization(), Dense(2)], seed=0)
    x = np.ones((4, 3), np.float32)
    model.forward(x, training=True)
    model.layers[0].backward = None  # would be called otherwise
    assert model.backward(np.ones((4, 2)), input_gradient=False) is None
