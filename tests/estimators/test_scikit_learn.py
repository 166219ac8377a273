"""The estimators in scikit-learn's own checks, and in what is built from estimators."""

import warnings

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

import joblib  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.datasets import load_iris  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import netlayers as nl  # noqa: E402
from netlayers.estimators import (  # noqa: E402
    NeuralNetClassifier,
    NeuralNetRegressor,
    NeuralNetTransformer,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::FutureWarning"
)
X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


def small(**params):
    """Return a classifier that trains for a moment."""
    sizes = {} if "model" in params else {"hidden_layer_sizes": (8,)}
    return NeuralNetClassifier(
        **{**sizes, "learning_rate_init": 0.02, "max_iter": 20, "random_state": 0, **params}
    )


@parametrize_with_checks(
    [
        NeuralNetClassifier((10,), max_iter=20, learning_rate_init=0.05),
        NeuralNetRegressor((10,), max_iter=20, learning_rate_init=0.05),
        NeuralNetTransformer(NeuralNetRegressor((10,), max_iter=5, random_state=0)),
    ]
)
def test_checks_of_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as check_estimator does
        check(estimator)


@pytest.mark.slow
def test_search_in_two_processes():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), small()),
        {
            "neuralnetclassifier__optimizer__learning_rate": [1e-5, 0.03],
            "neuralnetclassifier__hidden_layer_sizes": [(4,), (8, 4)],
            "neuralnetclassifier__batch_size": [16],
        },
        n_jobs=2,
        cv=2,
    )
    search.fit(X, NAMES)
    assert search.best_params_["neuralnetclassifier__optimizer__learning_rate"] == 0.03
    assert search.best_score_ > 0.9
    assert search.predict(X[:2]).tolist() == ["setosa", "setosa"]


def test_calibration_and_cross_validation():
    net = CalibratedClassifierCV(make_pipeline(StandardScaler(), small(max_iter=60)), cv=2)
    assert cross_val_score(net, X, NAMES, cv=2).mean() > 0.85


def test_columns_of_a_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"n": [1.0, 2.0, 3.0, 4.0] * 10, "c": list("xyxz") * 10})
    columns = ColumnTransformer([("n", StandardScaler(), ["n"]), ("c", OneHotEncoder(), ["c"])])
    model = make_pipeline(columns, small(max_iter=100)).fit(frame, list("uvuv") * 10)
    assert model.score(frame, list("uvuv") * 10) == 1.0
    assert "NeuralNetClassifier" in model._repr_html_()


def test_features_of_a_hidden_layer_have_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    features = NeuralNetTransformer(small(hidden_layer_sizes=(8, 3)))
    found = features.set_output(transform="pandas").fit_transform(frame, Y)
    assert list(found.columns) == [f"neuralnettransformer{i}" for i in range(3)]
    assert list(features.feature_names_in_) == list("abcd")
    network = features.estimator_.model_
    h = np.asarray(X)
    for layer in network.layers[:2]:
        h = np.maximum(h @ layer.kernel + layer.bias, 0)
    np.testing.assert_allclose(found.to_numpy(), h, rtol=1e-12)
    by_name = NeuralNetTransformer(small(hidden_layer_sizes=(8, 3)), layer=network.layers[0].name)
    assert by_name.fit(frame, Y).transform(frame).shape == (150, 8)
    weighted = clone(by_name).fit(frame, Y, sample_weight=np.arange(150.0)).transform(frame)
    assert (weighted != by_name.transform(frame)).any()
    none = NeuralNetTransformer(small(hidden_layer_sizes=()))
    with pytest.raises(ValueError, match="has no hidden layer"):
        none.fit(X, Y)


def test_files_of_joblib(tmp_path):
    net = small().fit(X, NAMES)
    joblib.dump(net, tmp_path / "net.joblib")
    found = joblib.load(tmp_path / "net.joblib")
    np.testing.assert_array_equal(found.predict_proba(X), net.predict_proba(X))
    found.partial_fit(X, NAMES)  # with the moments of Adam
    net.partial_fit(X, NAMES)
    np.testing.assert_array_equal(found.predict_proba(X), net.predict_proba(X))


def test_parameters_of_the_parts():
    net = small().set_params(optimizer__learning_rate=0.5)
    assert net.get_params()["optimizer__learning_rate"] == 0.5
    assert net.get_params()["optimizer__epsilon"] == 1e-8  # of the solver
    assert clone(net).get_params()["optimizer__learning_rate"] == 0.5
    named = small(optimizer="sgd", learning_rate_init=0.001)
    assert named.get_params()["optimizer__momentum"] == 0.0
    assert "optimizer__momentum" not in named.get_params(deep=False)
    assert named.set_params(optimizer__momentum=0.5).optimizer.momentum == 0.5

    def build(n_outputs, units=3, kind="relu"):
        return nl.Sequential([nl.layers.Dense(units, kind), nl.layers.Dense(n_outputs)])

    net = small(model=build).set_params(model__units=5).set_params(model__kind="tanh")
    assert {"model__units": 5, "model__kind": "tanh"}.items() <= clone(net).get_params().items()
    assert net.fit(X, Y).model_.layers[0].units == 5
    with pytest.raises(ValueError, match="optimizer__rate is not an argument of Adam, which has"):
        small().set_params(optimizer__rate=1)
    with pytest.raises(ValueError, match="model__units can be set only if model is a function"):
        small().set_params(model__units=1)
    with pytest.raises(ValueError, match="model__size is not an argument of the function model, w"):
        net.set_params(model__size=1)
    with pytest.raises(ValueError, match="Invalid parameter 'units'"):
        small().set_params(units=1)


def test_model_seed_comes_before_random_state():
    def build(n_outputs, seed):
        return nl.Sequential([nl.layers.Dense(n_outputs)], seed=seed)

    def loss(random_state, seed):
        net = small(model=build, random_state=random_state, max_iter=1, batch_size=150)
        return net.set_params(model__seed=seed).fit(X, Y).loss_

    assert loss(0, 5) == loss(1, 5) != loss(0, 6)


def test_warns_if_the_loss_still_falls():
    with pytest.warns(ConvergenceWarning, match="max_iter=3 was reached while the loss"):
        small(max_iter=3).fit(X, Y)
