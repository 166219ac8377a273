"""Clipping at the edges of the number range, and gradients that are not finite."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import netlayers as nl
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.optimizers import SGD, Adam
from netlayers.optimizers.clipping import norm, scale_to


def model_of(dtype="float32"):
    model = nl.Sequential([nl.layers.Dense(3, name="a"), nl.layers.Dense(2, name="b")], dtype=dtype)
    model.build((None, 4))
    return model


@pytest.mark.parametrize("option", ["clipnorm", "clipvalue", "global_clipnorm"])
@pytest.mark.parametrize(
    ("dtype", "size"),
    [("float32", s) for s in (1e-3, 1.0, 1e20, 3e38)] + [("float64", s) for s in (1e200, 1e308)],
)
def test_every_finite_gradient_is_scaled_to_the_limit(option, dtype, size):
    model = model_of(dtype)
    parameters, limit = model.parameters, 1e-4
    parameters.gradients[...] = size
    SGD(0.0, **{option: limit}).step(parameters)
    g = parameters.gradients.astype(np.float64)
    assert np.isfinite(g).all()
    if option == "clipvalue":
        np.testing.assert_allclose(g, limit, rtol=1e-5)
    elif option == "global_clipnorm":
        np.testing.assert_allclose(np.linalg.norm(g), limit, rtol=1e-5)
    else:
        for tensor in model.gradients:
            np.testing.assert_allclose(np.linalg.norm(tensor), limit, rtol=1e-5)


@pytest.mark.parametrize("size", [1e-30, 1e-44])
def test_tiny_gradients_are_left_and_their_norm_is_right(size):
    g = np.full(4, size, np.float32)
    before = g.copy()
    assert norm([g]).value == pytest.approx(2 * float(np.float32(size)), rel=1e-6)
    scale_to([g], norm([g]), 1.0)
    assert g.tobytes() == before.tobytes()


finite = st.floats(-(2.0**126), 2.0**126, width=32)


@settings(deadline=None, max_examples=200)
@given(hnp.arrays(np.float32, st.integers(1, 20), elements=finite), st.floats(1e-3, 1e3))
def test_norm_is_at_most_the_limit_and_the_direction_stays(g, limit):
    exact = g.astype(np.float64)
    size = np.linalg.norm(exact)
    scaled = g.copy()
    scale_to([scaled], norm([scaled]), limit)
    if size <= limit * (1 - 1e-5):
        assert scaled.tobytes() == g.tobytes()
        return
    result = scaled.astype(np.float64)
    assert np.linalg.norm(result) <= limit * (1 + 1e-5)
    np.testing.assert_allclose(result, exact * min(1, limit / size), rtol=1e-4, atol=1e-6 * limit)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("options", [{}, {"global_clipnorm": 1.0}, {"clipvalue": 1.0}])
def test_a_gradient_that_is_not_finite_stops_before_anything_changed(bad, options):
    model = model_of()
    optimizer = Adam(0.1, **options)
    model.parameters.gradients[...] = 1
    optimizer.step(model.parameters)
    model.get_layer("b").d_kernel[0, 0] = bad
    before = [v.tobytes() for v in (model.parameters.values, *optimizer.state.values())]
    with pytest.raises(NonFiniteError, match="parameter 'kernel' of layer 'b'"):
        optimizer.step(model.parameters)
    after = [v.tobytes() for v in (model.parameters.values, *optimizer.state.values())]
    assert after == before
    assert optimizer.iterations == 1


def test_skip_counts_and_ignore_goes_on():
    model = model_of()
    values = model.parameters.values.copy()
    optimizer = SGD(0.1, on_nonfinite="skip")
    model.parameters.gradients[...] = np.nan
    assert optimizer.step(model.parameters) is False
    assert (optimizer.skipped, optimizer.iterations) == (1, 0)
    assert model.parameters.values.tobytes() == values.tobytes()
    assert SGD(0.1, on_nonfinite="ignore").step(model.parameters)
    assert np.isnan(model.parameters.values).all()


@pytest.mark.parametrize("value", [-1, 0, float("nan"), float("inf"), "1", True])
@pytest.mark.parametrize("option", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_limits_out_of_range_are_refused(option, value):
    with pytest.raises(ConfigurationError, match=f"SGD: {option} must be"):
        SGD(0.1, **{option: value})


def test_only_one_way_to_clip():
    with pytest.raises(ValueError, match="Only one of"):
        SGD(0.1, clipnorm=1.0, clipvalue=1.0)


def test_the_norm_before_clipping_is_in_the_logs():
    x, y = np.ones((4, 2), np.float32), np.full((4, 1), 100.0, np.float32)
    model = nl.Sequential([nl.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(SGD(0.0, global_clipnorm=1.0), "mse")
    history = model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    # The gradient is -200 for both weights and the bias.
    assert history.history["grad_norm"] == pytest.approx([200 * 3**0.5] * 2)
    assert model.train_on_batch(x, y, return_dict=True)["grad_norm"] == pytest.approx(200 * 3**0.5)
    model.compile(SGD(0.0), "mse")
    assert "grad_norm" not in model.fit(x, y, verbose=0).history


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-10, 1.0, 1e10, 1e30])
def test_a_limit_far_below_the_norm(size, dtype):
    limit = 1e3 * float(np.finfo(dtype).smallest_normal)
    g = np.array([3 * size, -4 * size], dtype)
    scale_to([g], norm([g]), limit)
    np.testing.assert_allclose(g, np.array([0.6 * limit, -0.8 * limit], dtype), rtol=1e-4)
