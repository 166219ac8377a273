"""What check_gradients takes and refuses, word by word."""

import numpy as np

import netlayers as nl
from tests.golden import check_text
from tests.snapshots import (
    numbers,
    numpy_kernels,  # noqa: F401
    outcome,
)
from tests.user_layers import Embed, Gate, Halves

L = nl.layers
X, Y, K = numbers(4, 3), numbers(4, 2), np.arange(4) % 2
W = np.arange(4.0)


def model(loss="mse", last=None):
    made = nl.Sequential([L.Dense(2, last, name="d")], seed=0, name="net")
    made.build((None, 3))
    made.parameters.values[...] = numbers(made.parameters.size)
    if loss is not None:
        made.compile("sgd", loss)
    return made


def checked(what, *data, **options):
    def run():
        made = what if isinstance(what, (int, nl.losses.Loss)) else what()
        report = nl.check_gradients(made, *data, **options)
        return f"{report.passed} {len(str(report).splitlines())} {report.notes}"

    return outcome(run)


def batches():
    yield X, Y, W
    yield X[:2], Y[:2], W[:2]


def test_refusals():
    crossentropy = lambda: model("sparse_categorical_crossentropy", "softmax")  # noqa: E731
    cases = {
        "plain": (model, X, Y), "weights": (model, X, Y, {"sample_weight": W}),
        "no targets": (model, X), "stream": (model, batches),
        "list of batches": (model, [*batches()]),
        "y is a list": (model, X, [Y, Y]), "y in a list": (model, X, [Y]),
        "y is a dict": (model, X, {
            "y": Y, "z": Y
        }), "y is text": (model, X, Y.astype(str)), "rows": (model, X, Y[:3]), "no rows": (
            model, X[:0], Y[:0]
        ), "nan in y": (model, X, Y * np.nan), "nan in x": (model, X * np.nan, Y), "shape": (
            model, X, numbers(4, 3)
        ), "x is a list": (model, [X, X], Y), "x is text": (model, X.astype(str), Y), "features": (
            model, numbers(4, 5), Y
        ), "short weights": (model, X, Y, {"sample_weight": W[:3]}), "negative weights": (
            model, X, Y, {"sample_weight": -W}
        ), "classes": (crossentropy, X, K), "other classes": (crossentropy, X, K + 1),
        "a loss": (lambda: model(None), X, Y, {"loss": "mae"}),
        "no loss": (lambda: model(None), X, Y),
        "an unknown loss": (model, X, Y, {"loss": "may"}),
        "tolerance": (model, X, Y, {"tolerance": 0}),
        "tolerance as text": (model, X, Y, {"tolerance": "a"}), "method": (model, X, Y, {
            "method": "exact"
        }), "directions": (model, X, Y, {"directions": -1}), "no directions": (model, X, Y, {
            "directions": 0
        }), "entries": (model, X, Y, {"max_entries": 0}), "few entries": (model, X, Y, {
            "max_entries": 2
        }), "all entries": (model, X, Y, {"max_entries": None}), "entries as text": (model, X, Y, {
            "max_entries": "many"
        }), "seed": (model, X, Y, {"seed": -1}), "no model": (3, X, Y),
        "a class": (lambda: L.Dense, X),
        "a layer": (lambda: L.Dense(2, name="d"), X), "a layer and y": (lambda: L.Dense(2), X, Y),
        "a loss alone": (nl.losses.MeanSquaredError(), Y, Y), "of one": (
            nl.losses.MeanSquaredError(), Y
        ), "two inputs": (lambda: Gate(name="g"),
        (X, X)), "one of two": (lambda: Gate(name="g"), X),
        "two outputs": (lambda: Halves(name="h"), numbers(4, 4)), "integers": (
            lambda: Embed(6, 2, name="e"), np.arange(6).reshape(2, 3)
        ), "floats for integers": (lambda: Embed(6, 2, name="e"), X), "tiny": (model, X, Y, {
            "tolerance": 1e-30
        }),
    }  # fmt: skip
    lines = []
    for title, (what, *data) in cases.items():
        options = data.pop() if isinstance(data[-1], dict) and title != "y is a dict" else {}
        lines.append(f"{title}: {checked(what, *data, **options)}")
    check_text(__file__, "refusals.txt", "\n".join(lines))
