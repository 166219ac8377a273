"""What arguments of fit, evaluate and predict do: batches, order, logs and weights."""

import itertools

import numpy as np
import pytest

import netlayers as nl
from tests.golden import check_text
from tests.snapshots import (
    numbers,
    numpy_kernels,  # noqa: F401
    outcome,
    shown,
)

L = nl.layers
ROWS = 10
X = np.column_stack([np.arange(ROWS), numbers(ROWS)])
Y = numbers(ROWS, 1, first=3.0)
K = np.array([0, 1, 0, 0, 1, 2, 0, 1, 0, 2])
W = np.linspace(0.0, 2.0, ROWS)


class Seen(L.Layer):
    """Notes the numbers of the rows of each batch, in its first column, and how it is called."""

    rows = ()

    def forward(self, x, training=False):
        x = self.prepare(x)
        self.rows += (f"{'t' if training else 'i'}{''.join(f'{n:.0f}' for n in x[:, 0])}",)
        return x * 0.1

    def backward(self, dy):
        return dy * 0.1


class Events(nl.callbacks.Callback):
    """Notes the events of a run, with the names in their logs."""

    def __init__(self):
        self.seen = []

    def __getattribute__(self, name):
        if name.startswith("on_"):
            return lambda *arguments: self.seen.append(
                name[3:] + "".join(str(a) for a in arguments if isinstance(a, int))
            )
        return super().__getattribute__(name)


def network(classes=False, **options):
    last = L.Dense(3, "softmax") if classes else L.Dense(1)
    regularizer = options.pop("regularizer", None)
    layers = [nl.Input((2,)), Seen(name="seen"), L.Dense(2, "tanh", kernel_regularizer=regularizer)]
    model = nl.Sequential([*layers, last], seed=3)
    model.parameters.values[...] = numbers(model.parameters.size)
    optimizer = nl.optimizers.SGD(0.5, **options.pop("optimizer", {}))
    loss = "sparse_categorical_crossentropy" if classes else "mse"
    model.compile(
        optimizer, **{"loss": loss, "metrics": ["accuracy" if classes else "mae"], **options}
    )
    return model


def batches(count=3, size=4, weights=False):
    """Return a function that yields batches of consecutive rows."""

    def yielded():
        for i in range(count):
            part = slice(i * size % ROWS, i * size % ROWS + size)
            yield (X[part], Y[part], W[part]) if weights else (X[part], Y[part])

    return yielded


def run(method, make, *data, **options):
    def call():
        model, events = make(), Events()
        if method == "predict" and "callbacks" not in options:
            found = [shown(model.predict(*data, **options))]
        elif method == "fit":
            history = model.fit(*data, verbose=0, callbacks=[events], **options)
            found = [
                f"{k}={[float(f'{v:.5g}') for v in its]}" for k, its in history.history.items()
            ]
            found.append(f"epochs {history.epoch}")
        else:
            logs = model.evaluate(*data, verbose=0, return_dict=True, callbacks=[events], **options)
            found = [f"{k}={v:.5g}" for k, v in logs.items()]
        rows = " ".join(model.layers[0].rows)
        state = f"{model.optimizer.iterations} {shown(np.asarray(model.parameters.values))}"
        return "\n    ".join([*found, rows, state, " ".join(events.seen)])

    return "    " + outcome(call).strip("'\"").replace("\\n", "\n")


def fit(make=network, x=X, y=Y, **options):
    return run("fit", make, x, y, **options)


PLAIN = {"shuffle": False, "batch_size": 4}
ARRAYS = {
    "plain": PLAIN, "default": {}, "shuffled": {"batch_size": 4, "epochs": 2},
    "epochs": {**PLAIN, "epochs": 3, "initial_epoch": 1}, "no epochs": {**PLAIN, "epochs": 0},
    "too late": {**PLAIN, "epochs": 2, "initial_epoch": 2}, "negative": {"epochs": -1},
    "split": {**PLAIN, "validation_split": 0.3}, "shuffled split": {"validation_split": 0.5},
    "all split": {"validation_split": 1.0}, "drop": {**PLAIN, "drop_last": True},
    "drop all": {"batch_size": 11, "drop_last": True}, "steps": {**PLAIN, "steps_per_epoch": 2},
    "steps go on": {**PLAIN, "steps_per_epoch": 2, "epochs": 3},
    "steps alone": {"shuffle": False, "steps_per_epoch": 3}, "no steps": {"steps_per_epoch": 0},
    "many steps": {**PLAIN, "steps_per_epoch": 7}, "size 0": {"batch_size": 0},
    "drop and steps": {**PLAIN, "steps_per_epoch": 4, "drop_last": True},
    "weights": {**PLAIN, "sample_weight": W}, "weights and split": {
        **PLAIN, "sample_weight": W, "validation_split": 0.3
    }, "validation": {**PLAIN, "validation_data": (X[:5] + 5, Y[:5])},
    "weighted validation": {**PLAIN, "validation_data": (X[:5], Y[:5], W[:5])},
    "validation steps": {**PLAIN, "validation_data": (X, Y), "validation_steps": 2},
    "validation batches": {**PLAIN, "validation_data": (X, Y), "validation_batch_size": 3},
    "both": {**PLAIN, "validation_data": (X, Y), "validation_batch_size": 3, "validation_steps": 2},
    "every second": {**PLAIN, "validation_data": (X, Y), "validation_freq": 2, "epochs": 4},
    "never": {**PLAIN, "validation_data": (X, Y), "validation_freq": 5, "epochs": 4},
    "two epochs": {**PLAIN, "validation_data": (X, Y), "validation_freq": [4, 2, 9], "epochs": 4},
    "late epochs": {**PLAIN, "validation_data": (X, Y), "validation_freq": (6, 5), "epochs": 4},
    "epoch 0": {"validation_data": (X, Y), "validation_freq": [2, 0]},
    "frequency 0": {"validation_data": (X, Y), "validation_freq": 0},
    "from a stream": {**PLAIN, "validation_data": batches(2)},
    "from a stream in steps": {**PLAIN, "validation_data": batches(3), "validation_steps": 2},
    "class weights": {"class_weight": {0: 2.0}}, "flag": {"shuffle": "yes"},
    "read ahead": {**PLAIN, "read_ahead": 2}, "verbosity": {"drop_last": 3},
}  # fmt: skip


def test_arrays():
    lines = []
    for title, options in ARRAYS.items():
        lines += [title, fit(**options)]
    check_text(__file__, "fit arrays.txt", "\n".join(lines))


def test_classes():
    lines = []
    for title, options in {
        "plain": {}, "weights": {"class_weight": {0: 0.5, 2: 3.0}}, "balanced": {
            "class_weight": "balanced"
        }, "and samples": {"class_weight": {1: 0.0}, "sample_weight": W}, "stratified": {
            "stratify": True, "validation_split": 0.4
        }, "weighted strata": {
            "stratify": True, "validation_split": 0.4, "class_weight": "balanced"
        }, "weighted split": {"validation_split": 0.4, "class_weight": {0: 2.0, 1: 0.5}},
        "strata of samples": {"stratify": True, "validation_split": 0.4, "sample_weight": W},
        "strata in steps": {"stratify": True, "validation_split": 0.4, "validation_steps": 2},
        "shuffled strata": {"stratify": True, "validation_split": 0.4, "shuffle": True},
        "strata alone": {"stratify": True}, "beyond": {"class_weight": {3: 1.0}},
    }.items():  # fmt: skip
        found = fit(lambda: network(True), y=K, **{**PLAIN, **options})
        lines += [title, found]
    check_text(__file__, "fit classes.txt", "\n".join(lines))


def test_streams():
    lines = []
    endless = lambda: itertools.cycle(batches()())  # noqa: E731
    for title, source, options in (
        ("function", batches(), {}), ("two epochs", batches(), {"epochs": 2}),
        ("list", list(batches()()), {}), ("shuffled list", list(batches()()), {"shuffle": True}),
        ("iterator", batches()(), {}), ("iterator of two epochs", batches()(), {"epochs": 2}),
        ("steps", batches(), {"steps_per_epoch": 2, "epochs": 3}),
        ("steps of an iterator", batches(6)(), {"steps_per_epoch": 2, "epochs": 3}),
        ("too few", batches(), {"steps_per_epoch": 4}),
        ("endless", endless(), {"steps_per_epoch": 5}),
        ("weights", batches(weights=True), {}), ("nothing", lambda: iter([]), {}),
        ("class weights", batches(), {"class_weight": {0: 1.0}}), ("split", batches(), {
            "validation_split": 0.2
        }), ("size", batches(), {"batch_size": 2}), ("validation", batches(), {
            "validation_data": batches(1), "epochs": 2
        }), ("no read ahead", batches(), {"read_ahead": 0}),
        ("drop", batches(), {"drop_last": True}),
        ("validation of arrays", batches(), {
            "validation_data": (X, Y), "validation_batch_size": 6
        }),
    ):  # fmt: skip
        lines += [title, fit(x=source, y=None, **{"shuffle": False, **options})]
    check_text(__file__, "fit streams.txt", "\n".join(lines))


def test_evaluate_and_predict():
    lines = []
    for title, method, data, options in (
        ("arrays", "evaluate", (X, Y), {}), ("sizes", "evaluate", (X, Y), {"batch_size": 4}),
        ("steps", "evaluate", (X, Y), {"steps": 2}), ("both", "evaluate", (X, Y), {
            "batch_size": 4, "steps": 2
        }), ("weights", "evaluate", (X, Y), {"batch_size": 4, "sample_weight": W}),
        ("stream", "evaluate", (batches(),), {}),
        ("stream in steps", "evaluate", (batches(),), {
            "steps": 2
        }), ("weighted stream", "evaluate", (batches(weights=True),), {}),
        ("too many", "evaluate", (X, Y), {"batch_size": 4, "steps": 4}),
        ("no rows", "evaluate", (X[:0], Y[:0]), {}), ("no targets", "evaluate", (X, None), {}),
        ("predicted", "predict", (X,), {"batch_size": 4}),
        ("predicted at once", "predict", (X,), {}),
        ("predicted steps", "predict", (X,), {"steps": 2}), ("predicted both", "predict", (X,), {
            "batch_size": 3, "steps": 2
        }), ("predicted stream", "predict", (lambda: (x for x, _ in batches()()),), {}),
        ("predicted pairs", "predict", (batches(),), {"steps": 1}),
        ("no row", "predict", (X[:0],), {}),
    ):  # fmt: skip
        lines += [f"{method} {title}", run(method, network, *data, **options)]
    check_text(__file__, "evaluate.txt", "\n".join(lines))


@pytest.mark.parametrize("steps", [None, 1, 2, 3])
def test_accumulation_penalties_and_clipping(steps):
    lines = []
    for title, options in {
        "plain": {}, "penalty": {"regularizer": "l2"}, "clipped": {"optimizer": {"clipnorm": 0.1}},
        "by value": {"optimizer": {"clipvalue": 0.05}}, "globally": {
            "optimizer": {"global_clipnorm": 0.1}, "regularizer": "l1"
        }, "average": {"optimizer": {"use_ema": True, "ema_momentum": 0.5}}, "sum": {
            "loss": nl.losses.MeanSquaredError(reduction="sum")
        }, "similarity": {"loss": "cosine_similarity", "regularizer": "l2"},
        "decay": {"optimizer": {"weight_decay": 0.1, "momentum": 0.5}},
        "no quotient": {"loss": nl.losses.SplitLoss(["mse"], [1]), "regularizer": "l2"},
    }.items():  # fmt: skip
        settings = {**options, "optimizer": {**options.get("optimizer", {})}}
        settings["optimizer"]["gradient_accumulation_steps"] = steps
        for weights in (None, W):
            found = fit(
                lambda s=settings: network(**s),
                sample_weight=weights,
                epochs=2,
                shuffle=False,
                batch_size=3,
            )
            lines += [f"{title} {weights is not None}", found]
    check_text(__file__, f"accumulation {steps}.txt", "\n".join(lines))


def test_names_in_the_logs():
    model = network(optimizer={"clipnorm": 1.0}, metrics=["mae", "auc"])
    model.train_on_batch(X, np.abs(Y) > 0.5)
    steps = model._steps
    assert steps.log_names() == ["loss", "mae", "auc", "grad_norm"]
    assert steps.log_names(each_batch=True) == [
        n for n in steps.log_names() if n not in model._steps.metrics or steps.metrics[n].each_batch
    ]
