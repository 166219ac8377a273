"""What a trace says of every loss, optimizer, activation and layer: words, formulas, symbols."""

import re

import numpy as np
import pytest

import netlayers as nl
from netlayers.layers import Activation, Dense
from netlayers.testing.contract import Example
from netlayers.testing.targets import draw
from netlayers.trace.numbers import cut, number_format
from netlayers.trace.steps import Shown, _as_many
from tests.classes import concrete
from tests.golden import check_text
from tests.snapshots import numpy_kernels  # noqa: F401
from tests.trace.test_golden import fixed, numbers

L = nl.layers


def told(steps, *phases):
    """Return the steps of some phases: their words, formulas and symbols, without the numbers."""
    lines = []
    for step in steps:
        if step.phase in phases:
            lines.append(f"  [{step.phase}] {step.title} | {step.name} {step.number} | {step.text}")
            for line in step.lines:
                items = [
                    f"{i.symbol}{np.shape(i.value)}{'*' * i.again}" if isinstance(i, Shown) else i
                    for i in line.items
                ]
                lines.append(f"    {line.formula} | {' '.join(items)} | {line.code} | {line.note}")
    return lines


def step_of(layers, shape, loss="mse", optimizer="sgd", y=None, weights=None):
    model = fixed(nl.Sequential(layers, name="net", dtype="float64", seed=0), (None, *shape[1:]))
    model.compile(optimizer, loss)
    x = numbers(shape)
    y = numbers(model.predict(x, verbose=0).shape, 5.0) if y is None else y
    return model.trace(x, y, weights)


def test_losses():
    last = {"shares": "sigmoid", "positive": "softplus", "numbers": None}
    lines = []
    for cls in concrete("loss"):
        for arguments, *data in cls.examples():
            if cls is nl.losses.SplitLoss or any(map(callable, data)) or len(data) > 2:
                continue
            loss = cls(**arguments)
            y, _ = draw(Example(cls, arguments, tuple(data)), loss, (4, 3), "float64")
            if "axis" in arguments and y.ndim == 1:
                continue
            trace = step_of([Dense(3, last[data[1]], name="d")], (4, 2), loss, y=y)
            lines += [repr(loss), *told(trace.steps, "loss")]
    check_text(__file__, "losses.txt", "\n".join(lines))


@pytest.mark.filterwarnings("ignore:compile. .*, but the last activation")
@pytest.mark.parametrize("loss", ["mse", "categorical_crossentropy", "binary_crossentropy"])
def test_forms_of_a_loss(loss):
    lines = []
    y = np.eye(3)[[0, 2, 1, 1]]
    names = {"mse": "MeanSquaredError", "categorical_crossentropy": "CategoricalCrossentropy"}
    cls = getattr(nl.losses, names.get(loss, "BinaryCrossentropy"))
    options = [{"reduction": r} for r in ("mean", "sum", "sum_over_batch_size")]
    if loss != "mse":
        options += [{"label_smoothing": 0.1}, {"from_logits": True}]
    for option in options:
        for activation in (None, "sigmoid", "softmax"):
            for weights in (None, [1.0, 0.5, 2.0, 0.0]):
                if option.get("from_logits") and activation:
                    continue
                trace = step_of(
                    [Dense(3, activation, name="d")], (4, 2), cls(**option), y=y, weights=weights
                )
                lines.append(f"{option} {activation} {weights}")
                lines += told(trace.steps, "start", "loss")
    check_text(__file__, f"loss-{loss}.txt", "\n".join(lines))


def test_optimizers():
    lines = []
    chosen = [cls(**arguments) for cls in concrete("optimizer") for arguments in cls.examples()]
    sgd = nl.optimizers.SGD
    chosen += [
        sgd(0.1, clipnorm=1e-2), sgd(0.1, clipvalue=1e-2), sgd(0.1, global_clipnorm=1e-2),
        sgd(0.1, clipnorm=1e9), sgd(0.1, gradient_accumulation_steps=3), sgd(0.1, use_ema=True),
        sgd(0.1, weight_decay=0.1), sgd(0.1, momentum=0.5),
    ]  # fmt: skip
    for optimizer in chosen:
        layers = [Dense(2, "tanh", name="d", kernel_regularizer="l2"), Dense(1, name="e")]
        layers[1].learning_rate_multiplier = 0.5
        trace = step_of(layers, (4, 2), "mse", optimizer)
        lines += [repr(optimizer), *told(trace.steps, "update")]
    check_text(__file__, "optimizers.txt", "\n".join(lines))


def test_updates_that_are_not_plain():
    lines = []
    for title, layer in (
        ("constraint", Dense(2, name="d", kernel_constraint="maxnorm")),
        ("frozen", Dense(2, name="d", trainable=False)),
        ("no bias", Dense(2, "relu", name="d", use_bias=False)),
        ("statistics", L.BatchNormalization(name="b")),
        ("frozen statistics", L.BatchNormalization(name="b", trainable=False)),
        ("multiplier", Dense(2, name="d", learning_rate_multiplier=0.25)),
    ):
        trace = step_of([layer, Dense(1, name="e")], (4, 2))
        lines += [title, *told(trace.steps, "forward", "backward", "update")]
    check_text(__file__, "updates.txt", "\n".join(lines))


def test_an_update_that_is_left_out():
    optimizer = nl.optimizers.SGD(0.1, on_nonfinite="skip")
    model = nl.Sequential([Dense(1, name="d")], dtype="float64", seed=0)
    model.compile(optimizer, "mse")
    with np.errstate(all="ignore"):
        trace = model.trace([[1e200]], [[0.0]])
    assert told(trace.steps, "update") == [
        "  [update] No update |  0 | A gradient was not finite, and the optimizer leaves "
        "such updates out."
    ]


@pytest.mark.parametrize("place", ["first", "last", "alone"])
def test_activations(place):
    lines = []
    for cls in [c for c in concrete("layer") if issubclass(c, nl.activations.ActivationLayer)]:
        arguments, _ = cls.examples()[0]
        layer = cls(**arguments, name="a")
        layers = {"first": [layer, Dense(2, name="d")], "alone": [layer]}.get(
            place, [Dense(4, layer, name="d")]
        )
        trace = step_of(layers, (3, 4))
        lines += [repr(layer), *told(trace.steps, "forward", "backward")]
    check_text(__file__, f"activations-{place}.txt", "\n".join(lines))


def test_layers():
    lines = []
    for cls in concrete("layer"):
        if issubclass(cls, (nl.activations.ActivationLayer, Activation, nl.Sequential)):
            continue
        arguments, shape = cls.examples()[0]
        layer = cls(**arguments, name="it")
        spec = layer.input_spec
        if isinstance(spec, tuple) or spec.dtype != "float" or isinstance(shape[0], tuple):
            continue
        trace = step_of([layer, L.Flatten(), Dense(1, name="d")], shape)
        lines += [repr(layer), *told(trace.steps, "forward", "backward")]
    check_text(__file__, "layers.txt", "\n".join(lines))


@pytest.mark.parametrize(
    ("sizes", "neurons"),
    [
        ([8, 8, 1], True), ([9, 2], False), ([2, 9], False), ([2] * 6, True), ([2] * 7, False),
        ([1, 1], True),
    ],
)  # fmt: skip
def test_which_networks_are_drawn_by_neurons(sizes, neurons):
    first, *others = sizes
    trace = step_of([Dense(n, "tanh") for n in others], (2, first))
    assert trace.html().count("<circle") == (2 * sum(sizes) if neurons else 0)


@pytest.mark.parametrize("merge", ["concat", "add", "multiply", "average", "maximum"])
def test_how_branches_are_joined_in_the_picture(merge):
    branches = L.Parallel([Dense(2), L.Residual([Dense(2)])], merge=merge, name="p" * 20)
    trace = step_of([branches, L.Dropout(0), Dense(1, name="a_name_of_some_length")], (2, 2))
    picture = re.search(r"<svg.*</svg>", trace.html(), flags=re.S)[0]
    check_text(
        __file__, f"joined-{merge}.svg", re.sub(r"(<(?:g|path|rect|text)\b)", r"\n\1", picture)
    )


@pytest.mark.parametrize("shape", [(1,), (7,), (6,), (2, 7), (7, 2), (2, 3, 4), ()])
def test_what_is_shown_of_an_array(shape):
    lines = []
    for rows, columns in ((6, 6), (2, 3), (3, 2), (5, 4)):
        for scale in (1.0, 1e-4, 3e6):
            found = cut(numbers(shape) * scale, rows, columns, 3)
            lines += [f"{rows} x {columns} of {scale}", *map(str, found.rows)]
            lines.append(f"{found.places} {found.whole} {found.facts}")
    check_text(__file__, f"cut-{'x'.join(map(str, shape))}.txt", "\n".join(lines))


@pytest.mark.parametrize(
    ("values", "digits", "expected"),
    [
        ([1.0, 2.0], 4, ["1", "2"]),
        ([1e6, 2.0], 4, ["1.000e+06", "2.000e+00"]),
        ([999999.0, 2.0], 4, ["999999", "2"]),
        ([999999.5, 2.0], 4, ["999999.5", "2.0"]),
        ([1000000.5, 2.0], 4, ["1.000e+06", "2.000e+00"]),
        ([0.001, 0.0], 4, ["0.001000", "0"]),
        ([0.00099, 0.0], 4, ["9.900e-04", "0"]),
        ([1.5, 0.0009], 4, ["1.500", "9.000e-04"]),
        ([1.5, 0.001], 4, ["1.500", "0.001"]),
        ([12345.5, 0.1], 4, ["12345.5", "0.1"]),
        ([np.inf, 1.5, np.nan, -0.0], 3, ["inf", "1.50", "nan", "0"]),
        ([np.inf, 1.0], 3, ["inf", "1.00"]),
        ([0.0], 3, ["0"]),
        ([9.96], 2, ["10.0"]),
        ([True, False], 3, ["True", "False"]),
        ([3, -4], 3, ["3", "-4"]),
    ],
)
def test_how_numbers_are_written(values, digits, expected):
    write = number_format(np.array(values), digits)
    assert [write(v) for v in np.array(values)] == expected


@pytest.mark.parametrize(
    ("a", "b", "alike"),
    [
        (1, 2, True),
        (None, 2, True),
        ((1, 2), (3, 4), True),
        ((1, 2), (3,), False),
        ((1,), 2, False),
        (1, (2,), False),
    ],
)
def test_whether_arrays_are_as_many(a, b, alike):
    assert _as_many(a, b) is alike


def test_a_functional_model_is_drawn_by_distance_from_the_inputs():
    """Layers of the same distance stand side by side, and every value that is taken has a wire."""
    a, b = nl.Input((6,), name="a"), nl.Input((4,), name="b")
    left, right = Dense(8, "relu", name="left")(a), Dense(8, "tanh", name="right")(b)
    total = L.Add(name="total")([left, right])
    model = nl.models.Model([a, b], Dense(1, name="last")(L.Concatenate(name="all")([total, a])))
    model.compile("sgd", "mse")
    trace = model.trace([np.ones((2, 6)), np.ones((2, 4))], np.ones((2, 1)))
    assert [s.value.shape for s in trace.steps[0].lines[0].arrays] == [(2, 6), (2, 4), (2, 1)]
    for kind, axis in (("broad", "x"), ("slim", "y")):
        picture = re.search(rf'<svg class="net {kind}".*?</svg>', trace.html(), flags=re.S)[0]
        found = re.findall(rf'<title>(\w+)</title><rect [^>]*?\b{axis}="([\d.]+)"', picture)
        places = {name: float(place) for name, place in found}
        assert places["left"] == places["right"] < places["total"] < places["all"] < places["last"]
        wires = re.findall(r'class="wire" data-l="(\w+)"', picture)
        assert sorted(wires) == ["1", "2", "3", "3", "4", "4", "5", "loss"]


def test_a_functional_model_that_is_a_chain_is_drawn_by_neurons():
    x = nl.Input((2,))
    model = nl.models.Model(x, Dense(1, "sigmoid")(Dense(3, "tanh")(x)))
    model.compile("sgd", "mse")
    trace = model.trace(np.ones((2, 2)), np.ones((2, 1)))
    assert trace.html().count("<circle") == 2 * (2 + 3 + 1)
