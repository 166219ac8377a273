"""Normalization of features of every scale and offset: nothing is lost before it is subtracted."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import DataError, FileError
from netlayers.layers import Dense, Input, Normalization, Rescaling, Residual

RNG = np.random.default_rng(0)
SECONDS = 1_700_000_000 + np.arange(600)[:, None]  # since 1970
EXPECTED = (np.arange(600)[:, None] - 299.5) / np.arange(600).std()
FLOATS = ["float32", "float64"]


def adapted(data, **options):
    layer = Normalization(**options)
    layer.adapt(data)
    return layer


# Scales ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e-6, 1.0, 1e6, 1e12])
def test_a_feature_of_any_scale_gets_deviation_1_and_comes_back(size, dtype):
    x = np.array([2.0, 1.0]) + RNG.normal(size=(500, 2))
    x[:, 1] *= size
    y = adapted(x, dtype=dtype)(x)
    np.testing.assert_allclose(y.std(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(
        adapted(x, dtype=dtype, invert=True)(y), x, rtol=1e-4, atol=1e-6 * size
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("value", [0.0, 0.1, -3.0, 1e6])
def test_a_constant_is_divided_by_1(value, dtype):
    x = RNG.normal(size=(500, 3))
    x[:, 2] = value
    new = np.array([[0.0, 0.0, value + 0.01]])
    layer = adapted(x, dtype=dtype)
    assert layer(new)[0, 2] == pytest.approx(0.01, rel=1e-5)
    back = adapted(x, dtype=dtype, invert=True)(layer(new))
    np.testing.assert_allclose(back, new, rtol=1e-6, atol=1e-6)


def test_a_constant_but_for_rounding_is_one():
    x = np.where(RNG.random((500, 1)) > 0.5, 0.3, 0.1 + 0.2)
    assert np.unique(x).size == 2
    layer = adapted(x, dtype="float64")
    assert layer([[1.3]])[0, 0] == pytest.approx(1.0)
    assert layer.adapt_variance.tolist() == [0]


def test_given_moments_of_any_scale():
    layer = Normalization(mean=[0.0, 5.0], variance=[1e-24, 0.0], dtype="float64")
    np.testing.assert_allclose(layer([[1e-12, 5.25]]), [[1.0, 0.25]])


# Offsets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["int64", "uint64", "float64"])
@pytest.mark.parametrize("given", [False, True])
def test_times_keep_their_digits_in_float32(given, kind):
    t = SECONDS.astype(kind)
    layer = adapted(t)
    if given:
        layer = Normalization(mean=t.mean(axis=0), variance=t.var(axis=0))
    y = layer(t)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, EXPECTED, atol=1e-6)
    layer.forward(t, training=True)
    np.testing.assert_allclose(layer.backward(np.ones((600, 1))), 1 / SECONDS.std(), rtol=1e-6)


def test_offsets_in_float32_data_are_subtracted_exactly():
    x = (1e6 + np.arange(64) / 16)[:, None].astype(np.float32)  # which float32 holds
    layer = adapted(x)
    np.testing.assert_allclose(
        layer(x), (x - np.float64(1e6) - 31.5 / 16) / x.std(dtype="f8"), atol=1e-6
    )


def wrap(name, layer):
    return {
        "alone": lambda: nl.Sequential([layer, Dense(1)], seed=0),
        "input": lambda: nl.Sequential([Input((1,)), layer, Dense(1)], seed=0),
        "nested": lambda: nl.Sequential([nl.Sequential([layer, Dense(2)]), Dense(1)], seed=0),
        "float64": lambda: nl.Sequential([layer, Dense(1)], seed=0, dtype="float64"),
    }[name]()


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("name", ["alone", "input", "nested", "float64"])
def test_in_a_model(name, later):
    layer = Normalization()
    if not later:
        layer.adapt(SECONDS)
    model = wrap(name, layer)
    if later:
        layer.adapt(SECONDS)
    model.compile(nl.optimizers.Adam(0.1), "mse")
    assert np.unique(model.predict(SECONDS, verbose=0)).size == 600
    assert np.unique(model(SECONDS)).size == 600
    model.fit(SECONDS, EXPECTED, epochs=60, verbose=0)
    assert model.evaluate(SECONDS, EXPECTED, verbose=0) < 1e-3
    batches = [(SECONDS[i : i + 100], EXPECTED[i : i + 100]) for i in range(0, 600, 100)]
    model.fit(batches, verbose=0)
    assert model.evaluate(batches, verbose=0) < 1e-3
    np.testing.assert_allclose(layer(SECONDS), EXPECTED, atol=1e-5)


@pytest.mark.parametrize("kind", ["int64", "float64"])
def test_in_a_residual_block(kind):
    model = nl.Sequential([Residual([Rescaling(1.0, offset=-1.7e9)])])
    x = np.array([[1_700_000_001]], kind)
    assert model.predict(x, verbose=0).tolist() == [[np.float32(1_700_000_002)]]
    model.forward(x, training=True)
    assert model.backward(np.ones((1, 1))).tolist() == [[2.0]]


@pytest.mark.parametrize("kind", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_keep_the_digits(kind):
    model = nl.Sequential([adapted(SECONDS), Dense(1)], seed=0)
    expected = model.predict(SECONDS, verbose=0)
    np.testing.assert_array_equal(kind(model).predict(SECONDS, verbose=0), expected)


def test_files_keep_the_digits(tmp_path):
    path = tmp_path / "model.safetensors"
    model = nl.Sequential([adapted(SECONDS), Dense(1)], seed=0)
    expected = model.predict(SECONDS, verbose=0)
    model.save(path)
    again = nl.load_model(path)
    np.testing.assert_array_equal(again.predict(SECONDS, verbose=0), expected)
    again.layers[0].adapt(RNG.normal(size=(50, 1)))  # others, which need no further digits
    again.save(path)
    np.testing.assert_array_equal(nl.load_model(path)(np.ones((1, 1))), again(np.ones((1, 1))))
    assert nl.load_model(path).layers[0].get_assets() == {}


@pytest.mark.parametrize("bad", [b"", b"12345678", np.array([1.0, -1.0]), np.array([np.nan, 1.0])])
def test_a_file_with_other_moments_is_refused(tmp_path, monkeypatch, bad):
    model = nl.Sequential([adapted(SECONDS), Dense(1)], seed=0)
    model.build((None, 1))
    data = bad if isinstance(bad, bytes) else bad.tobytes()
    monkeypatch.setattr(Normalization, "get_assets", lambda self: {"moments": data})
    model.save(tmp_path / "model.safetensors")
    with pytest.raises(FileError, match=r"moments|reshape|buffer size"):
        nl.load_model(tmp_path / "model.safetensors")


def test_weights_that_are_set_take_the_place_of_the_digits():
    layer = adapted(SECONDS)
    layer.set_weights([[3.0], [4.0], 1])
    assert layer([[7.0]]).tolist() == [[2.0]]
    assert layer.get_assets() == {}


def test_ordinary_moments_take_float32_as_before():
    layer = adapted(RNG.normal(5, 2, size=(50, 3)))
    assert not layer.input_spec.keeps_precision
    assert layer.get_assets() == {}


def test_gradients_with_an_offset():
    model = nl.Sequential([adapted(SECONDS), Dense(1)], seed=0, dtype="float64")
    report = nl.check_gradients(model, SECONDS[:9].astype(float), EXPECTED[:9], "mse")
    assert report.passed, f"\n{report}"


def test_a_variance_too_large_for_float32_is_an_error():
    with pytest.raises(DataError, match="too large for float32"):
        adapted(RNG.normal(size=(9, 2)) * 1e25)


@pytest.mark.parametrize("scale", [1.0, 1 / 600])
def test_rescaling_of_times(scale):
    layer = Rescaling(scale, offset=-1_700_000_000 * scale)
    expected = (SECONDS - 1_700_000_000) * scale
    np.testing.assert_allclose(layer(SECONDS), expected, rtol=1e-5, atol=1e-6)
    model = nl.Sequential([Input((1,)), layer])
    np.testing.assert_allclose(model.predict(SECONDS, verbose=0), expected, rtol=1e-5, atol=1e-6)
    assert layer(SECONDS).dtype == np.float32


@pytest.mark.parametrize("variance", [1e-300, 0.0, 0.5, 1e300])
def test_moments_of_a_file_may_have_any_variance(variance):
    layer = Normalization()
    layer.build((None, 2))
    layer.set_assets({"moments": np.array([[1.0, -2.0], [variance, 4.0]]).tobytes()})
    mean, found, _ = layer._found
    assert layer._wide
    assert (mean.tolist(), found.tolist()) == ([1.0, -2.0], [variance, 4.0])
    layer.set_assets({})
    assert not layer._wide


@pytest.mark.parametrize("wrong", [[[1.0, 2.0], [-0.5, 1.0]], [[np.nan, 2.0], [1.0, 1.0]],
                                   [[1.0, 2.0], [1.0, np.inf]]])  # fmt: skip
def test_moments_of_a_file_that_are_none(wrong):
    layer = Normalization()
    layer.build((None, 2))
    with pytest.raises(ValueError, match="moments must be finite, and variances not negative"):
        layer.set_assets({"moments": np.array(wrong).tobytes()})


def test_a_feature_without_variance_is_shifted_and_divided_by_1():
    for dtype in ("float32", "float64"):
        layer = nl.layers.Normalization(dtype=dtype)
        layer.adapt(np.array([[3.0, 1.0], [3.0, 5.0]]))
        np.testing.assert_allclose(layer(np.array([[5.5, 7.0]])), [[2.5, 2.0]])
        back = nl.layers.Normalization(dtype=dtype, invert=True)
        back.adapt(np.array([[3.0, 1.0], [3.0, 5.0]]))
        np.testing.assert_allclose(back(np.array([[2.5, 2.0]])), [[5.5, 7.0]])
        given = nl.layers.Normalization(mean=[1.0, 2.0], variance=[0.0, 4.0], dtype=dtype)
        np.testing.assert_allclose(given(np.array([[4.0, 4.0]])), [[3.0, 1.0]])
