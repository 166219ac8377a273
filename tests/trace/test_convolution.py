"""One output of a convolution in a trace: its patch, its sum, and where its gradient goes."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.trace.convolution_story import patch_of

L = nl.layers
CASES = {
    "plain": (L.Conv2D, {"filters": 3, "kernel_size": 2}, (5, 4, 2)),
    "one channel": (L.Conv2D, {"filters": 3, "kernel_size": (2, 3)}, (5, 4, 1)),
    "stride": (L.Conv2D, {"filters": 2, "kernel_size": 3, "strides": (2, 1)}, (7, 6, 2)),
    "same": (L.Conv2D, {"filters": 2, "kernel_size": 3, "padding": "same"}, (2, 2, 3)),
    "dilation": (L.Conv2D, {"filters": 2, "kernel_size": 2, "dilation_rate": (2, 3)}, (6, 6, 1)),
    "groups": (L.Conv2D, {"filters": 6, "kernel_size": 2, "groups": 2}, (4, 4, 4)),
    "first": (
        L.Conv2D,
        {"filters": 3, "kernel_size": 2, "data_format": "channels_first"},
        (2, 5, 4),
    ),
    "no bias": (L.Conv2D, {"filters": 3, "kernel_size": 2, "use_bias": False}, (5, 4, 2)),
    "relu": (L.Conv2D, {"filters": 3, "kernel_size": 2, "activation": "relu"}, (5, 4, 2)),
    "series": (L.Conv1D, {"filters": 3, "kernel_size": 3, "padding": "causal"}, (6, 2)),
    "volume": (L.Conv3D, {"filters": 2, "kernel_size": 2}, (3, 3, 3, 2)),
    "depthwise": (L.DepthwiseConv2D, {"kernel_size": 2, "depth_multiplier": 2}, (4, 4, 3)),
}


def traced(case, **options):
    cls, arguments, shape = CASES[case]
    layer = cls(**arguments, bias_initializer="random_normal", name="conv", **options)
    if case == "no bias":
        layer = cls(**arguments, name="conv", **options)
    layers = [nl.Input(shape), layer, L.Flatten(), L.Dense(2, name="last")]
    model = nl.Sequential(layers, seed=1, dtype="float64")
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    return model.trace(rng.normal(size=(2, *shape)), rng.normal(size=(2, 2)))


@pytest.mark.parametrize("case", CASES)
def test_the_patch_makes_the_output_and_takes_its_gradient(case):
    trace = traced(case)
    r = trace["conv"]
    patch = patch_of(r)
    bias = 0 if patch.bias is None else patch.bias
    assert patch.products.sum() + bias == pytest.approx(patch.z, rel=1e-12)
    assert abs(patch.products.sum(axis=tuple(range(patch.x.ndim - 1)))).argmax() == patch.channel
    # Another gradient arrives, at this output alone: it is all that kernel and input get.
    layer, first = r.layer, CASES[case][1].get("data_format") == "channels_first"
    sample, *place, filter_ = patch.at
    at = (sample, filter_, *place) if first else patch.at
    assert r.z[at] == patch.z
    assert r.dz[at] == patch.dz
    assert abs(r.dz).max() == pytest.approx(abs(patch.dz)) or case in ("same", "series")
    dz = np.zeros_like(r.z)
    dz[at] = patch.dz
    layer.kernel[...] = r.weights["kernel"].before
    layer._forward_logits(r.x, True)
    dx = layer._backward_logits(dz)
    kernel, given = patch.dz * patch.x, patch.dz * patch.kernel
    assert abs(layer.d_kernel).sum() == pytest.approx(abs(kernel).sum(), rel=1e-12)
    assert layer.d_kernel.sum() == pytest.approx(kernel.sum(), rel=1e-10, abs=1e-14)
    if case not in ("same", "series"):  # else a part lies outside of the input
        assert abs(dx).sum() == pytest.approx(abs(given).sum(), rel=1e-12)


def test_all_outputs_add_up():
    """A kernel of one entry sees each pixel once."""
    layers = [nl.Input((3, 2, 2)), L.Conv2D(1, 1, name="conv"), L.Flatten(), L.Dense(1)]
    model = nl.Sequential(layers, seed=1, dtype="float64")
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(2, 3, 2, 2))
    r = model.trace(x, [[1.0], [2.0]])["conv"]
    patch = patch_of(r)
    sample, row, column, _ = patch.at
    np.testing.assert_array_equal(patch.x, x[sample, row : row + 1, column : column + 1])
    np.testing.assert_array_equal(patch.dx, r.dx[sample, row : row + 1, column : column + 1])
    np.testing.assert_allclose(patch.dx, patch.dz * patch.kernel, rtol=1e-12)
    np.testing.assert_allclose(patch.d_kernel[0, 0], (r.dz * x).sum(axis=(0, 1, 2)), rtol=1e-12)


def test_the_steps_of_a_convolution():
    trace = traced("relu")
    titles = [(step.phase, step.title) for step in trace.steps if step.name == "conv"]
    assert titles == [
        ("forward", "Conv2D"),
        ("forward", "One output"),
        ("forward", "Activation: ReLU"),
        ("backward", "Back through ReLU"),
        ("backward", "Gradients of the kernel"),
        ("backward", "Where one error goes"),
        ("update", "Update of the weights"),
    ]
    one, error = (s for s in trace.steps if s.title in ("One output", "Where one error goes"))
    patch = patch_of(trace["conv"])
    sample, row, column, filter_ = patch.at
    assert one.lines[0].note == (
        f"Sample {sample}, row {row}, column {column}, filter {filter_}; of 2 channels, channel "
        f"{patch.channel}, which counts most here."
    )
    shown = {s.symbol: s.value for line in one.lines for s in line.arrays}
    assert shown[rf"z^{{(1)}}_{{{sample},{row},{column},{filter_}}}"] == patch.z
    np.testing.assert_array_equal(shown[r"x_{\mathrm{patch}}"], patch.x[..., patch.channel])
    assert shown[rf"b^{{(1)}}_{{{filter_}}}"] == patch.bias
    shown = {s.symbol: s.value for line in error.lines for s in line.arrays}
    assert shown[r"\delta"] == patch.dz
    total = trace["conv"].weights["kernel"].gradient[:, :, patch.channel, filter_]
    np.testing.assert_array_equal(
        shown[rf"\frac{{\partial L}}{{\partial W^{{(1)}}_{{{filter_}}}}}"], total
    )


def test_frozen_layers_and_outputs_without_gradient():
    frozen = traced("plain", trainable=False)
    (error,) = (s for s in frozen.steps if s.title == "Where one error goes")
    assert len(error.lines) == 2  # no gradient of the kernel
    assert patch_of(frozen["conv"]).d_kernel is None
    layers = [nl.Input((4, 4, 1)), L.Conv2D(2, 2, name="conv"), L.Flatten()]
    model = nl.Sequential([*layers, L.Dense(1, kernel_initializer="zeros")], seed=0)
    model.compile("sgd", "mse")
    r = model.trace(np.ones((1, 4, 4, 1)), [[1.0]])["conv"]
    patch = patch_of(r)
    assert patch.dz == 0
    assert patch.z == r.z.flat[np.abs(r.z).argmax()]


def test_transposed_and_separable_convolutions_have_no_patch():
    for layer in (L.Conv2DTranspose(2, 2, name="it"), L.SeparableConv2D(2, 2, name="it")):
        model = nl.Sequential([nl.Input((3, 3, 2)), layer, L.Flatten(), L.Dense(1)], seed=0)
        model.compile("sgd", "mse")
        trace = model.trace(np.ones((1, 3, 3, 2)), [[1.0]])
        assert patch_of(trace["it"]) is None
        titles = [step.title for step in trace.steps if step.name == "it"]
        assert titles[:2] == [type(layer).__name__, "Gradients of the kernel"]
