"""Feature maps, filters, and pictures of images."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.diagnostics import feature_maps, filters, grad_cam
from netlayers.errors import ConfigurationError

RNG = np.random.default_rng(0)
X = RNG.random((4, 7, 6, 1)).astype(np.float32)


def network(**options):
    layers = [L.Conv2D(5, 3, activation="relu", **options), L.MaxPooling2D(2), L.Conv2D(2, 2)]
    return nl.Sequential([nl.Input((7, 6, 1)), *layers, L.Flatten(), L.Dense(3)], seed=0)


@pytest.mark.kernels
def test_maps_are_the_outputs_of_the_layers():
    model = network()
    found = feature_maps(model, X)
    assert list(found.maps) == ["conv2d", "max_pooling2d", "conv2d_1"]
    y = X
    for layer, maps in zip(model.layers, found.maps.values(), strict=False):
        y = layer.forward(y)
        np.testing.assert_array_equal(maps, y)
    assert list(feature_maps(model, X, "conv2d_1").maps) == ["conv2d_1"]
    assert list(feature_maps(model, X, ["conv2d_1", "conv2d"]).maps) == ["conv2d", "conv2d_1"]


def test_channels_first_are_shown_last():
    last = network()
    layers = [L.Conv2D(5, 3, activation="relu", data_format="channels_first"), L.Flatten()]
    first = nl.Sequential([nl.Input((1, 7, 6)), *layers], seed=0)
    first.layers[0].set_weights(last.layers[0].get_weights())
    found = feature_maps(first, np.moveaxis(X, -1, 1))
    np.testing.assert_allclose(found.maps["conv2d"], feature_maps(last, X).maps["conv2d"], 1e-5)
    np.testing.assert_array_equal(found.images, X)


def test_maps_that_say_nothing_are_counted():
    model = network(padding="same")
    kernel, bias = model.layers[0].get_weights()
    kernel[..., 1], bias[1] = 0, -1  # nothing
    kernel[..., 3], bias[3] = 0, 2  # always 2
    kernel[..., 4], bias[4] = 1e-5, 2  # hardly depends on the image
    model.layers[0].set_weights([kernel, bias])
    lines = str(feature_maps(model, X, "conv2d")).splitlines()
    assert lines[0].split()[-2:] == ["zero", "constant"]
    assert lines[1].split()[-2:] == ["1", "2"]
    one = str(feature_maps(model, X[:1], "conv2d")).splitlines()
    assert one[1].split()[-1] == "0"  # of a single image, nothing is known


def test_several_inputs_and_rows_that_become_images():
    number, picture = nl.Input((2,)), nl.Input((5, 5, 1))
    maps = L.Flatten()(L.Conv2D(2, 3, name="conv")(picture))
    model = nl.Model([number, picture], L.Dense(1)(L.Concatenate()([number, maps])))
    x = RNG.random((3, 5, 5, 1)).astype(np.float32)
    found = feature_maps(model, [np.ones((3, 2)), x])
    np.testing.assert_array_equal(found.images, x)
    assert found.maps["conv"].shape == (3, 3, 3, 2)
    layers = [L.Reshape((5, 5, 1)), L.Conv2D(2, 3), L.Flatten()]
    rows = feature_maps(nl.Sequential([nl.Input((25,)), *layers]), x.reshape(3, 25))
    assert rows.images.shape == (3, 25)
    pytest.importorskip("matplotlib")
    assert len(drawn(rows.plot())) == 1 + 2  # Reshape, and two maps


def test_filters_are_kernels():
    model = network()
    found = filters(model)
    assert found.layer == "conv2d"
    np.testing.assert_array_equal(found.kernel, model.layers[0].kernel)
    second = filters(model, "conv2d_1")
    norms = np.linalg.norm(second.kernel.reshape(-1, 2), axis=0)
    cells = str(second).splitlines()[1].split()
    assert cells[:6] == ["conv2d_1", "2", "x", "2", "5", "2"]
    assert [float(c) for c in cells[6:]] == pytest.approx(
        [norms.min(), np.median(norms), norms.max()], rel=1e-2
    )


def test_layers_that_are_not_there():
    model = network()
    with pytest.raises(ConfigurationError, match=r"no layer is named 'conv'. Did you mean"):
        feature_maps(model, X, "conv")
    with pytest.raises(ConfigurationError, match=r"'dense' has no spatial axes; those of conv2d, "):
        feature_maps(model, X, "dense")
    with pytest.raises(ConfigurationError, match="no convolution is named 'dense'"):
        filters(model, "dense")
    with pytest.raises(ConfigurationError, match="the model has no convolution"):
        filters(nl.Sequential([L.Dense(2)]))
    with pytest.raises(ConfigurationError, match="'conv2d' has no kernel yet"):
        filters(nl.Sequential([L.Conv2D(2, 2, name="conv2d")]))


# Pictures -------------------------------------------------------------------------------------


def test_layers_of_a_base_that_is_tuned_are_found_by_their_name():
    model = network()
    base = nl.Model(model.inputs, model.layers[2].output, name="base")
    inputs = nl.Input((7, 6, 1))
    tuned = nl.Model(inputs, L.Dense(2)(L.Flatten()(base(inputs))))
    tuned.compile("sgd", "mse")
    for net in (model, tuned):
        for name in ("conv2d", "base/conv2d"):
            np.testing.assert_array_equal(filters(net, name).kernel, model.layers[0].kernel)
            assert list(feature_maps(net, X, name).maps) == ["base/conv2d"]
            assert grad_cam(net, X, layer=name).layer.endswith("conv2d")
    y = np.zeros((len(X), 2))
    (found, same) = (tuned.gradients_of(name, X, y) for name in ("conv2d", "base/conv2d"))
    np.testing.assert_array_equal(found["conv2d"], same["base/conv2d"])
    assert found["conv2d"].any()


def drawn(figure):
    """Return the arrays of the pictures."""
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def test_pictures_of_maps(tmp_path):
    pytest.importorskip("matplotlib")
    found = feature_maps(network(), X)
    figure = found.plot(tmp_path / "maps.png", image=2, most=4)
    assert (tmp_path / "maps.png").stat().st_size > 1000
    pictures = drawn(figure)
    expected = [X[2, ..., 0]]
    for maps in found.maps.values():
        expected += [maps[2, ..., k] for k in range(min(4, maps.shape[-1]))]
    assert len(pictures) == len(expected) == 1 + 4 + 4 + 2
    for a, b in zip(pictures, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    titles = [text.get_text() for text in figure.texts]
    assert titles[1] == "conv2d: 5 maps, 5 x 4 (the first 4)"
    top = found.maps["conv2d"][2].max()
    assert all(axes.images[0].get_clim() == (0, top) for axes in figure.axes[1:5])
    with pytest.raises(ConfigurationError, match="image must be"):
        found.plot(image=4)


def test_pictures_of_filters(tmp_path):
    pytest.importorskip("matplotlib")
    model = network()
    one = filters(model)
    pictures = drawn(one.plot(most=3))
    assert len(pictures) == 3
    np.testing.assert_array_equal(pictures[2], one.kernel[:, :, 0, 2])
    many = filters(model, "conv2d_1")
    pictures = drawn(many.plot())
    assert len(pictures) == 2 * 5
    np.testing.assert_array_equal(pictures[7], many.kernel[:, :, 2, 1])
    colour = nl.Sequential([nl.Input((5, 5, 3)), L.Conv2D(2, 2)], seed=0)
    (first, _) = drawn(filters(colour).plot())
    kernel = colour.layers[0].kernel[..., 0]
    np.testing.assert_allclose(first, 0.5 + kernel / (2 * np.abs(kernel).max()), rtol=1e-6)
    series = nl.Sequential([nl.Input((5, 3)), L.Conv1D(2, 4)], seed=0)
    assert drawn(filters(series).plot())[0].shape == (1, 4, 3)
    for made in (L.Conv2D(9, 2), L.Conv2D(8, 2, groups=4), L.Conv1D(9, 5)):
        size = (9,) * made._rank
        figure = filters(nl.Sequential([nl.Input((*size, 4)), made], seed=0)).plot()
        width, height = figure.get_size_inches()
        assert 0.5 < width / height < 2
        boxes = [axes.get_position() for axes in figure.axes]
        assert all(0 <= b.x0 < b.x1 <= 1 and 0 <= b.y0 < b.y1 <= 1 for b in boxes)
        assert len({(b.x0, b.y0) for b in boxes}) == np.prod(made.kernel.shape[-2:])
    volumes = nl.Sequential([nl.Input((5, 5, 5, 1)), L.Conv3D(2, 2)], seed=0)
    with pytest.raises(ConfigurationError, match="have 3 axes"):
        filters(volumes).plot()


def test_pictures_of_heat_maps(tmp_path):
    pytest.importorskip("matplotlib")
    found = grad_cam(network(), X)
    figure = found.plot(tmp_path / "cam.png", most=3)
    pictures = drawn(figure)
    assert len(pictures) == 9
    np.testing.assert_array_equal(pictures[1], X[1, ..., 0])
    np.testing.assert_array_equal(pictures[3 + 1], found.maps[1])
    assert figure.axes[1].get_title() == f"class {found.classes[1]}, {found.scores[1]:.3g}"
    rows = nl.Sequential([nl.Input((3,)), L.Dense(2)])
    with pytest.raises(ConfigurationError, match=r"\(n, height, width\), got \(1, 3\)"):
        nl.diagnostics.saliency(rows, np.ones((1, 3))).plot()
