"""Pictures of layers, and the numbers in them."""

import copy

import numpy as np
import pytest

import netlayers as nl
from netlayers.diagnostics.surface import filter_normalized
from netlayers.errors import ConfigurationError, ShapeError

pytest.importorskip("matplotlib")
from netlayers.plotting.layers import plot_layers

L = nl.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 3)).astype(np.float32)
Y = np.sin(X[:, :1])


def make(*layers, loss="mse", **options):
    model = nl.Sequential(list(layers), seed=0, **options)
    model.compile("adam", loss)
    return model


# Measures over steps --------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 5, 30])
def test_lines_and_map_show_the_values(count, tmp_path):
    steps = [0, 10, 20, 40]
    values = {f"layer_{i}": (10.0 ** (RNG.normal(size=4) - i)).tolist() for i in range(count)}
    figure = plot_layers(steps, values, "gradient_norm", tmp_path / "flow.png")
    assert (tmp_path / "flow.png").stat().st_size > 1000
    lines, cells = figure.axes[:2]
    assert len(lines.lines) == count
    for line, row in zip(lines.lines, values.values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), steps)
        np.testing.assert_array_equal(line.get_ydata(), row)
    assert lines.get_yscale() == "log"
    drawn = cells.collections[0].get_array()
    np.testing.assert_array_equal(np.reshape(drawn, (count, 4)), list(values.values()))
    labels = [label.get_text() for label in cells.get_yticklabels()]
    assert labels == list(values)[:: 1 if count < 30 else 2]
    low, high = cells.get_ylim()
    assert low > high  # the input above
    named = [text.get_text() for text in lines.get_legend().get_texts()]
    assert len(named) == min(count, 10)
    assert (named[0], named[-1]) == ("layer_0", f"layer_{count - 1}")


def test_shares_are_percent():
    figure = plot_layers([1, 2], {"a": [0.0, 0.25], "b": [1.0, np.nan]}, "saturated")
    first, second = figure.axes[0].lines
    np.testing.assert_array_equal(first.get_ydata(), [0, 25])
    np.testing.assert_array_equal(second.get_ydata(), [100, np.nan])
    assert figure.axes[0].get_ylim() == (-2, 102)
    mask = np.ma.getmaskarray(figure.axes[1].collections[0].get_array()).reshape(2, 2)
    assert mask.tolist() == [[False, False], [False, True]]


def test_zero_and_infinity_have_no_place_on_a_log_scale():
    figure = plot_layers([1, 2, 3], {"a": [0.0, 1.0, np.inf]}, "gradient_norm")
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), [np.nan, 1, np.nan])
    figure = plot_layers([1], {"$a_1": [0.0]}, "gradient_norm")  # nothing is left: still a picture
    figure.canvas.draw()
    with pytest.raises(ConfigurationError, match="no values of 'dead'"):
        plot_layers([], {}, "dead")


# Histograms -----------------------------------------------------------------------------------


def test_histograms_are_those_of_the_outputs(tmp_path):
    inner = L.Residual([L.Dense(3, "tanh"), L.Dense(3)], name="block")
    model = make(L.Dense(3, "relu"), inner, L.Dense(2, "softmax"), loss="categorical_crossentropy")
    found = model.activation_histograms(X, bins=7)
    relu = model.layers[0].forward(X)
    np.testing.assert_array_equal(found.layers[0].counts, np.histogram(relu.astype(float), 7)[0])
    assert [a.layer for a in found.layers] == ["dense", "block/dense", "block/dense_1", "dense_1"]
    assert [a.kind for a in found.layers] == ["ReLU", "Tanh", "Dense", "Softmax"]
    for a in found.layers:
        assert len(a.edges) == 8
    y = inner.layers[0].forward(relu)
    tanh = found.layers[1]
    assert tanh.mean == pytest.approx(float(y.mean()), rel=1e-5)
    assert tanh.deviation == pytest.approx(float(y.std()), rel=1e-5)
    assert tanh.saturated == pytest.approx(float(np.mean(1 - y**2 < 0.05)))  # tanh' = 1 - tanh²
    assert (found.layers[0].saturated, found.layers[2].dead) == (None, None)
    assert "block/dense_1" in str(found)
    figure = found.plot(tmp_path / "a.png")
    for axes, a in zip(figure.axes, found.layers, strict=True):
        patch = axes.patches[0].get_data()
        np.testing.assert_allclose(patch.values, 100 * a.counts / a.counts.sum())
        np.testing.assert_array_equal(patch.edges, a.edges)


def test_dead_and_saturated_units_are_written_down():
    model = make(L.Dense(4, "relu"), L.Dense(4, "tanh"), L.Dense(1))
    model.build((None, 3))
    model.layers[0].bias[:3] = -1e3
    model.layers[1].bias[...] = [1e3, -1e3, 1e3, 0]
    found = model.activation_histograms(X)
    assert found.layers[0].dead == 0.75
    assert found.layers[1].saturated >= 0.75
    figure = found.plot()
    assert "dead 75%" in figure.axes[0].texts[0].get_text()
    assert "saturated " in figure.axes[1].texts[0].get_text()


# Loss surface ---------------------------------------------------------------------------------


def test_filters_of_a_direction_are_as_long_as_those_of_the_weights():
    model = make(L.Dense(5, "tanh"), L.BatchNormalization(), L.Dense(2), dtype="float64")
    model.build((None, 3))
    model.layers[0].bias[...] = 1
    direction = filter_normalized(model.parameters, np.random.default_rng(0))
    for p in model.parameters.tensors:
        part = direction[p.slice].reshape(p.shape)
        if len(p.shape) == 1:
            assert not part.any()
            continue
        lengths = np.linalg.norm(p.value, axis=0)
        np.testing.assert_allclose(np.linalg.norm(part, axis=0), lengths, rtol=1e-12)


def test_the_surface_is_the_loss_at_these_weights():
    model = make(L.Dense(4, "tanh"), L.Dropout(0.5), L.Dense(1, kernel_regularizer="l2"))
    model.fit(X, Y, epochs=2, verbose=0)
    before = model.parameters.values.copy()
    weight = RNG.random(len(X))
    surface = model.loss_surface(X, Y, weight, size=5, span=0.5)
    np.testing.assert_array_equal(model.parameters.values, before)
    assert surface.loss.shape == (5, 5)
    other = copy.deepcopy(model)
    for i, j in [(0, 0), (2, 2), (4, 1)]:
        first, second = surface.directions
        other.parameters.values[...] = before + surface.a[j] * first + surface.b[i] * second
        expected = other.evaluate(X, Y, sample_weight=weight, verbose=0)
        assert surface.loss[i, j] == pytest.approx(expected, rel=1e-6)
    again = model.loss_surface(X, Y, weight, size=5, span=0.5)
    np.testing.assert_array_equal(again.loss, surface.loss)


def test_a_quadratic_bowl_is_drawn_as_one():
    model = make(L.Dense(1, use_bias=False), dtype="float64")
    model.build((None, 3))
    kernel = model.parameters.values
    y = X.astype(float) @ kernel[:, None]  # the model is at the minimum
    surface = model.loss_surface(X.astype(float), y, size=9)
    across, along = np.meshgrid(surface.a, surface.b)
    moved = across[..., None] * surface.directions[0] + along[..., None] * surface.directions[1]
    expected = np.mean((moved @ X.T.astype(float)) ** 2, axis=-1)
    np.testing.assert_allclose(surface.loss, expected, rtol=1e-9, atol=1e-12)


def test_a_trajectory_is_drawn_in_its_plane(tmp_path):
    model = make(L.Dense(4, "tanh"), L.Dense(1))
    weights = []
    keep = nl.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: weights.append(model.parameters.values.copy())
    )
    model.fit(X, Y, epochs=6, callbacks=[keep], verbose=0)
    surface = model.loss_surface(X, Y, size=6, trajectory=weights)
    first, second = surface.directions
    assert np.dot(first, first) == pytest.approx(1)
    assert np.dot(first, second) == pytest.approx(0, abs=1e-6)
    difference = np.array(weights, float) - model.parameters.values
    np.testing.assert_allclose(surface.path, difference @ np.array([first, second]).T, atol=1e-6)
    assert 1 >= surface.explained[0] >= surface.explained[1] >= 0
    assert surface.a[0] < surface.path[:, 0].min()
    assert surface.path[:, 0].max() < surface.a[-1]
    figure = surface.plot(tmp_path / "s.png", three_dimensional=True)
    drawn = figure.axes[0].lines[0]
    np.testing.assert_array_equal(np.transpose(drawn.get_data()), surface.path)
    labels = [figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()]
    assert labels[0] == f"principal direction 1 ({surface.explained[0]:.0%})"
    assert labels[1].startswith("principal direction 2")


def test_places_without_a_finite_loss_are_left_out():
    model = make(L.Dense(1, "exponential"))
    x = np.full((4, 3), 3e1)
    surface = model.loss_surface(x, np.ones((4, 1)), size=5, span=20.0)
    assert not np.isfinite(surface.loss).all()
    surface.plot(three_dimensional=True).canvas.draw()


def test_what_is_no_trajectory():
    model = make(L.Dense(1))
    model.build((None, 3))
    w = model.parameters.values
    with pytest.raises(ConfigurationError, match="at least 2"):
        model.loss_surface(X, Y, trajectory=[w])
    with pytest.raises(ShapeError, match=r"trajectory\[1\] has the shape \(2,\)"):
        model.loss_surface(X, Y, trajectory=[w, np.ones(2)])
    with pytest.raises(ConfigurationError, match="lies on a line"):
        model.loss_surface(X, Y, trajectory=[w + 1, w + 2, w + 3])
