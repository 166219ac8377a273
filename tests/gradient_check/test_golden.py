"""What is compared in a check, by which method, and what is noted: as kept in ``golden``."""

import numpy as np
import pytest

import netlayers as nl
from tests.golden import check_text

# Compiled kernels know no complex numbers: other methods are chosen.
from tests.snapshots import numpy_kernels  # noqa: F401
from tests.user_layers import Gate, Halves, Leaky, MaskedMean, MaskingEmbed

L, losses = nl.layers, nl.losses
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 4)), RNG.normal(size=(5, 2))
CLASSES, STEPS = np.arange(5) % 2, RNG.normal(size=(3, 4, 2))
WEIGHT = np.array([1.0, 0.0, 2.0, 0.5, 1.0])
CORNERS = np.array([[0.0, 1.0], [-1.0, 0.0], [2.0, 0.0]])


class Stubborn(L.Layer):
    """Computes with what refuses complex numbers."""

    def forward(self, x, training=False):
        from scipy.special import expit

        y = expit(self.prepare(x))
        if training:
            self.cache.y = y
        return y

    def backward(self, dy):
        return dy * self.cache.y * (1 - self.cache.y)


def model(*layers, loss=None, x=X, **options):
    made = nl.Sequential(list(layers), seed=0, **options)
    if loss is not None:
        made.compile("sgd", loss)
    made.build((None, *x.shape[1:]))
    return made


def network(loss=None, last="softmax"):
    return model(L.Dense(3, "relu"), L.BatchNormalization(), L.Dense(2, last), loss=loss)


CASES = {
    "dense": lambda: (L.Dense(3, "tanh"), X),
    "relu with corners": lambda: (L.ReLU(), CORNERS),
    "relu6": lambda: (L.ReLU6(), 6 * CORNERS),
    "normalization": lambda: (L.BatchNormalization(), X),
    "dropout": lambda: (L.Dropout(0.4, seed=1), X),
    "masks": lambda: (MaskedMean(), STEPS),
    "states": lambda: (Leaky(), X),
    "two inputs": lambda: (Gate(), (X, X[::-1].copy())),
    "two outputs": lambda: (Halves(), X),
    "indices": lambda: (MaskingEmbed(6, 3), np.arange(10).reshape(2, 5) % 6),
    "stubborn": lambda: (Stubborn(), X),
    "frozen": lambda: (model(L.Dense(3, trainable=False), L.Dense(2)), X),
    "no parameters": lambda: (model(L.Flatten(), L.Rescaling(2.0)), X),
    "model": lambda: (network(), X),
    "model and loss": lambda: (network("crossentropy"), X, CLASSES),
    "one hot": lambda: (network("crossentropy"), X, np.eye(2)[CLASSES]),
    "other loss": lambda: (network("crossentropy", None), X, Y, "huber"),
    "loss by name": lambda: (network(None), X, CLASSES, "ce"),
    "binary by name": lambda: (model(L.Dense(1, "sigmoid")), X, CLASSES[:, None], "crossentropy"),
    "loss alone": lambda: (losses.Huber(), X[:, :2], Y),
    "classes alone": lambda: (losses.SparseCategoricalCrossentropy(True), Y, CLASSES),
    "nested": lambda: (model(L.Residual([L.Dense(4, "gelu")]), L.Dense(1)), X),
    "float32": lambda: (model(L.Dense(2, kernel_regularizer="l2"), dtype="float32"), X),
}
OPTIONS = {
    "": {},
    "central": {"method": "central"},
    "few": {"max_entries": 3, "directions": 1},
    "no directions": {"directions": 0, "seed": 3},
}


def lines(report):
    for row in report.rows:
        yield (
            f"  {row.name} {row.shape} {row.checked} checked, {row.kinks} kinks, "
            f"{row.directions} directions, {row.method}"
        )
    yield from (f"  note: {note}" for note in report.notes)


@pytest.mark.parametrize("option", OPTIONS)
def test_what_is_compared(option):
    found = []
    for name, make in CASES.items():
        thing, x, *more = make()
        report = nl.check_gradients(thing, x, *more, **OPTIONS[option])
        assert report.passed, f"{name}\n{report}"
        found += [name, *lines(report)]
        if more and option == "":
            weighted = nl.check_gradients(thing, x, *more, sample_weight=WEIGHT)
            assert weighted.passed
            found += [f"{name}, weighted", *lines(weighted)]
    check_text(__file__, f"compared-{option.replace(' ', '-') or 'plain'}.txt", "\n".join(found))


def test_large_arrays_are_sampled():
    found = []
    for units, rows in ((30, 2), (200, 2), (1000, 3)):
        report = nl.check_gradients(L.Dense(units), np.ones((rows, 50)))
        found += [f"{units} units", *lines(report)]
    check_text(__file__, "compared-large.txt", "\n".join(found))


@pytest.mark.parametrize("wrong", ["kernel", "bias", "input"])
def test_the_worst_entry_is_named(wrong):
    class Wrong(L.Dense):
        def backward(self, dy, input_gradient=True):
            dx = super().backward(dy, input_gradient)
            if wrong == "input":
                return dx + np.eye(*dx.shape)[:, ::-1] * 0.25
            gradient = getattr(self, "d_" + wrong)
            gradient[..., -1] += 0.5
            return dx

    report = nl.check_gradients(Wrong(3, name="wrong"), X)
    bad = [row for row in report.rows if not report._passes(row)]
    assert [row.name.removeprefix("wrong/") for row in bad] == [wrong]
    (row,) = bad
    index, analytic, numerical = row.worst
    shift = 0.25 if wrong == "input" else 0.5
    assert analytic - numerical == pytest.approx(shift)
    assert row.max_absolute_error == pytest.approx(shift)
    size = max(abs(analytic), abs(numerical))
    assert row.max_relative_error == pytest.approx(shift / size, rel=1e-3)
    assert len(index) == len(row.shape)
    if wrong != "input":
        assert index[-1] == 2
