"""Tables of models, what ends a run of L-BFGS, and what Sequential refuses, word by word."""

import numpy as np
import pytest
import scipy.optimize

import netlayers as nl
from tests.golden import check_text
from tests.snapshots import (
    numbers,
    numpy_kernels,  # noqa: F401
    outcome,
)

L = nl.layers


def network(built=True):
    inner = nl.Sequential([L.Dense(2, name="deep"), L.BatchNormalization()], name="inner")
    layers = [
        L.Dense(1000, "relu", name="a_layer_with_a_long_name"),
        L.Residual([L.Dense(1000, name="in_a_block"), L.Dropout(0.5)], name="block"),
        inner,
        L.Dense(2, name="frozen", trainable=False),
        L.Activation("softmax"),
    ]
    model = nl.Sequential(layers, name="net", seed=0)
    if built:
        model.build((None, 30))
    return model


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize(
    "options",
    [{}, {"expand_nested": True}, {"show_trainable": False}, {"line_length": 100},
     {"line_length": 20, "expand_nested": True, "show_trainable": False}],
)  # fmt: skip
def test_summaries(built, options, request):
    model, lines = network(built), []
    model.summary(print_fn=lines.append, **options)
    lines.append("compiled")
    model.compile("adam", "mse")
    if built:
        model.optimizer.bind(model.parameters)
    model.summary(print_fn=lines.append, **options)
    check_text(__file__, f"summary-{request.node.callspec.id}.txt", "\n".join(lines))


def test_what_the_summary_refuses():
    model = network(False)
    calls = [{"positions": [1]}, {"line_length": 0}, {"expand_nested": 1}, {"show_trainable": "no"}]
    lines = [f"{c}: {outcome(lambda c=c: model.summary(**c))}" for c in calls]
    check_text(__file__, "summary-refused.txt", "\n".join(lines))


def test_a_summary_builds_what_is_known():
    for first in (
        L.Dense(2), nl.Sequential([L.Dense(2)]), nl.Sequential([nl.Sequential([L.Dense(2)])])
    ):  # fmt: skip
        first.build((None, 3))
        model = nl.Sequential([first, L.Dense(1)])
        assert not model.built
        model.summary(print_fn=lambda line: None)
        assert model.input_shape == (None, 3)
    for first in (L.Dense(2), nl.Sequential([]), nl.Sequential([L.Dense(2)])):
        model = nl.Sequential([first, L.Dense(1)])
        model.summary(print_fn=lambda line: None)
        assert not model.built


def test_what_a_model_refuses():
    model, deep = network(), nl.Sequential([L.Dense(2), L.Dense(2)], name="deep")
    outer = nl.Sequential([deep, L.Dense(1)], name="outer")
    outer.build((None, 3))
    calls = {
        "input behind": lambda: model.add(L.Input((2,))),
        "add to a part": lambda: deep.add(L.Dense(3)),
        "pop from a part": deep.pop,
        "pop from nothing": lambda: nl.Sequential(name="empty").pop(),
        "build nothing": lambda: nl.Sequential(name="empty").build((None, 3)),
        "build again": lambda: outer.build((None, 4)),
        "no name": model.get_layer,
        "both": lambda: model.get_layer("frozen", 1),
        "unknown": lambda: model.get_layer("frozem"),
        "no number": lambda: model.get_layer(index="1"),
        "too far": lambda: model.get_layer(index=5),
        "too far back": lambda: model.get_layer(index=-6),
        "seed": lambda: nl.Sequential(seed=-1),
        "no layer": lambda: nl.Sequential([3]),
        "twice": lambda: nl.Sequential([L.Dense(1, name="x"), L.Dense(1, name="x")]),
    }
    lines = [f"{title}: {outcome(call)}" for title, call in calls.items()]
    lines.append(f"{model.get_layer(index=4).name} {model.get_layer(index=-5).name}")
    check_text(__file__, "refused.txt", "\n".join(lines))


X = numbers(12, 3)
Y = X @ [[1.0], [-2.0], [0.5]] + 0.3


@pytest.mark.parametrize(
    "options",
    [
        {}, {"max_iterations": 1}, {"max_iterations": 3}, {"gradient_tolerance": 10.0},
        {"loss_tolerance": 0.5}, {"loss_tolerance": 0.0, "gradient_tolerance": 1e-3},
        {"max_line_search": 1}, {"history_size": 1, "max_iterations": 4},
        {"validation_data": (X[:4], Y[:4]), "max_iterations": 2},
        {"sample_weight": np.arange(12.0), "max_iterations": 2},
    ],
)  # fmt: skip
def test_runs_of_lbfgs(options, request):
    events = []

    class Noted(nl.callbacks.Callback):
        def __getattribute__(self, name):
            if name.startswith("on_epoch"):
                return lambda epoch, logs=None: events.append(f"{name} {epoch} {sorted(logs)}")
            if name.startswith("on_t"):
                return lambda *arguments, **options: events.append(name)
            return super().__getattribute__(name)

    model = nl.Sequential([L.Dense(3, "tanh"), L.Dense(1)], seed=0, dtype="float64")
    model.compile(loss="mse", metrics=["mae"])
    model.build((None, 3))
    model.parameters.values[...] = numbers(model.parameters.size)
    history = model.fit_lbfgs(X, Y, verbose=0, callbacks=[Noted()], **options)
    result = history.lbfgs
    lines = [f"{result.converged} {result.message if result.converged else 'as SciPy says'}"]
    if options.get("max_iterations", 9) < 9:
        lines.append(f"{result.iterations} {result.evaluations}")
        for name, values in history.history.items():
            lines.append(f"{name}: {' '.join(f'{v:.4g}' for v in values)}")
        lines.append(" ".join(events))
    lines.append(str(sorted(history.history)))
    check_text(__file__, f"lbfgs-{request.node.callspec.id}.txt", "\n".join(lines))


def test_options_that_scipy_is_given(monkeypatch):
    given = {}
    original = scipy.optimize.minimize

    def minimize(function, start, **options):
        given.update(options)
        return original(function, start, **options)

    monkeypatch.setattr(scipy.optimize, "minimize", minimize)
    model = nl.Sequential([L.Dense(1)], seed=0)
    model.compile(loss="mse")
    model.fit_lbfgs(X, Y, 7, history_size=4, max_line_search=3, verbose=0)
    assert (given["method"], given["jac"]) == ("L-BFGS-B", True)
    assert given["options"] == {
        "maxiter": 7, "maxfun": 28, "gtol": 0.0, "ftol": 0.0, "maxcor": 4, "maxls": 3,
    }  # fmt: skip
