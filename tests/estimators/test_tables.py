"""What estimators learn, keep and refuse, for every argument: numbers nearly, words exactly."""

import functools
from types import SimpleNamespace

import numpy as np
import pytest

import netlayers as nl
from tests.golden import check_text
from tests.snapshots import numbers, numpy_kernels, outcome, shown  # noqa: F401

pytest.importorskip("sklearn", minversion="1.6")
from netlayers.estimators import NeuralNetClassifier, NeuralNetRegressor, NeuralNetTransformer
from netlayers.estimators.rates import Plateau, inverse_scaling

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # and that the loss still falls
X = numbers(24, 3)
TWO, THREE = (X[:, 0] > 0).astype(int), np.digitize(X[:, 1], [-0.4, 0.4])
WORDS, LABELS = (
    np.array(["no", "yes"])[TWO],
    np.stack([TWO, 1 - TWO, X[:, 2] > 0], axis=1).astype(int),
)
SUMS, PAIRS = X.sum(axis=1), X[:, :2] * 2.0
WEIGHT = np.linspace(0, 2, 24)
LEARNED = ("classes_", "n_outputs_", "loss_curve_", "n_iter_", "loss_", "best_loss_",
           "validation_scores_", "best_validation_score_", "n_features_in_")  # fmt: skip


def small(cls, **arguments):
    return cls((4,), max_iter=3, random_state=0, **arguments)


def compiled(n_inputs, n_outputs):
    layers = [
        nl.Input((n_inputs,)),
        nl.layers.Dense(n_outputs, "softmax" if n_outputs > 1 else None),
    ]
    model = nl.Sequential(layers, seed=1)
    loss = "sparse_categorical_crossentropy" if n_outputs > 1 else "mse"
    model.compile(nl.optimizers.SGD(0.1), loss, metrics=["accuracy" if n_outputs > 1 else "mae"])
    return model


def two_outputs(seed, units=2, **more):
    return nl.Sequential([nl.layers.Dense(units, "softmax")], seed=seed)


def probability(n_outputs):
    return nl.Sequential([nl.layers.Dense(n_outputs, "sigmoid")], seed=0)


C, R = NeuralNetClassifier, NeuralNetRegressor
FITS = {
    "two": (C, {}, TWO), "words": (C, {"activation": "logistic"}, WORDS),
    "three": (C, {"activation": "identity", "solver": "sgd", "learning_rate_init": 0.1}, THREE),
    "labels": (C, {"alpha": 1.0}, LABELS), "numbers": (R, {}, SUMS),
    "column": (R, {}, SUMS[:, None]),
    "several": (R, {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False}, PAIRS),
    "no momentum": (R, {"solver": "sgd", "momentum": 0.0}, SUMS),
    "adam": (R, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1, "batch_size": 7}, SUMS),
    "lbfgs": (R, {"solver": "lbfgs", "alpha": 0.0}, SUMS),
    "invscaling": (R, {"learning_rate": "invscaling", "power_t": 1.0, "solver": "sgd"}, SUMS),
    "adaptive": (R, {"learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 0}, SUMS),
    "early": (C, {"early_stopping": True, "validation_fraction": 0.25, "tol": 0.5}, THREE),
    "early numbers": (R, {"early_stopping": True, "n_iter_no_change": 0, "tol": 5.0}, SUMS),
    "early labels": (C, {"early_stopping": True, "validation_fraction": 0.3}, LABELS),
    "balanced": (C, {"class_weight": "balanced"}, TWO), "ordered": (R, {"shuffle": False}, SUMS),
    "class weights": (C, {"class_weight": {"no": 1.0, "yes": 3.0}}, WORDS),
    "large batch": (R, {"batch_size": 100}, SUMS), "loss": (R, {"loss": "mae"}, SUMS),
    "optimizer": (R, {"optimizer": nl.optimizers.RMSprop(0.05)}, SUMS),
    "optimizer by name": (R, {"optimizer": "sgd"}, SUMS),
    "sizes": (R, {"hidden_layer_sizes": [3, 2]}, SUMS),
    "size": (R, {"hidden_layer_sizes": 2}, SUMS),
    "no hidden": (C, {"hidden_layer_sizes": ()}, TWO),
    "function": (C, {"model": two_outputs}, TWO),
    "partial": (C, {"model": functools.partial(two_outputs, units=3)}, THREE),
    "probabilities": (C, {"model": probability}, TWO),
    "probabilities of labels": (C, {"model": probability}, LABELS),
    "compiled": (C, {"model": compiled}, THREE),
    "model": (R, {"model": nl.Sequential([nl.layers.Dense(1)], name="given")}, SUMS),
    "seeded": (R, {"model": nl.Sequential([nl.layers.Dense(1)], seed=7)}, SUMS),
    "compiled model": (R, {"model": compiled(3, 1)}, SUMS),
}  # fmt: skip
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def fitted(name, *args, **kwargs):
    cls, arguments, y = FITS[name]
    if "model" in arguments or "hidden_layer_sizes" in arguments:
        return cls(max_iter=3, random_state=0, **arguments).fit(X, y, *args, **kwargs)
    return small(cls, **arguments).fit(X, y, *args, **kwargs)


def learned(net):
    """The lines of what an estimator has learned."""
    yield " ".join(f"{n}={shown(np.asarray(getattr(net, n)))}" for n in LEARNED if hasattr(net, n))
    yield f"history { ({k: shown(np.asarray(v, float)) for k, v in net.history_.items()}) }"
    yield f"{type(net.model_.loss).__name__} {net.model_.optimizer!r}"
    for method in METHODS:
        if hasattr(net, method):
            yield f"{method} {shown(getattr(net, method)(X[:5]))}"


@pytest.mark.parametrize("name", FITS)
def test_what_is_learned(name):
    lines = list(learned(fitted(name)))
    if FITS[name][2].ndim == 1:
        lines += ["weighted", *learned(fitted(name, WEIGHT))] if name in WEIGHTED else []
    if name in CONTINUED:
        net = fitted(name)
        net.warm_start = True
        lines += ["continued", *learned(net.fit(X, FITS[name][2]))]
        lines += ["one pass", *learned(net.partial_fit(X, FITS[name][2], sample_weight=WEIGHT))]
        held = {"eval_set": (X[:6], FITS[name][2][:6])}
        lines += ["held out", *learned(fitted(name, **held))]
    check_text(__file__, f"fit {name}.txt", "\n".join(lines))


WEIGHTED = (
    "two",
    "three",
    "numbers",
    "class weights",
    "early",
    "lbfgs",
    "compiled",
    "early numbers",
)
CONTINUED = ("two", "three", "several")


def test_what_is_refused():
    nothing = np.zeros(24)
    fits = {
        "solver": {"solver": "rmsprop"}, "learning_rate": {"learning_rate": "fast"},
        "flags": {"shuffle": 1}, "tol": {"tol": -1.0}, "verbose": {"verbose": 7},
        "max_iter": {"max_iter": 0}, "n_iter_no_change": {"n_iter_no_change": -1},
        "rate": {"learning_rate_init": 0}, "batch": {"batch_size": 0}, "alpha": {"alpha": -1},
        "sizes": {"hidden_layer_sizes": (0,)}, "momentum": {"momentum": 0.5},
        "beta": {"solver": "sgd", "beta_1": 0.5}, "power_t": {"power_t": 1.0},
        "early lbfgs": {"solver": "lbfgs", "early_stopping": True},
        "batch lbfgs": {"solver": "lbfgs", "batch_size": 3},
        "rate and optimizer": {"optimizer": "sgd", "learning_rate_init": 1.0},
        "solver and optimizer": {"optimizer": "sgd", "solver": "lbfgs"},
        "invscaling and optimizer": {"optimizer": "sgd", "learning_rate": "invscaling"},
        "sizes and model": {"model": compiled, "hidden_layer_sizes": (2,)},
        "rate and compiled": {"model": compiled, "learning_rate_init": 1.0},
        "no model": {"model": 3}, "no network": {"model": lambda: 3},
        "outputs": {"model": lambda: nl.Sequential([nl.layers.Dense(5)])},
        "fraction": {"early_stopping": True, "validation_fraction": 1.0},
        "unknown optimizer": {"optimizer": "fastest"}, "loss": {"loss": "no such"},
    }  # fmt: skip
    lines = []
    for title, arguments in fits.items():
        for cls, y in ((C, THREE), (R, SUMS)):
            net = cls(**{"max_iter": 2, "random_state": 0, **arguments})
            said = outcome(lambda n=net, y=y: type(n.fit(X, y)).__name__)
            lines.append(f"{title} {cls.__name__}: {said.partition(' object at')[0]}")
    net = fitted("three")
    calls = {
        "weights below 0": lambda: small(C).fit(X, TWO, nothing - 1),
        "one class": lambda: small(C).fit(X, nothing.astype(int)),
        "columns": lambda: small(C).fit(X, np.stack([THREE, TWO], axis=1)),
        "numbers as classes": lambda: small(C).fit(X, SUMS),
        "another class": lambda: net.partial_fit(X, THREE + 1),
        "no classes": lambda: small(C).partial_fit(X, THREE),
        "first classes": lambda: shown(small(C).partial_fit(X, TWO, [2, 1, 0]).classes_),
        "pass and early": lambda: small(C, early_stopping=True).partial_fit(X, THREE, [0, 1, 2]),
        "eval_set": lambda: small(C).fit(X, TWO, eval_set=[X, TWO]),
        "eval_set of one": lambda: type(small(C).fit(X, TWO, eval_set=[(X, TWO)])).__name__,
        "eval_set of another class": lambda: small(C).fit(X, TWO, eval_set=(X, TWO + 1)),
        "other columns": lambda: net.predict(X[:, :2]), "not fitted": lambda: C().predict(X),
        "outputs of numbers": lambda: fitted("several").partial_fit(X, SUMS),
        "texts as numbers": lambda: small(R).fit(X, SUMS.astype(str)).n_outputs_,
        "three axes": lambda: net.predict(X[:, None]),
    }  # fmt: skip
    lines += [f"{title}: {outcome(call)}" for title, call in calls.items()]
    check_text(__file__, "refused.txt", "\n".join(lines))
    with pytest.raises(ValueError, match="weight"):  # by scikit-learn, or by us where it is old
        small(C).fit(X, TWO, nothing)


def test_parameters():
    """Of the parts too: after each change, what has another value than by default."""
    start = R().get_params()
    lines = [f"{name}: {value!r}" for name, value in sorted(start.items())]
    lines.append(
        f"not deep: {sorted(C(optimizer='sgd').get_params(deep=False)) == sorted(C().get_params())}"
    )
    given = functools.partial(two_outputs, units=4)
    for arguments, changes in (
        ({}, {"optimizer__learning_rate": 0.5}),
        (
            {"solver": "sgd", "momentum": 0.5, "learning_rate_init": 0.2},
            {"optimizer__nesterov": False},
        ),
        ({"optimizer": "rmsprop"}, {"optimizer__rho": 0.5, "alpha": 1.0}),
        ({"optimizer": nl.optimizers.SGD(0.3)}, {"optimizer__momentum": 0.25}),
        ({"model": compiled(3, 1)}, {"optimizer__learning_rate": 0.75}),
        ({"optimizer": "adam"}, {"optimizer": "sgd", "optimizer__momentum": 0.1}),
        ({"model": given}, {"model__units": 5}), ({"model": two_outputs}, {"model__other": 1}),
        ({}, {"model__units": 5}), ({"model": compiled(3, 1)}, {"model__units": 5}),
        ({}, {"optimizer__no": 1}), ({}, {"nothing": 1}),
        ({"optimizer": "no such"}, {"optimizer__momentum": 0.1}), ({"optimizer": 3}, {}),
    ):  # fmt: skip
        net = R(**arguments)
        said = outcome(lambda n=net, c=changes: type(n.set_params(**c)).__name__)
        now = net.get_params()
        changed = {k: v for k, v in sorted(now.items()) if start.get(k, "none") is not v}
        changed = {k: v for k, v in changed.items() if start.get(k, "none") != v and k != "model"}
        lines.append(f"{sorted(arguments)} {changes}: {said.partition(' which has ')[0]} {changed}")
        lines.append(f"  {getattr(net.model, 'keywords', None)}")
    check_text(__file__, "parameters.txt", "\n".join(lines).replace("\n\n", "\n"))


def test_when_training_ends():
    lines = []
    curves = [[3.0, 2.0, 2.0, 1.9, 1.9, 1.9], [1.0, 1.0, 1.0], [1.0, 2.0, 0.5, 0.4, 0.4, 0.4, 0.4]]
    for tol in (0.0, 0.1, 0.5):
        for patience in (0, 1, 2):
            for adaptive in (False, True):
                for losses in curves:
                    optimizer = nl.optimizers.SGD(1e-5)
                    model = SimpleNamespace(optimizer=optimizer, stop_training=False)
                    callback = Plateau(tol, patience, adaptive)
                    callback.model = model
                    callback.on_train_begin()
                    said = []
                    for epoch, loss in enumerate(losses):
                        callback.on_epoch_end(epoch, {"loss": loss})
                        said.append(f"{optimizer.learning_rate:.3g}{'!' * model.stop_training}")
                    lines.append(f"{tol} {patience} {adaptive} {losses}: {' '.join(said)}")
    for first, power, samples in ((0.1, 0.5, 10), (1.0, 2.0, 1)):
        scheduler = inverse_scaling(first, power, samples)
        lines.append(f"{[float(scheduler.schedule(epoch)) for epoch in range(4)]}")
    check_text(__file__, "plateaus.txt", "\n".join(lines))


def test_features_of_hidden_layers():
    lines = []
    for arguments in (
        {},
        {"layer": 0},
        {"layer": -1},
        {"layer": "dense"},
        {"layer": "no"},
        {"layer": 9},
    ):
        for net in (fitted("sizes"), fitted("no hidden")):

            def features(net=net, arguments=arguments):
                made = NeuralNetTransformer(net, **arguments)
                y = SUMS if isinstance(net, R) else TWO
                return made.fit(X, y).transform(X), made.get_feature_names_out()

            lines.append(f"{type(net).__name__} {arguments}: {outcome(features)}")
    check_text(__file__, "features.txt", "\n".join(lines))


def test_tags():
    tags = [estimator.__sklearn_tags__() for estimator in (C(), R(), NeuralNetTransformer(C()))]
    assert [t.input_tags.sparse for t in tags] == [True] * 3
    assert tags[0].classifier_tags.multi_label
    assert [t.target_tags.multi_output for t in tags[:2]] == [False, True]
    assert tags[2].target_tags.required
