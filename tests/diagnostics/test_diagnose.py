"""``model.diagnose``: illnesses are found in sick networks, and healthy ones are left in peace."""

import copy

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers, losses, optimizers
from netlayers.errors import ConfigurationError, NotCompiledError
from tests.golden import check_text

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 8))
TARGET = X[:, 0] * X[:, 1] + X[:, 2]
BINARY = (TARGET > 0).astype(int)
CLASSES = np.digitize(TARGET, [-0.7, 0.7])
ONE_HOT = np.eye(3)[CLASSES]


def net(units, activation, last=1, last_activation=None, loss="mse", optimizer="adam", **dense):
    hidden = [layers.Dense(n, activation, **dense) for n in units]
    model = nl.Sequential([*hidden, layers.Dense(last, last_activation)], seed=0)
    model.compile(optimizer, loss)
    return model


def found(model, x=X, y=TARGET):
    return model.diagnose(x, y, verbose=0)


def classifier(units, activation, optimizer="adam", **dense):
    loss = "sparse_categorical_crossentropy"
    return net(units, activation, 3, "softmax", loss, optimizer, **dense)


NORMAL_1 = nl.initializers.RandomNormal(stddev=1.0)
SMALL = nl.initializers.RandomNormal(stddev=0.01)
SHUT = {"bias_initializer": nl.initializers.Constant(-20.0)}
ZEROS = {"kernel_initializer": "zeros"}
HE = {"kernel_initializer": "he_normal"}

SICK = {
    "vanishing gradient": [
        (net([20] * 10, "sigmoid"), X, TARGET),
        (classifier([30] * 8, "sigmoid"), X, CLASSES),
        (net([20] * 6, "tanh", kernel_initializer=SMALL), X, TARGET),
    ],
    "exploding gradient": [
        (net([50] * 8, "relu", kernel_initializer=NORMAL_1), X, TARGET),
        (net([100] * 6, "linear", kernel_initializer=NORMAL_1), X, TARGET),
    ],
    "dead units": [
        (net([20, 20], "relu", **SHUT), X, TARGET),
        (classifier([40], "relu", **SHUT), X, CLASSES),
    ],
    "saturation": [
        (net([50, 50, 50], "tanh", kernel_initializer=NORMAL_1), X, TARGET),
        (classifier([30], "sigmoid"), X * 100, CLASSES),
    ],
    "learning rate too high": [
        (net([20], "tanh", optimizer=optimizers.SGD(20.0)), X, TARGET),
        (classifier([30, 30], "relu", optimizers.Adam(3.0)), X, CLASSES),
    ],
    "learning rate too low": [
        (net([20], "tanh", optimizer=optimizers.SGD(1e-5)), X, TARGET + 3),
        (classifier([30, 30], "relu", optimizers.Adam(1e-7)), X, CLASSES),
    ],
    "inputs not scaled": [
        (net([20], "relu"), X * 200, TARGET),
        (classifier([30], "tanh"), X * np.geomspace(1e-3, 1, 8), CLASSES),
    ],
    "targets not scaled": [
        (net([20], "relu"), X, 1000 + 100 * TARGET),
        (net([20, 20], "tanh"), X, 1e4 * TARGET),
    ],
    "initializer": [
        (net([64] * 20, "relu", kernel_initializer="glorot_uniform"), X, TARGET),
        (net([64] * 14, "tanh", kernel_initializer="he_normal"), X, TARGET),
    ],
    "symmetry": [
        (net([20], "tanh", **ZEROS, last_activation=None), X, TARGET),
        (net([20, 20], "sigmoid", kernel_initializer=nl.initializers.Constant(0.1)), X, TARGET),
    ],
    "loss and activation": [
        (net([20], "relu", 3, "softmax", "mse"), X, ONE_HOT),
        (net([20], "relu", 3, "sigmoid", "categorical_crossentropy"), X, ONE_HOT),
        (net([20], "relu", 3, "softmax", losses.CategoricalCrossentropy(True)), X, ONE_HOT),
        (net([20], "relu", 1, "relu", "binary_crossentropy"), X, BINARY),
        (net([20], "relu", 1, None, "binary_crossentropy"), X, BINARY),
        (net([20], "relu", 1, "tanh", "binary_crossentropy"), X, BINARY),
        (net([20], "relu", 1, "sigmoid", "hinge"), X, BINARY),
    ],
    "target range": [
        (net([20], "relu", 1, "sigmoid"), X, TARGET),
        (net([20], "relu", 1, "tanh", "mae"), X, TARGET),
        (net([20], "tanh", 1, "relu"), X, TARGET),
    ],
    "constant labels": [
        (net([20], "relu"), X, np.ones(600)),
        (net([20], "relu", 1, "sigmoid", "binary_crossentropy"), X, np.zeros(600)),
        (net([20], "relu", 2), X, np.stack([TARGET, np.ones(600)], 1)),
    ],
    "missing classes": [
        (classifier([20], "relu"), X, CLASSES // 2 * 2),
        (net([20], "relu", 4, "softmax", "categorical_crossentropy"), X, np.eye(4)[CLASSES]),
    ],
}


def second_hidden_symmetric():
    """Constant kernels behind and in front: all units of ``dense`` are one."""
    model = net([20], "tanh", **ZEROS)
    model.build((None, 8))
    model.layers[1].kernel[...] = 0.5
    return model


SICK["symmetry"][0] = (second_hidden_symmetric(), X, TARGET)


@pytest.mark.filterwarnings("ignore:.* takes (probabilities|logits):UserWarning")
@pytest.mark.parametrize(
    ("illness", "case"), [(i, c) for i, cases in SICK.items() for c in range(len(cases))]
)
def test_an_illness_is_found(illness, case):
    model, x, y = SICK[illness][case]
    report = found(model, x, y)
    assert illness in [finding.illness for finding in report.findings], str(report)
    assert not report.healthy
    this = next(finding for finding in report.findings if finding.illness == illness)
    assert this.advice in str(report).replace("\n   ", " ")
    paths = [layer.path for layer in model.layers]
    assert this.layer is None or this.layer in paths
    assert set(this.layers) <= set(paths)
    if illness not in ("exploding gradient", "learning rate too high"):  # they amplify rounding
        check_text(__file__, f"{illness.replace(' ', '-')}-{case}.txt", str(report))


def residual(depth):
    def block():
        dense = [layers.Dense(20, "relu", **HE), layers.Dense(20)]
        return layers.Residual([layers.LayerNormalization(), *dense])

    model = nl.Sequential(
        [layers.Dense(20), *(block() for _ in range(depth)), layers.Dense(1)], seed=0
    )
    model.compile("adam", "mse")
    return model


def normalized():
    model = nl.Sequential(seed=0)
    for _ in range(4):
        model.add(layers.Dense(30, use_bias=False))
        model.add(layers.BatchNormalization())
        model.add(layers.Activation("relu"))
        model.add(layers.Dropout(0.1))
    model.add(layers.Dense(3, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


HEALTHY = {
    "relu": lambda: (net([32, 32], "relu", **HE), X, TARGET),
    "deep relu": lambda: (net([64] * 12, "relu", **HE), X, TARGET),
    "tanh, sgd": lambda: (net([32, 32], "tanh", optimizer=optimizers.SGD(0.05)), X, TARGET),
    "deep tanh": lambda: (classifier([50] * 8, "tanh"), X, CLASSES),
    "softmax": lambda: (classifier([32, 16], "relu"), X, CLASSES),
    "sigmoid": lambda: (
        net([20], "sigmoid", 1, "sigmoid", "binary_crossentropy", optimizers.Adam(0.01)),
        X,
        BINARY,
    ),
    "one hot": lambda: (
        net([32], "elu", 3, "softmax", "categorical_crossentropy", "rmsprop"),
        X,
        ONE_HOT,
    ),
    "logits": lambda: (
        net([32], "gelu", 3, None, losses.SparseCategoricalCrossentropy(True)),
        X,
        CLASSES,
    ),
    "selu": lambda: (net([40] * 6, "selu", kernel_initializer="lecun_normal"), X, TARGET),
    "linear": lambda: (net([], None, optimizer=optimizers.SGD(0.05)), X, TARGET),
    "zeros in logistic regression": lambda: (zero_output(), X, BINARY),
    "momentum": lambda: (
        classifier([32], "leaky_relu", optimizers.SGD(0.02, momentum=0.9, global_clipnorm=5.0)),
        X,
        CLASSES,
    ),
    "residual": lambda: (residual(6), X, TARGET),
    "batch normalization": lambda: (normalized(), X, CLASSES),
    "bounded regression": lambda: (
        net([20], "tanh", 1, "sigmoid", "mse", optimizers.SGD(0.5)),
        X,
        BINARY * 0.8 + 0.1,
    ),
}


def zero_output():
    model = nl.Sequential([layers.Dense(1, "sigmoid", kernel_initializer="zeros")], seed=0)
    model.compile(optimizers.SGD(0.1), "binary_crossentropy")
    return model


@pytest.mark.parametrize("epochs", [0, 30])
@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_network_is_left_in_peace(name, epochs):
    model, x, y = HEALTHY[name]()
    if epochs:
        history = model.fit(x, y, epochs=epochs, verbose=0).history["loss"]
        assert history[-1] < history[0]  # it is healthy
    report = found(model, x, y)
    assert report.healthy, str(report)
    assert "Nothing suspicious" in str(report)
    if not epochs:
        check_text(__file__, f"healthy-{name.replace(' ', '-')}.txt", str(report))


def test_a_digits_network_is_healthy():
    (x, y), _ = nl.datasets.digits.load_data()
    model = nl.Sequential([layers.Dense(64, "relu"), layers.Dense(10, "softmax")], seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    x = x.reshape(len(x), -1) / np.max(x)
    assert found(model, x, y).healthy, str(found(model, x, y))


def test_weights_that_are_not_finite_are_named():
    model = net([5, 5], "relu")
    model.build((None, 8))
    model.layers[1].kernel[2, 3] = np.nan
    finding = found(model).findings[0]
    assert (finding.illness, finding.layer) == ("not finite", "dense_1")
    assert finding.evidence["count"] == 1


def test_outputs_that_are_not_finite_are_named():
    model = net([5, 5], "exponential")
    finding = found(model, X * 1e3, TARGET).findings
    assert ("not finite", "dense") in [(f.illness, f.layer) for f in finding]


def everything(model):
    state = [w.copy() for w in model.get_weights()]
    state += [v.copy() for v in model.optimizer.state.values()]
    state += [np.array(model.optimizer.iterations), model.parameters.gradients.copy()]
    streams = [layer.rng.bit_generator.state for layer in model.layers if layer.rng is not None]
    return state, streams, copy.deepcopy(model._steps.get_state())


def test_nothing_of_the_model_changes():
    model, x, y = HEALTHY["batch normalization"]()
    model.fit(x, y, epochs=1, verbose=0)
    before, streams, means = everything(model)
    twin = copy.deepcopy(model)
    found(model, x, y)
    after, streams_after, means_after = everything(model)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    assert streams == streams_after
    assert str(means) == str(means_after)
    for m in (model, twin):
        m.fit(x, y, epochs=1, verbose=0)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_that_is_not_built_stays_so_and_the_verdict_repeats():
    model = net([20] * 10, "sigmoid")
    first = found(model)
    assert not model.built
    assert str(first) == str(found(model))


def test_the_report_says_what_it_measured(capsys):
    report = net([20] * 10, "sigmoid").diagnose(X, TARGET)
    assert capsys.readouterr().out == str(report) + "\n"
    vanishing = report.findings[0]
    signal = report.values["backprop_rms"]
    assert vanishing.evidence["ratio"] == signal["dense"] / max(signal.values())
    assert len(report.losses) == 20


def test_refuses():
    model = nl.Sequential([layers.Dense(1)])
    with pytest.raises(NotCompiledError):
        model.diagnose(X, TARGET)
    model.compile("sgd", "mse")
    with pytest.raises(ConfigurationError, match="diagnose: batch_size"):
        model.diagnose(X, TARGET, batch_size=0)
