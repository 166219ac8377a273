"""What a diagnosis says of each illness, word by word, with its numbers and its layers."""

import math

import numpy as np
import pytest

import netlayers as nl
from netlayers.diagnostics import diagnose_data, diagnose_layers
from tests.diagnostics.test_thresholds import evidence
from tests.golden import check_text

L, losses = nl.layers, nl.losses


def last(activation, loss, fused=False, **values):
    """What is known of a network with another last activation and another loss."""
    found = evidence(loss=loss, fused=fused, **values)
    found.layers[2] = found.output = L.Dense(1, activation, name="c")
    return found


def hidden(*activations, **values):
    found = evidence(**values)
    found.layers[:2] = [L.Dense(2, a, name=n) for a, n in zip(activations, "ab", strict=True)]
    return found


def classes(y, outputs, loss):
    found = evidence(y=np.array(y), loss=loss)
    found.model.output_shape = (None, outputs)
    return found


def deep(count, activation="tanh", between=None, **values):
    """What is known of a network of more layers; ``between`` makes one to stand between."""
    names = [f"d{i}" for i in range(count)]
    layers = [L.Dense(2, activation, name=name) for name in names]
    if between is not None:
        layers.insert(1, between)
    found = evidence(**{k: v for k, v in values.items() if k not in ("signal", "kernel")})
    found.layers = [*layers, L.Dense(1, name="c")]
    nl.Sequential(found.layers, seed=0).build((None, 2))
    found.output = found.layers[-1]
    signal = values.get("signal", [1.0] * count)
    found.values["backprop_rms"] = dict(zip(names, signal, strict=True)) | {"c": 1.0}
    found.kernels = dict.fromkeys(names, values.get("kernel", (math.sqrt(0.5), 2)))
    return found


CE, BCE = losses.CategoricalCrossentropy, losses.BinaryCrossentropy
LAYERS = {
    "bad weights": evidence(bad_weights=[("a", "a/kernel", 3), ("b", "b/bias", 1)]),
    "bad outputs": evidence(nonfinite={"b": 4, "c": 7}),
    "bad loss": evidence(loss_before=math.inf),
    "bad loss and outputs": evidence(nonfinite={"b": 4}, loss_before=math.nan, symmetric=["a"]),
    "symmetric": evidence(symmetric=["b", "a"]),
    "dead": hidden("relu", "relu", dead={"a": 0.5, "b": 0.7}),
    "all dead": hidden("relu", "relu", dead={"a": 1.0, "b": 0.95}),
    "saturated": evidence(saturated={"a": 0.6, "b": 0.8}),
    "all saturated": hidden("sigmoid", "tanh", saturated={"a": 0.99, "b": 0.95}),
    "vanishing": evidence(backprop_rms={"a": 1e-5, "b": 1e-4, "c": 2.0}),
    "vanishing in the middle": evidence(backprop_rms={"a": 1e-4, "b": 1e-5}),
    "vanishing, saturated": evidence(backprop_rms={"a": 1e-5}, saturated={"a": 0.4, "b": 0.45}),
    "vanishing, dead": hidden("relu", "relu", backprop_rms={"a": 1e-5}, dead={"a": 0.3, "b": 0.35}),
    "vanishing, saturated behind": evidence(backprop_rms={"b": 1e-5}, saturated={"a": 0.4}),
    "vanishing through sigmoids": hidden("sigmoid", "sigmoid", backprop_rms={"a": 1e-5}),
    "vanishing through one sigmoid": hidden("tanh", "hard_sigmoid", backprop_rms={"a": 1e-5}),
    "exploding": evidence(backprop_rms={"a": 4e3, "b": 2e4, "c": 1.0}),
    "exploding, of several": deep(4, signal=[5e6, 2e8, 3.0, 7e4]),
    "vanishing and exploding": deep(4, signal=[1e-6, 2e8, 3.0, 7e4]),
    "initial weights too small": evidence(kernels=dict.fromkeys("ab", (0.01, 2))),
    "initial weights too large": hidden("relu", "relu", kernels=dict.fromkeys("ab", (9.0, 2))),
    "initial weights of one": hidden("relu", "sigmoid", kernels=dict.fromkeys("ab", (50.0, 2))),
    "initial weights behind": hidden("sigmoid", "relu", kernels=dict.fromkeys("ab", (50.0, 2))),
    "a dropout between": deep(2, between=L.Dropout(0.5, name="x"), kernel=(0.05, 2)),
    "an activation between": deep(2, None, between=L.ReLU(name="x"), kernel=(0.01, 2)),
    "another activation between": deep(2, None, between=L.Activation("tanh"), kernel=(0.01, 2)),
    "lines one after the other": deep(3, None, kernel=(0.01, 2)),
    "a line before a tanh": hidden(None, "tanh", kernels=dict.fromkeys("ab", (0.01, 2))),
    "a line before a relu": hidden(None, "relu", kernels=dict.fromkeys("ab", (0.01, 2))),
    "a normalization between": deep(
        4, "selu", between=L.BatchNormalization(name="x"), kernel=(0.1, 2)
    ),
    "nothing": evidence(),
}  # fmt: skip
DATA = {
    "large inputs": evidence(scales={"a": np.array([0.5, 30.0])}),
    "small inputs": evidence(scales={"a": np.array([1e-4, 2e-3])}),
    "inputs apart": evidence(scales={"a": np.array([0.02, 9.0])}),
    "large targets": evidence(y=np.array([[300.0], [-400.0]])),
    "logits of a softmax": last("softmax", CE(from_logits=True)),
    "logits of a sigmoid": last("sigmoid", BCE(from_logits=True)),
    "logits of a relu": last("relu", BCE(from_logits=True)),
    "logits of a tanh": last("tanh", CE(from_logits=True)),
    "logits of a line": last(None, CE(from_logits=True)),
    "fused": last("relu", CE(), fused=True),
    "probabilities of a line": last(None, CE()),
    "probabilities of a softmax": last("softmax", BCE()),
    "probabilities of a tanh": last("tanh", BCE()),
    "the right one": last("softmax", CE()),
    "regression of a softmax": last("softmax", losses.Huber()),
    "counts of a line": last(None, losses.Poisson()),
    "shares of a tanh": last("tanh", losses.KLDivergence()),
    "counts of a softplus": last("softplus", losses.Poisson()),
    "margins of a relu": last("relu", losses.Hinge()),
    "squared margins of a sigmoid": last("sigmoid", losses.SquaredHinge()),
    "margins of a line": last(None, losses.Hinge()),
    "targets out of reach": last(
        "tanh", losses.MeanSquaredError(), y=np.array([[-3.0], [0.5]])
    ),
    "targets below": last("relu", losses.MeanSquaredError(), y=np.array([[-0.5], [0.5]])),
    "targets above": last("sigmoid", losses.LogCosh(), y=np.array([[1.5], [0.5]])),
    "targets at the ends": last("sigmoid", losses.LogCosh(), y=np.array([[1.0], [0.0]])),
    "one row": classes([[5.0]], 1, losses.MeanSquaredError()),
    "all the same": classes([[5.0], [5.0], [5.0]], 1, losses.MeanSquaredError()),
    "two rows the same": classes([[5.0], [5.0]], 1, losses.MeanSquaredError()),
    "a constant column": classes([[1.0, 2, 3], [1, 3, 3]], 3, losses.MeanSquaredError()),
    "missing classes": classes([0, 2, 2, 5], 6, losses.SparseCategoricalCrossentropy()),
    "many missing classes": classes([0, 15], 16, losses.SparseCategoricalCrossentropy()),
    "ten missing classes": classes([0, 11], 12, losses.SparseCategoricalCrossentropy()),
    "missing columns": classes([[1.0, 0, 0], [0, 0, 1]], 3, CE()),
    "all classes": classes([1, 0, 2], 3, losses.SparseCategoricalCrossentropy()),
}  # fmt: skip


def said(findings):
    lines = []
    for f in findings:
        numbers = {name: f"{float(value):.6g}" for name, value in f.evidence.items()}
        lines += [
            f"  {f.layer} {f.severity} {numbers} {f.layers}",
            *map("  ".__add__, str(f).split("\n")),
        ]
    return lines or ["  nothing"]


@pytest.mark.parametrize(
    ("name", "rules", "cases"),
    [("layers", diagnose_layers, LAYERS), ("data", diagnose_data, DATA)],
    ids=["layers", "data"],
)
def test_what_is_said(name, rules, cases):
    lines = []
    for title, found in cases.items():
        lines += [title, *said(rules.findings(found))]
    check_text(__file__, f"findings-{name}.txt", "\n".join(lines))


def test_evidence_of_a_model(request):
    """What is measured of a model before its steps."""
    layers = [L.Dropout(0.5), L.Dense(3, "tanh", name="a"), L.Dense(3, "tanh", name="b")]
    layers += [L.Dense(3, name="same", kernel_initializer="ones"), L.Dense(1, name="c")]
    model = nl.Sequential(layers, seed=0, dtype="float64")
    model.build((None, 2))
    from netlayers.diagnostics.evidence import Evidence

    def known():
        loss, optimizer = losses.MeanSquaredError(), nl.optimizers.SGD()
        return Evidence(model, loss, False, optimizer, layers[1:], np.zeros((4, 1)))

    found = known()
    assert (found.fresh, found.values, found.losses, found.symmetric) == (True, {}, [], [])
    assert all(map(math.isnan, (found.loss_before, found.loss_after, found.loss_faster)))
    assert found.scales == {}
    assert found.outputs[0].layer is layers[-1]
    assert found.bad_weights == []
    assert {k: n for k, (_, n) in found.kernels.items()} == {"a": 2, "b": 3, "same": 3, "c": 3}
    assert found.kernels["a"][0] == pytest.approx(float(np.std(layers[1].kernel)))
    x = np.array([[3.0, 0.0], [0.0, 0.0], [4.0, 0.0], [0.0, 0.0]])
    found.see_input(model, x)
    np.testing.assert_allclose(found.scales["a"], [math.sqrt(12.5)])
    model.forward(x, training=True)
    model.backward(np.ones((4, 1)))
    found.see_gradients()
    assert found.symmetric == []  # the gradients of these units differ
    layers[4].kernel[...] = 1
    model.forward(x, training=True)
    model.backward(np.ones((4, 1)))
    found.see_gradients()
    assert found.symmetric == ["same"]
    layers[1].bias[1:] = [np.nan, np.inf]
    layers[3].kernel[0, 0] = np.nan
    assert known().bad_weights == [("a", "a/bias", 2), ("same", "same/kernel", 1)]


def test_what_comes_to_the_first_dense_layer():
    x = np.array([[3.0, -1.0], [4.0, 2.0]])

    def scales(*layers):
        model = nl.Sequential([*layers, L.Dense(1)], seed=0)
        model.build((None, 2))
        from netlayers.diagnostics.evidence import Evidence

        found = Evidence(
            model, losses.MeanSquaredError(), False, nl.optimizers.SGD(), [model.layers[-1]], x
        )
        found.see_input(model, x)
        (sizes,) = found.scales.values()
        return [round(float(v), 4) for v in sizes]

    own = [3.5355, 1.5811]
    assert scales() == own
    assert scales(L.Input((2,))) == own
    assert scales(L.ReLU()) == [3.5355, 2.0]
    assert scales(nl.Sequential([L.ReLU(), L.Dense(3)])) == [3.5355, 2.0]
    assert scales(nl.Sequential([L.ReLU()])) == [3.5355, 2.0]
    assert scales(L.BatchNormalization()) == [0.998, 0.9998]  # of the batch
    assert scales(L.Residual([L.Dense(2)])) == own
