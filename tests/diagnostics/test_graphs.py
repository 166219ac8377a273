"""Diagnosis, profile, gradients and the search for NaN in graphs with several outputs."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.diagnostics.flow import Flow
from netlayers.errors import NonFiniteError
from tests.diagnostics.graphs import shared, shared_data, table, table_data

L = nl.layers
RNG = np.random.default_rng(1)


def ends(x, **layers):
    """A model of one input with an output of each layer."""
    return nl.Model(x, [layer(x) for layer in layers.values()], seed=0)


def found(model, x, y, **options):
    report = model.diagnose(x, y, verbose=0, **options)
    return {(f.illness, f.layer): f for f in report.findings}


# Diagnosis -------------------------------------------------------------------------------------


def test_a_healthy_graph():
    report = shared().diagnose(*shared_data(96), verbose=0)
    assert report.healthy
    assert list(report.output_losses) == ["sums", "both", "kind"]
    total = np.sum(list(report.output_losses.values()), axis=0)
    np.testing.assert_allclose(report.losses, total)
    assert "kind_loss" in str(report)
    assert "kind_loss" in report._repr_html_()
    assert "tower/dense (call 2)" in report.values["backprop_rms"]


@pytest.mark.filterwarnings("ignore:compile:UserWarning")
def test_each_output_has_its_own_illness():
    x = RNG.normal(size=(500, 4))
    y = {
        "far": 300 * x[:, 0],
        "out": 4.0 * (x[:, 1] > 0),
        "mixed": RNG.integers(0, 3, 500),
        "same": np.ones(500),
        "few": 2 * (x[:, 2] > 0),
    }
    inputs = nl.Input((4,))
    h = L.Dense(8, "tanh")(inputs)
    last = {
        "far": L.Dense(1, name="far"),
        "out": L.Dense(1, "sigmoid", name="out"),
        "mixed": L.Dense(3, "softmax", name="mixed"),
        "same": L.Dense(1, name="same"),
        "few": L.Dense(3, name="few"),
    }
    model = nl.Model(inputs, [layer(h) for layer in last.values()], seed=0)
    classes = "sparse_categorical_crossentropy"
    loss = {"far": "mse", "out": "mse", "mixed": classes, "same": "mse", "few": classes}
    model.compile("adam", loss)
    its = found(model, x, y)
    assert set(its) == {
        ("targets not scaled", None),
        ("target range", "out"),
        ("unrelated labels", None),
        ("constant labels", None),
        ("loss and activation", "few"),
        ("missing classes", None),
        ("outputs not balanced", None),
    }
    assert "output `far`" in its["targets not scaled", None].text
    assert "output `mixed`" in its["unrelated labels", None].text
    assert "output `same`" in its["constant labels", None].text
    assert "output `few`" in its["missing classes", None].text
    assert "loss of the output `far`" in its["outputs not balanced", None].text


def test_weights_of_losses_balance_outputs():
    x = nl.Input((3,))
    h = L.Dense(8, "tanh", name="h")(x)
    data = RNG.normal(size=(200, 3))
    y = [50 * data[:, 0], data[:, 1]]

    def illnesses(**options):
        model = nl.Model(x, [L.Dense(1, name="a")(h), L.Dense(1, name="b")(h)], seed=0)
        model.compile("adam", "mse", **options)
        return {illness for illness, _ in found(model, data, y)}

    assert illnesses() == {"outputs not balanced"}
    assert illnesses(loss_weights=[4e-4, 1.0]) == set()


def test_layers_are_compared_with_those_behind_them_alone():
    """The gradient that vanishes in one tower is no matter of the other, or of an output."""
    a, b = nl.Input((4,), name="a"), nl.Input((4,), name="b")
    deep = nl.Sequential([L.Dense(16, "sigmoid") for _ in range(8)], name="deep")
    plain = nl.Sequential([L.Dense(16, "relu") for _ in range(3)], name="plain")
    h = L.Concatenate()([deep(a), plain(b)])
    # An output of its own, with a gradient a thousand times as large.
    outputs = [L.Dense(1, name="y")(h), L.Dense(1, name="loud")(L.Rescaling(1e3)(b))]
    model = nl.Model([a, b], outputs, seed=0)
    model.compile("sgd", "mse", loss_weights=[1.0, 1e-3])
    x = [RNG.normal(size=(200, 4)), RNG.normal(size=(200, 4))]
    its = found(model, x, [x[0][:, 0] + x[1][:, 0], x[1][:, 1]])
    ill = its["vanishing gradient", "deep/dense"]
    assert all(path.startswith("deep/") for path in ill.layers)
    assert "sigmoid" in ill.text


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_each_input_is_measured_where_it_goes(scale):
    a, b = nl.Input((4,), name="a"), nl.Input((2,), name="b")
    joined = L.Concatenate()([L.Dense(3, "tanh", name="own")(a), L.Dense(3, "tanh", name="its")(b)])
    model = nl.Model([a, b], L.Dense(1, name="y")(joined), seed=0)
    model.compile("sgd", "mse")
    x = [RNG.normal(size=(100, 4)), scale * RNG.normal(size=(100, 2))]
    its = found(model, x, x[0][:, 0])
    assert (("inputs not scaled", "its") in its) == (scale > 1)
    assert ("inputs not scaled", "own") not in its


def test_inputs_that_come_together_are_compared():
    a, b = nl.Input((4,), name="a"), nl.Input((2,), name="b")
    model = nl.Model([a, b], L.Dense(1)(L.Concatenate()([a, L.Dropout(0.9)(b)])), seed=0)
    model.compile("sgd", "mse")
    x = [np.ones((100, 4)) / 2, 400 * np.ones((100, 2))]
    its = found(model, x, RNG.normal(size=100))
    assert its["inputs not scaled", None].evidence == {"smallest": 0.5, "largest": 400.0}


def test_linear_layers_in_a_graph():
    x = nl.Input((4,))
    h = L.Dense(6, name="one")(x)
    twice = L.Dense(6, name="used twice")(x)
    outputs = [
        L.Dense(6, name="two")(h),
        L.Dense(6, "relu", name="r")(twice),
        L.Dense(2, name="sum")(L.Concatenate()([twice, x])),
    ]
    model = nl.Model(x, outputs, seed=0)
    model.compile("sgd", "mse")
    data = RNG.normal(size=(64, 4))
    y = [RNG.normal(size=(64, n)) for n in (6, 6, 2)]
    y[1] = np.abs(y[1])
    its = found(model, data, y)
    assert [f.layers for key, f in its.items() if key[0] == "linear layers"] == [["one", "two"]]


def test_texts_and_numbers_by_name():
    x, y = table_data(450)
    its = found(table(), x, y, validation_data=(x, y))
    assert set(its) == {("shared rows", None)}
    y["kind"] = RNG.permutation(y["kind"])
    assert ("unrelated labels", None) in found(table(), x, y)


def test_rows_without_weight_are_left_out_of_the_labels():
    x, y = RNG.normal(size=(900, 3)), RNG.normal(size=900)
    y[:450] = x[:450, 0]
    model = ends(nl.Input((3,)), a=L.Dense(1, name="a"), b=L.Dense(1, name="b"))
    model.compile("sgd", "mse")
    weights = (np.arange(900) < 450).astype(float)
    assert not found(model, x, [y, y], sample_weight=[weights, weights])


def test_what_comes_behind_what():
    flow = Flow(shared())
    assert flow.ends == [{"sums"}, {"both"}, {"kind"}]
    assert flow.before["sums"] == {"pair/first", "pair/first (call 2)"}
    assert flow.before["both"] == {"pair/second", "pair/second (call 2)"}
    assert flow.is_behind("tower/dense", "tower/dense_1")
    assert not flow.is_behind("tower/dense", "tower/dense_1 (call 2)")
    assert not flow.is_behind("tower/dense", "kind")  # which is for one of three outputs
    assert flow.is_behind("pair/first (call 2)", "sums")


# Gradients, profile, NaN -----------------------------------------------------------------------


def test_gradients_are_checked():
    x, _ = shared_data(4)
    assert nl.check_gradients(shared(), tuple(x)).passed


def test_gradients_of_a_layer_with_several_outputs():
    model = shared()
    x, y = shared_data(3)
    gradients = model.gradients_of(["pair", "kind", "a", "tower"], x, y)
    first, second = gradients["pair"]
    assert [d.shape for d in (*first, *second)] == [(3, 2), (3, 1)] * 2
    up = 2 * (model.predict(x)[0] - y[0]) / 6
    np.testing.assert_allclose(first[0], up, rtol=1e-6)
    np.testing.assert_allclose(second[0], up, rtol=1e-6)
    assert [d.shape for d in gradients["tower"]] == [(3, 3), (3, 3)]
    assert gradients["kind"].shape == (3, 3)


def test_gradients_of_calls_that_the_loss_does_not_depend_on_are_zero():
    a, b = nl.Input((2,), name="a"), nl.Input((2,), name="b")
    layer = L.Dense(2, name="layer")
    model = nl.Model([a, b], [layer(a), layer(b)], seed=0)
    model.compile("sgd", {"layer_1": "mse"})
    x = [np.ones((3, 2)), np.ones((3, 2))]
    unused, used = model.gradients_of("layer", x, {"layer_1": np.zeros((3, 2))})["layer"]
    assert not unused.any()
    assert used.any()


def test_a_profile_has_each_call():
    x, y = shared_data(8)
    names = [row.name for row in shared().profile(x, y, steps=2).rows]
    calls = [
        f"{path}{call}" for path in ("tower/dense", "pair/first") for call in ("", " (call 2)")
    ]
    assert {*calls, "sums", "difference", "kind", "loss", "optimizer"} <= set(names)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_origin_of_nan():
    x, y = shared_data(8)
    x[1][5, 1] = np.nan
    with pytest.raises(nl.errors.DataError, match="x\\['b'\\]"):
        shared().fit(x, y, verbose=0)
    x[1][5, 1] = 0.0
    model = shared()
    model.get_layer("kind").kernel[0, 0] = np.inf
    with pytest.raises(NonFiniteError) as error:
        model.fit(x, y, verbose=0)
    assert (error.value.direction, error.value.layer) == ("weights", "kind")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_origin_of_nan_in_the_second_call_of_a_layer():
    a, b = nl.Input((2,), name="a"), nl.Input((2,), name="b")
    root = L.Lambda(np.sqrt, gradient=lambda x, dy: dy / (2 * np.sqrt(x)), name="root")
    model = nl.Model([a, b], [L.Dense(1, name="left")(root(a)), L.Dense(1, name="right")(root(b))])
    model.compile("sgd", "mse")
    x = [np.ones((4, 2)), np.ones((4, 2))]
    x[1][3, 0] = -1.0
    with pytest.raises(NonFiniteError) as error:
        model.fit(x, [np.ones(4), np.ones(4)], batch_size=4, shuffle=False, verbose=0)
    its = error.value
    assert (its.direction, its.layer, its.rows) == ("forward", "root (call 2)", [3])


@pytest.mark.slow
@pytest.mark.kernels
def test_fused_layers():
    """Compiled kernels run the runs of Dense layers of a graph, to the same numbers."""
    pytest.importorskip("numba")
    x, y = shared_data(16)
    before, weights = nl.kernels_in_use(), {}
    try:
        for kernels in ("numpy", "numba"):
            nl.use_kernels(kernels)
            model = shared("float32")
            model.fit(x, y, epochs=3, batch_size=8, shuffle=False, verbose=0)
            weights[kernels] = model.get_weights()
            assert model.trace(x, y)["kind"].fused
            assert model.diagnose(x, y, verbose=0).losses
    finally:
        nl.use_kernels(before)
    for one, other in zip(weights["numpy"], weights["numba"], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
