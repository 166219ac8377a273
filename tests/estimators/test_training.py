"""How the estimators train, and what they give."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.neural_network import MLPClassifier
from sklearn.utils import compute_sample_weight

import netlayers as nl
from netlayers.estimators import NeuralNetClassifier, NeuralNetRegressor
from netlayers.estimators.rates import Plateau, inverse_scaling

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
FIXED = {"tol": 0.0, "n_iter_no_change": 1000}  # train to the end


def small(**params):
    """Return a classifier that trains for a moment."""
    sizes = {} if "model" in params else {"hidden_layer_sizes": (8,)}
    return NeuralNetClassifier(
        **{**sizes, "learning_rate_init": 0.02, "max_iter": 20, "random_state": 0, **params}
    )


def weights(net):
    """Return a copy of all weights in one vector."""
    return np.concatenate([w.ravel() for w in net.model_.get_weights()])


@pytest.mark.parametrize("params", [{"solver": "sgd"}, {"solver": "adam", "alpha": 3.0}])
def test_epochs_are_those_of_scikit_learn(params):
    """Five epochs in one batch from the same weights, with the penalty."""
    common = {"max_iter": 5, "warm_start": True, "random_state": 0, **params, **FIXED}
    theirs = MLPClassifier((4,), **common).fit(X, Y)
    ours = NeuralNetClassifier((4,), **common).fit(X, Y)
    start = [w for pair in zip(theirs.coefs_, theirs.intercepts_, strict=True) for w in pair]
    ours.model_.set_weights(start)
    ours.model_.compile(ours._new_optimizer(), ours.model_.loss)
    theirs.fit(X, Y)
    ours.fit(X, Y)
    np.testing.assert_allclose(ours.loss_curve_[5:], theirs.loss_curve_[-5:], rtol=1e-9)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-7)


def test_targets_by_name():
    net = small(max_iter=100).fit(X, NAMES)
    assert net.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert net.score(X, NAMES) > 0.95
    p = net.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(net.predict_log_proba(X), np.log(p))
    np.testing.assert_array_equal(net.predict(X), net.classes_[p.argmax(axis=1)])
    z = net.decision_function(X)
    np.testing.assert_allclose(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), p)


@pytest.mark.parametrize("outputs", ["one", "two", "probabilities", "two probabilities"])
def test_two_classes(outputs):
    last = {
        "one": nl.layers.Dense(1),
        "two": nl.layers.Dense(2),
        "probabilities": nl.layers.Dense(1, "sigmoid"),
        "two probabilities": nl.layers.Dense(2, "softmax"),
    }[outputs]
    model = nl.Sequential([nl.layers.Dense(8, "tanh"), last], dtype="float64")
    y = np.where(Y == 2, "yes", "no")
    net = small(model=model, max_iter=40, learning_rate_init=0.05).fit(X, y)
    p, z = net.predict_proba(X), net.decision_function(X)
    assert p.shape == (150, 2)
    assert z.shape == (150,)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-z)), rtol=1e-9)
    np.testing.assert_array_equal(net.predict(X), np.where(z > 0, "yes", "no"))
    assert net.score(X, y) > 0.9


def test_several_labels():
    x, y = make_multilabel_classification(120, 8, random_state=0)
    x /= x.max()
    net = small(max_iter=100, learning_rate_init=0.1).fit(x, y)
    p = net.predict_proba(x)
    assert p.shape == y.shape
    np.testing.assert_array_equal(net.predict(x), (p > 0.5).astype(int))
    np.testing.assert_allclose(net.decision_function(x), np.log(p / (1 - p)), rtol=1e-6)
    assert (net.predict(x) == y).mean() > 0.7
    probabilities = nl.Sequential([nl.layers.Dense(5, "sigmoid")])
    given = small(model=probabilities).fit(x, y)
    assert ((given.predict_proba(x) > 0.5) == given.predict(x)).all()


def test_several_numbers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3))
    y = x @ rng.normal(size=(3, 2))
    net = NeuralNetRegressor((16,), learning_rate_init=0.02, max_iter=100, random_state=0)
    assert net.fit(x, y).predict(x).shape == (100, 2)
    assert net.score(x, y) > 0.9
    assert net.fit(x, y[:, 0]).predict(x).shape == (100,)
    with pytest.raises(ValueError, match="y must have 1 columns as in the first fit, got 2"):
        net.partial_fit(x, y)


def test_partial_fit_continues_to_the_bit():
    whole = small(max_iter=5, batch_size=32, **FIXED).fit(X, NAMES)
    parts = small(batch_size=32)
    for _ in range(5):
        parts.partial_fit(X, NAMES, classes=np.unique(NAMES))
    np.testing.assert_array_equal(weights(parts), weights(whole))
    assert parts.n_iter_ == 5
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.loss_ == parts.loss_curve_[-1]
    assert parts.best_loss_ == min(parts.loss_curve_)


def test_warm_start_continues_to_the_bit():
    whole = small(max_iter=6, **FIXED).fit(X, Y)
    parts = small(max_iter=3, warm_start=True, **FIXED).fit(X, Y).fit(X, Y)
    np.testing.assert_array_equal(weights(parts), weights(whole))
    again = small(max_iter=3, **FIXED).fit(X, Y).fit(X, Y)  # begins anew
    assert again.n_iter_ == 3
    assert parts.n_iter_ == 6


def test_class_weights_are_weights_of_samples():
    few = np.r_[0:50, 50:60, 100:105]
    balanced = small(class_weight="balanced").fit(X[few], NAMES[few])
    by_hand = small().fit(
        X[few], NAMES[few], sample_weight=compute_sample_weight("balanced", NAMES[few])
    )
    np.testing.assert_array_equal(weights(balanced), weights(by_hand))
    assert (weights(balanced) != weights(small().fit(X[few], NAMES[few]))).any()
    twice = small(class_weight={"setosa": 2.0}).fit(X, NAMES)
    by_hand = small().fit(X, NAMES, sample_weight=np.where(NAMES == "setosa", 2.0, 1.0))
    np.testing.assert_array_equal(weights(twice), weights(by_hand))
    for part in (small(), NeuralNetRegressor((8,), random_state=0)):
        classes = {"classes": [0, 1, 2]} if isinstance(part, NeuralNetClassifier) else {}
        heavy = clone(part).partial_fit(X, Y, sample_weight=np.arange(150.0), **classes)
        assert (weights(heavy) != weights(part.partial_fit(X, Y, **classes))).any()
    both = small(class_weight={"setosa": 2.0}).fit(X, NAMES, sample_weight=np.arange(150.0))
    by_hand = small().fit(X, NAMES, np.where(NAMES == "setosa", 2.0, 1.0) * np.arange(150))
    np.testing.assert_array_equal(weights(both), weights(by_hand))
    with pytest.raises(ValueError, match="all weights of samples are 0"):
        small(class_weight=dict.fromkeys(np.unique(NAMES), 0.0)).fit(X, NAMES)
    with pytest.raises(ValueError, match=r"at least one non-zero|are 0"):
        small().fit(X, NAMES, sample_weight=np.zeros(150))


def test_early_stopping_restores_the_best():
    net = small(early_stopping=True, max_iter=200, validation_fraction=0.2, n_iter_no_change=3)
    net.fit(X, NAMES)
    assert len(net.validation_scores_) == net.n_iter_ < 200
    assert net.best_validation_score_ == max(net.validation_scores_)
    x, held = X[::2], X[1::2]
    net = small(early_stopping=True, max_iter=50, n_iter_no_change=50)
    net.fit(x, NAMES[::2], eval_set=(held, NAMES[1::2]))
    assert net.score(held, NAMES[1::2]) == pytest.approx(net.best_validation_score_)
    net = NeuralNetRegressor(
        (8,), early_stopping=True, random_state=0, max_iter=5, learning_rate_init=0.1
    ).fit(x, held, eval_set=[(held, x)])
    assert net.score(held, x) == pytest.approx(net.best_validation_score_)


def test_sparse_samples():
    sparse = pytest.importorskip("scipy.sparse")
    for kind in (sparse.csr_array, sparse.csc_matrix):
        net = small(early_stopping=True, n_iter_no_change=50).fit(kind(X), NAMES)
        dense = small(early_stopping=True, n_iter_no_change=50).fit(X, NAMES)
        np.testing.assert_allclose(net.predict_proba(kind(X)), dense.predict_proba(X), rtol=1e-9)


def test_images():
    def build(n_outputs, seed):
        convolution = nl.layers.Conv2D(4, 3, activation="relu")
        return nl.Sequential(
            [convolution, nl.layers.Flatten(), nl.layers.Dense(n_outputs)], seed=seed
        )

    x = np.zeros((20, 6, 6, 1))
    y = np.arange(20) % 2
    x[::2, 2, :] = x[1::2, :, 2] = 1
    net = small(model=build, max_iter=40).fit(x, y)
    assert net.score(x, y) == 1.0


def test_compiled_model_is_the_pattern():
    model = nl.Sequential([nl.layers.Dense(12, "tanh"), nl.layers.Dense(3, "softmax")])
    model.compile(nl.optimizers.Adam(0.03), "sparse_categorical_crossentropy", metrics=["accuracy"])
    net = small(model=model, max_iter=60, learning_rate_init=0.001).fit(X, NAMES)
    assert net.model_ is not model
    assert not model.built
    assert net.history_["accuracy"][-1] > 0.9
    assert net.model_.optimizer.learning_rate == 0.03
    slower = clone(net).set_params(optimizer__learning_rate=0.01, learning_rate_init=0.001)
    assert slower.fit(X, NAMES).model_.optimizer.learning_rate == 0.01
    model.build((None, X.shape[1] + 2))  # the pattern may be built for other columns
    other = clone(slower).set_params(model=model, max_iter=1).fit(X, NAMES)
    assert other.model_.input_shape == (None, X.shape[1])
    assert "accuracy" in slower.history_
    again = small(model=model, max_iter=60, learning_rate_init=0.001).fit(X, NAMES)
    np.testing.assert_array_equal(weights(again), weights(net))  # by random_state
    with pytest.raises(ValueError, match="has no effect with a compiled model"):
        small(model=model).fit(X, NAMES)


def test_callbacks_are_copied():
    stop = nl.callbacks.EarlyStopping("loss", min_delta=10.0)
    net = small(callbacks=[stop]).fit(X, Y)
    assert net.n_iter_ == 2
    assert stop.best is None


def test_lbfgs():
    x, y = load_diabetes(return_X_y=True)
    net = NeuralNetRegressor((16,), solver="lbfgs", max_iter=30, alpha=10.0, random_state=0)
    assert net.fit(x, y).score(x, y) > 0.45
    assert net.n_iter_ == 30


def test_rates():
    rate = inverse_scaling(0.1, 0.5, samples=8)
    assert [rate.schedule(epoch) for epoch in (0, 1, 3)] == [0.1, 0.1 / 3, 0.1 / 5]

    class Model:
        stop_training = False
        optimizer = nl.optimizers.SGD(0.5)

    stop = Plateau(0.1, patience=1, adaptive=False)
    stop.set_model(Model())
    stop.on_train_begin()
    ended = []
    for epoch, loss in enumerate([1.0, 0.9, 0.85, 0.7, 0.65, 0.61]):
        stop.on_epoch_end(epoch, {"loss": loss})
        ended.append(stop.model.stop_training)
    assert ended == [False] * 5 + [True]  # 0.9 and 0.7 improve; 0.65 and 0.61 do not
    slow = Plateau(0.0, patience=0, adaptive=True)
    slow.set_model(Model())
    slow.on_train_begin()
    for epoch in range(12):
        slow.on_epoch_end(epoch, {"loss": float(epoch)})
    assert slow.model.stop_training
    assert slow.model.optimizer.learning_rate == pytest.approx(0.5 / 5**9)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"solver": "lbfgs", "batch_size": 10, "learning_rate_init": 0.001}, "batch_size=10 has n"),
        ({"momentum": 0.5}, "momentum=0.5 has no effect with solver='adam'"),
        ({"solver": "sgd", "beta_1": 0.5}, "beta_1=0.5 has no effect with solver='sgd'"),
        ({"optimizer": "adam"}, "learning_rate_init=0.02 has no effect with optimizer"),
        (
            {"optimizer": "adam", "learning_rate_init": 0.001, "learning_rate": "invscaling"},
            "give optimizer a learning rate schedule",
        ),
        ({"power_t": 0.3}, "power_t=0.3 has no effect with learning_rate='constant'"),
        ({"solver": "newton"}, "solver must be one of 'adam', 'sgd', 'lbfgs'"),
        ({"model": 3, "alpha": 0.1}, "alpha=0.1 has no effect with model"),
        ({"solver": "lbfgs", "learning_rate_init": 0.001, "shuffle": False}, "shuffle=False has n"),
        ({"model": 3}, "model must be a function of n_inputs and n_outputs"),
        ({"model": lambda: 3}, "must return a netlayers model, got int"),
        ({"model": lambda: nl.Sequential([nl.layers.Dense(7)])}, "need a network with 3 outputs"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must be an integer >= 1, got 0"),
        ({"alpha": -1.0}, "alpha must be a finite number >= 0"),
        ({"max_iter": 0}, "max_iter must be an integer >= 1"),
        ({"shuffle": 2}, "shuffle must be True or False"),
        ({"early_stopping": True, "validation_fraction": 1.0}, "validation_fraction must be"),
        ({"verbose": 5}, "verbose must be one of"),
    ],
)
def test_wrong_parameters(params, message):
    net = small(**params)
    with pytest.raises(ValueError, match=message):
        net.fit(X, NAMES)
    assert not hasattr(net, "model_")


def test_wrong_data():
    with pytest.raises(ValueError, match="y has 1 class, 'setosa'; at least 2"):
        small().fit(X[:50], NAMES[:50])
    with pytest.raises(ValueError, match="MultiOutputClassifier"):
        small().fit(X, np.stack([Y, Y], axis=1))
    net = small().partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"y has the class 3, which is not among"):
        net.partial_fit(X, Y + 1)
    with pytest.raises(ValueError, match="eval_set must be a tuple"):
        small().fit(X, Y, eval_set=X)
    for held in [(X[:, :2], Y), (X, Y + 3), (X + np.nan, Y), (X, Y[:3])]:
        with pytest.raises(ValueError, match="eval_set"):
            small().fit(X, Y, eval_set=held)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        small(early_stopping=True).partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.warns(UserWarning, match="batch_size=1000 is larger than the 150 samples"):
        small(batch_size=1000, max_iter=1).fit(X, Y)
