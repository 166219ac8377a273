"""The rules of a diagnosis at their thresholds: on them, just below and just above."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

import netlayers as nl
from netlayers.diagnostics import (
    diagnose_data,
    diagnose_layers,
    diagnose_rate,
    diagnose_rows,
    diagnose_structure,
)
from netlayers.diagnostics.diagnose_rate import Comparison
from netlayers.diagnostics.diagnose_rows import Overlap
from netlayers.diagnostics.evidence import Output


class Known(SimpleNamespace):
    """What stands for an ``Evidence``: of one output, with all layers in a chain."""

    @property
    def outputs(self):
        shape = self.model.output_shape
        return [Output("", self.output, self.loss, self.fused, self.y, shape)]

    @property
    def output_paths(self):
        return {self.output.path}

    @property
    def flow(self):
        return SimpleNamespace(is_behind=lambda name, other: True, sequences=[self.layers])


def evidence(**values):
    """What is known of a healthy network of three tanh layers, but for what is given."""
    layers = [nl.layers.Dense(2, "tanh", name=name) for name in "ab"]
    layers.append(nl.layers.Dense(1, name="c"))
    nl.Sequential(layers, seed=0).build((None, 2))
    paths = [layer.path for layer in layers]
    every = {
        "dead": dict.fromkeys(paths, 0.0),
        "saturated": dict.fromkeys(paths, 0.0),
        "backprop_rms": dict.fromkeys(paths, 1.0),
        "update_ratio": dict.fromkeys(paths, 1e-3),
        "nonfinite": dict.fromkeys(paths, 0),
    }
    for name in every.keys() & values.keys():
        every[name].update(values.pop(name))
    found = {
        "values": every,
        "layers": layers,
        "output": layers[-1],
        "symmetric": [],
        "heads": set(),
        "bad_weights": [],
        "scales": {"a": np.ones(3)},
        "images": {},
        "maps": {},
        "first_losses": {},
        "loss": nl.losses.MeanSquaredError(),
        "loss_before": 1.0,
        "loss_after": 0.9,
        "loss_faster": math.nan,
        "losses": [1.0, 0.9],
        "optimizer": nl.optimizers.SGD(0.01),
        "kernels": {path: (math.sqrt(0.5), 2) for path in paths},
        "fresh": True,
        "peak_ratio": 1e-3,
        "still": False,
        "lost": False,
        "comparison": None,
        "frozen": ([], [], False),
        "bad_moments": {},
        "fused": False,
        "y": np.zeros((4, 1)),
        "model": SimpleNamespace(output_shape=(None, 1)),
    }
    return Known(**found | values)


def illnesses(found):
    return [(f.illness, f.severity) for f in found]


def above(x):
    return float(np.nextafter(x, np.inf))


def below(x):
    return float(np.nextafter(x, -np.inf))


def test_the_healthy_one():
    assert illnesses(diagnose_layers.findings(evidence())) == []
    assert illnesses(diagnose_data.inputs(evidence())) == []


@pytest.mark.parametrize(
    ("share", "severity"),
    [(below(0.5), None), (0.5, "warning"), (0.9, "warning"), (above(0.9), "serious")],
)
def test_saturated(share, severity):
    found = evidence(saturated={"a": share, "c": 1.0})  # the output may be
    expected = [("saturation", severity)] if severity else []
    assert illnesses(diagnose_layers.saturation(found)) == expected


@pytest.mark.parametrize(
    ("share", "severity"),
    [(below(0.8), None), (0.8, "warning"), (0.9, "warning"), (above(0.9), "serious")],
)
def test_dead(share, severity):
    found = evidence(dead={"b": share})
    found.layers[1] = nl.layers.Dense(2, "relu", name="b")
    expected = [("dead units", severity)] if severity else []
    assert illnesses(diagnose_layers.dead_units(found)) == expected
    tanh = evidence(dead={"b": share})
    assert illnesses(diagnose_layers.dead_units(tanh)) == []  # its ends are saturation


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        ({"a": 5e-3}, []),
        ({"a": below(5e-3)}, ["vanishing gradient"]),
        ({"a": 1e3}, []),
        ({"a": above(1e3)}, ["exploding gradient"]),
        ({"a": 0.0}, ["vanishing gradient"]),
        ({"a": 0.0, "b": 0.0, "c": 0.0}, []),
        ({"c": 0.0}, []),
        ({"b": 1e-3, "a": 1.0}, ["vanishing gradient"]),
        ({"a": math.nan, "b": math.inf}, []),
    ],
)
def test_gradients(signal, expected):
    found = list(diagnose_layers.gradient_flow(evidence(backprop_rms=signal)))
    assert [f.illness for f in found] == expected
    assert (
        illnesses(diagnose_layers.gradient_flow(evidence(backprop_rms=signal, symmetric=["a"])))
        == []
    )


def test_a_head_is_no_measure_of_the_layers_before():
    found = evidence(backprop_rms={"a": 1e-3, "b": 1e-3})
    assert [f.illness for f in diagnose_layers.gradient_flow(found)] == ["vanishing gradient"]
    found.heads = {"c"}
    assert not list(diagnose_layers.gradient_flow(found))


def test_what_is_said_to_make_a_gradient_vanish():
    signal = {"a": 1e-4, "b": 1e-3}

    def text(**values):
        (found,) = diagnose_layers.gradient_flow(evidence(backprop_rms=signal, **values))
        return str(found)

    assert "saturated for" not in text(saturated={"a": 0.3})
    assert "saturated for 31%" in " ".join(text(saturated={"a": 0.31}).split())
    assert "shut for" not in text(dead={"b": 0.3})
    assert "shut for 31%" in " ".join(text(dead={"b": 0.31}).split())
    assert "saturated for" not in text(saturated={"c": 1.0})  # the output lets its gradient through


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"peak_ratio": 1e-1}, False),
        ({"peak_ratio": above(1e-1)}, True),
        ({"update_ratio": 1e-2, "loss_after": 2.0}, False),
        ({"update_ratio": above(1e-2), "loss_after": 1.0}, False),
        ({"update_ratio": above(1e-2), "loss_after": above(1.0)}, True),
        ({"lost": True}, True),
    ],
)
def test_whether_lower_rates_are_tried(values, expected):
    if "update_ratio" in values:
        values = values | {"update_ratio": dict.fromkeys("abc", values["update_ratio"])}
    assert diagnose_rate.suspicious(evidence(**values)) == expected


def compared(after, slower=-1.0, ratio=0.2, **values):
    """Batches of mean 1 and deviation 1 before the steps; the lower rate brings 2, to -1."""
    after = [after] * 4 if isinstance(after, float) else after
    comparison = Comparison(0.1, [0.0, 2.0, 0.0, 2.0], after, [slower] * 4)
    values = {"peak_ratio": above(0.1), "comparison": comparison} | values
    found = evidence(update_ratio=dict.fromkeys("abc", ratio), **values)
    return [f.illness for f in diagnose_rate.findings(found)] == ["learning rate too high"]


@pytest.mark.parametrize(
    ("values", "high"),
    [
        ({"after": 0.0}, False),  # half of the gain
        ({"after": above(0.0)}, True),
        ({"after": [4.0, 4.0, 4.0, -1.0]}, True),  # three of four batches
        ({"after": [5.0, 5.0, -1.0, -1.0]}, False),
        ({"after": 2.0, "slower": 1.5}, False),  # half of a deviation
        ({"after": above(2.0), "slower": 1.5}, True),
        ({"after": -0.4, "losses": [7.0]}, False),  # three times the gain above the start
        ({"after": -0.4, "losses": [above(7.0)]}, True),
        ({"after": -0.4, "ratio": 0.3}, False),
        ({"after": -0.4, "ratio": above(0.3)}, True),
        ({"after": -0.2, "slower": -1.0, "ratio": 0.4}, True),
        ({"after": 4.0, "peak_ratio": 0.1}, False),  # three deviations
        ({"after": above(4.0), "peak_ratio": 0.1}, True),
        ({"after": -1.0, "lost": True}, True),
        ({"after": 4.0, "bad_moments": {"a": 1}}, False),
        ({"after": 4.0, "frozen": (["a"], [], True)}, False),
    ],
)
def test_rates_that_are_too_high(values, high):
    assert compared(**values) == high


@pytest.mark.parametrize(("share", "high"), [(0.85, False), (below(0.85), True)])
def test_what_a_rate_must_bring_after_leaps(share, high):
    # before 0, 2: a start of 1; the lower rate brings 16.
    comparison = Comparison(0.1, [0.0, 2.0], [1 - share * 16] * 2, [-15.0] * 2)
    found = evidence(peak_ratio=1.0, losses=[60.0], comparison=comparison)
    assert diagnose_rate.too_high(comparison, found) == high


def test_a_rate_of_which_no_lower_one_is_known():
    wild = Comparison(1.0, [1.0, 1.0], [math.inf], [math.inf], lost=True)
    (found,) = diagnose_rate.findings(evidence(comparison=wild))
    assert "the rate" not in found.text
    assert found.evidence["slower_rate"] == pytest.approx(0.001)
    assert "loss_slower" not in found.evidence


@pytest.mark.parametrize(
    ("faster", "low"),
    [(0.9 * 0.9, False), (below(0.9 * 0.9), True), (math.nan, False), (0.1, True)],
)
def test_rates_that_are_too_low(faster, low):
    found = list(diagnose_rate.findings(evidence(loss_faster=faster)))
    assert [f.illness for f in found] == ["learning rate too low"] * low


@pytest.mark.parametrize(
    ("ratio", "after", "factor"),
    [
        (1e-4, 0.9, None),
        (below(1e-4), 0.9, 1e-2 / below(1e-4)),
        (1e-6, 0.9, 1e4),
        (0.0, 0.9, None),
        (1e-6, math.nan, None),
    ],
)
def test_whether_a_higher_rate_is_tried(ratio, after, factor):
    found = evidence(update_ratio=dict.fromkeys("abc", ratio), loss_after=after)
    got = diagnose_rate.faster(found)
    assert got == (factor if factor is None else pytest.approx(factor))


def test_the_ratio_is_the_median_of_those_that_are_known():
    found = evidence(update_ratio={"a": math.nan, "b": 0.0, "c": 2e-5})
    assert diagnose_rate.faster(found) == pytest.approx(500)
    found = evidence(update_ratio={"a": 1e-5, "b": 3e-5, "c": 9e-5})
    assert diagnose_rate.faster(found) == pytest.approx(1e-2 / 3e-5)


@pytest.mark.parametrize(
    ("gain", "layers", "ill"),
    [(math.sqrt(30) - 1e-9, 2, False), (math.sqrt(30) + 1e-9, 2, True), (0.0, 2, False),
     (1 / math.sqrt(30) + 1e-9, 2, False), (1 / math.sqrt(30) - 1e-9, 2, True)],
)  # fmt: skip
def test_initial_weights(gain, layers, ill):
    kernels = dict.fromkeys("ab", (gain / math.sqrt(2), 2))
    found = list(diagnose_layers.initializers(evidence(kernels=kernels)))
    assert [f.illness for f in found] == ["initializer"] * ill
    if ill:
        assert found[0].evidence["layers"] == layers
        assert found[0].evidence["gain"] == pytest.approx(gain)
        assert found[0].evidence["product"] == pytest.approx(gain**2)
    assert not list(diagnose_layers.initializers(evidence(kernels=kernels, fresh=False)))


@pytest.mark.parametrize(
    ("scales", "ill"),
    [
        ([1.0, 10.0], False),
        ([1.0, above(10.0)], True),
        ([0.01, 0.01], False),
        ([below(0.01)] * 2, True),
        ([0.05, 5.0], False),
        ([0.05, above(5.0)], True),
        ([], False),
        (None, False),
    ],
)
def test_inputs(scales, ill):
    found = evidence(scales={} if scales is None else {"a": np.array(scales)})
    assert [f.illness for f in diagnose_data.inputs(found)] == ["inputs not scaled"] * ill


@pytest.mark.parametrize(("size", "ill"), [(100.0, False), (above(100.0), True)])
def test_targets(size, ill):
    found = evidence(y=np.array([[size], [-size], [math.nan]]))
    got = [f.illness for f in diagnose_data.loss_and_activation(found.outputs[0])]
    assert got == ["targets not scaled"] * ill


@pytest.mark.parametrize(
    ("first", "second", "advice"),
    [
        ("relu", "tanh", "he_normal"),
        ("tanh", "relu", "glorot_uniform"),
        ("relu", "sigmoid", "he_normal"),  # no rule is known for the second
        ("softsign", None, "glorot_uniform"),
        ("selu", "selu", "glorot_uniform"),
    ],
)
def test_the_advice_on_initial_weights_is_that_for_the_first_activation(first, second, advice):
    found = evidence(kernels=dict.fromkeys("ab", (1e-3, 2)))
    layers = [nl.layers.Dense(2, first, name="a"), nl.layers.Dense(2, second, name="b")]
    found.layers[:2] = layers
    (finding,) = diagnose_layers.initializers(found)
    assert finding.layer == "a"
    assert advice in finding.advice
    assert found.layers[0].activation.__class__.__name__.lower() in finding.text.lower()


@pytest.mark.parametrize(("rate", "ill"), [(below(0.9), False), (0.9, True), (0.99, True)])
def test_dropout(rate, ill):
    found = evidence()
    for layer in (nl.layers.Dropout, nl.layers.AlphaDropout, nl.layers.GaussianDropout):
        found.layers[1] = layer(rate)
        got = [f.illness for f in diagnose_structure.dropout(found)]
        assert got == ["dropout too high"] * ill


@pytest.mark.parametrize(("deviations", "ill"), [(4.5, False), (below(4.5), True)])
def test_connections(monkeypatch, deviations, ill):
    def connections(x, y):
        yield np.array([0.5, 1.0, -1.0])
        yield np.array([-deviations, 1.0, -1.0])

    monkeypatch.setattr(diagnose_rows, "_connections", connections)
    x = np.random.default_rng(0).normal(size=(400, 2))
    assert bool(list(diagnose_rows.unrelated(x, x[:, 0], None))) == ill


@pytest.mark.parametrize(
    ("overlap", "severity"),
    [
        (Overlap(9, 1000, 0, 99, True), None),
        (Overlap(10, 1000, 99, 99, True), "warning"),
        (Overlap(499, 1000, 0, 99, True), "warning"),
        (Overlap(500, 1000, 0, 99, True), "serious"),
        # Natural: 0.01, with a deviation of 0.005; and 0.01 more.
        (Overlap(15, 400, 0, 99, False), None),
        (Overlap(16, 400, 0, 99, False), "warning"),
        (Overlap(400, 400, 99, 99, False), None),
    ],
)
def test_shared_rows(overlap, severity):
    found = list(diagnose_rows.leaks(overlap))
    assert [f.severity for f in found] == [severity] * (severity is not None)


@pytest.mark.parametrize(
    ("value", "bad"),
    [(1e19, 0), (above(1e19), 1), (-above(1e19), 1), (math.inf, 1), (math.nan, 1), (0.0, 0)],
)
def test_moments(value, bad):
    model = nl.Sequential([nl.layers.Dense(2), nl.layers.Dense(1)], seed=0, dtype="float64")
    model.compile("adam", "mse")
    model.fit(np.ones((4, 3)), np.ones(4), verbose=0)
    model.optimizer.state["v"][8] = value  # the kernel of the second layer
    found = diagnose_structure.bad_moments(model, model.optimizer)
    assert found == ({"dense_1": bad} if bad else {})
