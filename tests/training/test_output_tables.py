"""Losses, targets, weights and metrics of one and of several outputs: logs and errors."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.losses.by_output import OutputLosses
from tests.golden import check_text
from tests.snapshots import (
    numbers,
    numpy_kernels,  # noqa: F401
    outcome,
    shown,
)

L = nl.layers
X = numbers(6, 3)
STEPS = numbers(6, 4, 3)
Y1, Y2, Y3 = numbers(6, 1, first=1.0), numbers(6, 2, first=2.0), numbers(6, 3, first=3.0)
K = np.array([0, 2, 1, 1, 0, 2])
W = np.array([1.0, 0.0, 2.0, 0.5, 1.0, 3.0])
UNKNOWN = Y3.copy()
UNKNOWN[1, 2] = UNKNOWN[4, 0] = np.nan


def fixed(model):
    """Give a model weights that do not depend on a seed."""
    if not model.built:
        model.build((None, 3))
    model.parameters.values[...] = 0.5 * numbers(model.parameters.size)
    return model


def one(units=3, activation=None):
    return fixed(nl.Sequential([L.Dense(units, activation, name="d")], name="one", seed=0))


def in_time(units=2):
    return fixed(nl.Sequential([nl.Input((4, 3)), L.Dense(units, name="d")], name="steps", seed=0))


def several():
    x = nl.Input((3,), name="x")
    h = L.Dense(4, "tanh", name="h")(x)
    outputs = [L.Dense(1, name="a")(h), L.Dense(3, "softmax", name="b")(h), L.Dense(2, name="c")(h)]
    return fixed(nl.Model(x, outputs, name="net", seed=0))


def logs_of(make, x, y, weights=None, compiled=None, **options):
    """Return what an evaluation and a training step log, and the weights after it."""

    def run():
        model = make()
        model.compile(nl.optimizers.SGD(0.5), **(compiled or {}))
        found = model.evaluate(
            x, y, batch_size=4, sample_weight=weights, verbose=0, return_dict=True
        )
        trained = model.fit(
            x, y, batch_size=6, sample_weight=weights, verbose=0, shuffle=False, **options
        ).history
        text = " ".join(f"{k}={v:.5g}" for k, v in found.items())
        more = " ".join(f"{k}={v[0]:.5g}" for k, v in trained.items())
        return f"{text} | {more} | {shown(np.asarray(model.parameters.values))}"

    return outcome(run)


SHAPES = {
    "none": None, "samples": W, "column": W[:, None], "outputs": np.outer(W, [1.0, 2.0, 0.0]),
    "ones": np.ones((6, 3)), "steps": np.outer(W, [0, 1, 2, 1.0]),
    "steps and outputs": np.ones((6, 4, 2)) * W[:, None, None], "steps of one": np.ones((6, 4, 1)),
    "short": W[:5], "transposed": np.ones((3, 6)), "list": W.tolist(), "scalar": 2.0,
    "negative": -W, "nan": W * np.nan, "zeros": 0 * W, "integers": np.arange(6),
    "two": (W, W), "for each": {"y": W}, "text": np.full(6, "a"),
}  # fmt: skip


def test_weights_of_one_output():
    lines = []
    for title, make, x, y, loss in (
        ("numbers", one, X, Y3, "mse"),
        ("huber", one, X, Y3, "huber"),
        ("classes", lambda: one(3, "softmax"), X, K, "sparse_categorical_crossentropy"),
        ("similarity", one, X, Y3, "cosine_similarity"),
        ("one column", lambda: one(1), X, Y1, "mae"),
        ("one axis", lambda: one(1), X, Y1[:, 0], "mae"),
        ("in time", in_time, STEPS, numbers(6, 4, 2, first=7.0), "mse"),
        ("one in time", lambda: in_time(1), STEPS, numbers(6, 4, 1, first=7.0), "mse"),
        ("split", one, X, Y3, nl.losses.SplitLoss(["mse", "mae"], sizes=[1, 2])),
        (
            "split classes",
            one,
            X,
            np.column_stack([K % 2, Y1]),
            nl.losses.SplitLoss(
                [nl.losses.SparseCategoricalCrossentropy(from_logits=True), "mae"], [2, 1]
            ),
        ),
        (
            "split similarity",
            one,
            X,
            Y3,
            nl.losses.SplitLoss(["cosine_similarity", "mae"], [2, 1], [0.5, 2.0]),
        ),
        ("unknown", one, X, UNKNOWN, nl.losses.MeanSquaredError(mask_nan=True)),
        ("nan", one, X, UNKNOWN, "mse"),
    ):
        lines.append(title)
        for name, weights in SHAPES.items():
            metrics = {"loss": loss, "weighted_metrics": ["mae"]}
            if "classes" in title:
                metrics = {"loss": loss}
            found = logs_of(make, x, y, weights, metrics)
            lines.append(f"  {name}: {found}")
    check_text(__file__, "weights of one.txt", "\n".join(lines))


ALL = ["mse", "sparse_categorical_crossentropy", "mae"]
TARGETS = [Y1, K, Y2]
COMPILED = {
    "one for all": {"loss": "mse"},
    "list": {"loss": ALL},
    "tuple": {"loss": tuple(ALL)},
    "dict": {"loss": dict(zip("abc", ALL, strict=True))},
    "two of three": {"loss": {"a": "mse", "c": "mae"}},
    "last alone": {"loss": [None, None, "mae"]},
    "first alone": {"loss": {"a": "mse"}},
    "none": {"loss": [None, None, None]},
    "unknown": {"loss": {"a": "mse", "d": "mae"}},
    "too few": {"loss": ALL[:2]},
    "too many": {"loss": [*ALL, "mse"]},
    "the same object": {"loss": [nl.losses.MeanSquaredError()] * 2 + ["mae"]},
    "weights": {"loss": ALL, "loss_weights": [0.5, 2.0, 0.0]},
    "weights by name": {"loss": ALL, "loss_weights": {"b": 3.0}},
    "a weight that is none": {"loss": ALL, "loss_weights": [None, 2.0, None]},
    "negative weight": {"loss": ALL, "loss_weights": [-1.0, 1.0, 1.0]},
    "weight of another": {"loss": ALL, "loss_weights": {"d": 1.0}},
    "no number": {"loss": ALL, "loss_weights": ["a", 1.0, 1.0]},
    "one weight": {"loss": ALL, "loss_weights": 2.0},
    "too few weights": {"loss": ALL, "loss_weights": [1.0]},
    "no reduction": {"loss": [nl.losses.MeanSquaredError(reduction="none"), *ALL[1:]]},
    "sum": {"loss": [nl.losses.MeanSquaredError(reduction="sum"), *ALL[1:]]},
    "by shape": {"loss": ["mse", "crossentropy", "mae"]},
    "metrics": {"loss": ALL, "metrics": {"a": "mae", "b": ["accuracy", "accuracy"]}},
    "metrics in a list": {"loss": ALL, "metrics": ["mae", ["accuracy"], None]},
    "weighted metrics": {
        "loss": ALL,
        "metrics": [["mse"], None, []],
        "weighted_metrics": [["mse"], ["accuracy"], ["mae", "mse"]],
    },
    "metrics of two": {"loss": {"a": "mse", "c": "mae"}, "metrics": ["mae", "mse"]},
    "metrics of all three": {"loss": {"a": "mse", "c": "mae"}, "metrics": ["mae", None, "mse"]},
    "metrics without a loss": {"loss": {"a": "mse", "c": "mae"}, "metrics": ["mae", "mse", "mse"]},
    "metrics of another": {"loss": ALL, "metrics": {"d": "mae"}},
    "one metric": {"loss": ALL, "metrics": "mae"},
    "too few metrics": {"loss": ALL, "metrics": [["mae"]]},
    "given losses": {"loss": OutputLosses(ALL, [1.0, 0.5, 2.0], list("abc"))},
    "given two": {"loss": OutputLosses(["mae", "mse"], None, ["a", "c"], [0, 2])},
    "given beyond": {"loss": OutputLosses(["mae", "mse"], None, ["a", "d"], [0, 3])},
}


@pytest.mark.parametrize("name", COMPILED)
def test_losses_of_several_outputs(name):
    compiled, lines = COMPILED[name], []
    targets = [Y1, Y3, Y2] if name == "one for all" else TARGETS
    lines.append(f"lists {logs_of(several, X, targets, None, compiled)}")
    by_name = dict(zip("abc", targets, strict=True))
    lines.append(f"names {logs_of(several, X, by_name, None, compiled)}")
    if name in ("list", "weights", "two of three", "last alone", "weighted metrics", "given two"):
        for title, y in {
            "two": targets[:2], "first and last": targets[::2], "one": Y1, "last": [Y2],
            "other names": {"a": Y1, "d": Y2}, "some names": {"a": Y1, "c": Y2},
            "wrong classes": [Y1, K + 2, Y2], "wrong shape": [Y1, K, Y3],
            "nan": [Y1 * np.nan, K, Y2],
            "rows": [Y1, K[:5], Y2], "none": None, "nan in the last": [Y1, K, Y2 * np.nan],
            "text": [Y1, K, Y2.astype(str)], "floats": [Y1, K + 0.5, Y2], "array": Y3,
        }.items():  # fmt: skip
            lines.append(f"  {title}: {logs_of(several, X, y, None, compiled)}")
        for title, weights in {
            "samples": W, "list": [W, None, 2 * W], "names": {"b": W},
            "all": {"a": W, "b": W, "c": W},
            "too many": [W] * 4, "other": {"d": W}, "columns": [W[:, None], W, np.ones((6, 2))],
            "two": (W, W), "short": [W[:5], W, W], "negative": {"a": -W}, "nan": [W, W, W * np.nan],
            "outputs": {"c": np.outer(W, [1, 0.0])}, "numbers": [1.0, 2.0, 3.0], "scalar": 2.0,
        }.items():  # fmt: skip
            lines.append(f"  weights {title}: {logs_of(several, X, targets, weights, compiled)}")
        classes = logs_of(several, X, targets, None, compiled, class_weight={0: 1.0})
        lines.append(f"  class weights: {classes}")
    check_text(__file__, f"outputs {name}.txt", "\n".join(lines))


def test_losses_of_outputs_alone():
    lines = []
    unknown = nl.losses.MeanSquaredError(mask_nan=True)
    ignoring = nl.losses.SparseCategoricalCrossentropy(ignore_class=0)
    sums = nl.losses.MeanSquaredError(reduction="sum")
    makers = {
        "plain": lambda: OutputLosses(["mse", "mae"]),
        "one": lambda: OutputLosses(["mse"]),
        "none": lambda: OutputLosses([]),
        "weights": lambda: OutputLosses(["mse", "mae"], [0.5, 2]),
        "too few weights": lambda: OutputLosses(["mse", "mae"], [0.5]),
        "negative": lambda: OutputLosses(["mse", "mae"], [1.0, -0.5]),
        "zero": lambda: OutputLosses(["mse", "mae"], [0.0, 1.0]),
        "word": lambda: OutputLosses(["mse", "mae"], ["a", 1.0]),
        "names": lambda: OutputLosses(["mse", "mse"], None, ["a", "b"], name="mine"),
        "too few names": lambda: OutputLosses(["mse", "mae"], None, ["a"]),
        "places": lambda: OutputLosses(["mse", "mae"], None, None, [1, 0]),
        "too many places": lambda: OutputLosses(["mse", "mae"], None, None, [1, 0, 2]),
        "unknown": lambda: OutputLosses([unknown, "mae"]),
        "unknown alone": lambda: OutputLosses([unknown]),
        "ignoring": lambda: OutputLosses(["mse", ignoring]),
        "sums": lambda: OutputLosses([sums, "mae"]),
        "similar": lambda: OutputLosses(["cosine_similarity", "mse"]),
        "by shape": lambda: OutputLosses(["mse", "ce"]),
        "no loss": lambda: OutputLosses(["nonsense"]),
        "split": lambda: nl.losses.SplitLoss(["mse", "mse", "mae"], [1, 1, 1]),
        "split unknown": lambda: nl.losses.SplitLoss([unknown, "mae"], [2, 1]),
        "split one": lambda: nl.losses.SplitLoss([unknown], [3]),
        "split shares": lambda: nl.losses.SplitLoss(["cosine_similarity", "mae"], [2, 1]),
        "split sizes": lambda: nl.losses.SplitLoss(["mse", "mae"], [1, 0]),
        "split weight": lambda: nl.losses.SplitLoss(["mse", "mae"], [1, 2], [1.0, -1.0]),
        "split of none": lambda: nl.losses.SplitLoss([], []),
        "split targets": lambda: nl.losses.SplitLoss(["mse", "mae"], [1, 2], None, [1, 3]),
        "split sum": lambda: nl.losses.SplitLoss([sums, "mae"], [1, 2], reduction="sum"),
        "split another": lambda: nl.losses.SplitLoss([sums, "mae"], [1, 2]),
        "split without": lambda: nl.losses.SplitLoss(["mse", "mae"], [1, 2], reduction=None),
    }  # fmt: skip
    for name, make in makers.items():
        lines.append(f"{name}: {outcome(lambda m=make: repr(m().get_config()))[:300]}")
        try:
            loss = make()
        except Exception:
            continue
        if name == "by shape":  # which loss it is, a model decides
            continue
        lines.append(f"  {loss.value_names} {list(loss.factors)} {loss.mask_nan}")
        lines.append(f"  {getattr(loss, 'weighs_outputs', None)}")
        split = name.startswith("split")
        y, p = (Y3, X) if split else ((Y2, Y1), (numbers(6, 2), numbers(6, 1)))
        if name == "ignoring":
            y, p = (Y2, K), (numbers(6, 2), np.full((6, 3), 1 / 3) + 0.1 * numbers(6, 3))
        for weights in (None, W, *([] if split else [(W, 2 * W)])):
            value = outcome(lambda it=loss, y=y, p=p, w=weights: it.forward(y, p, w))
            lines.append(f"  {np.shape(weights)} {value}")
            lines.append(f"    {outcome(lambda it=loss: f'{it.numerator:.6g} {it.denominator:g}')}")
            lines.append(f"    {outcome(lambda it=loss: f'{it.is_quotient} {it.no_quotient}')}")
            lines.append(f"    {outcome(lambda it=loss: [round(v, 5) for v in it.values])}")
            for denominator in (None, 1.0, 10.0):
                back = outcome(lambda it=loss, d=denominator: it.backward(d))
                lines.append(f"    {denominator} {back}")
        if not split:
            lines.append(f"  {outcome(lambda it=loss: it.target_dtype(np.dtype('float32')))}")
            for targets in ((Y2, Y1), (Y1, Y1), (Y2 * np.nan, Y1), (Y2, Y1 * np.inf), (Y2, K)):
                text = outcome(
                    lambda it=loss, t=targets: it.check_targets(t, ((None, 2), (None, 1)))
                )
                lines.append(f"  {[t.shape for t in targets]} {text}")
    check_text(__file__, "losses of outputs.txt", "\n".join(lines))
