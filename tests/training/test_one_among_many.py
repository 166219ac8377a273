"""One batch, input, weight or output that differs from the others is not lost among them."""

import numpy as np
import pytest

import netlayers as nl

RNG = np.random.default_rng(0)
X, Y, W = RNG.normal(size=(12, 3)), RNG.normal(size=(12, 1)), RNG.uniform(0.5, 2, 12)


def make(optimizer="sgd", **options):
    layers = [nl.layers.Dense(3, "tanh"), nl.layers.LayerNormalization(), nl.layers.Dense(1)]
    model = nl.Sequential(layers, seed=0, dtype="float64", **options)
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize("weighted", [(), (0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_some_batches_have_weights(weighted):
    weight = np.ones(12)
    batches = []
    for i in range(3):
        at = slice(4 * i, 4 * i + 4)
        if i in weighted:
            weight[at] = W[at]
            batches.append((X[at], Y[at], W[at]))
        else:
            batches.append((X[at], Y[at]))
    streamed, whole = make(), make()
    streamed.fit_lbfgs(batches, max_iterations=5, verbose=0)
    whole.fit_lbfgs(X, Y, sample_weight=weight, max_iterations=5, verbose=0)
    np.testing.assert_allclose(streamed.parameters.values, whole.parameters.values, rtol=1e-9)


@pytest.mark.parametrize("names", [["bias"], ["bias", "gamma"], ["gamma", "beta", "bias"]])
def test_weights_that_one_of_several_patterns_leaves_out(names, tmp_path):
    optimizer = nl.optimizers.SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=names)
    model = make(optimizer)
    model.build((None, 3))
    for p in model.parameters.all:
        p.value[...] = 1.0 + np.arange(p.value.size).reshape(p.shape)
    start = {p.path: p.value.copy() for p in model.parameters.all}
    model.parameters.gradients[...] = 0
    optimizer.step(model.parameters)
    decayed = {
        path
        for path, p in ((p.path, p) for p in model.parameters.all)
        if not np.array_equal(p.value, start[path])
    }
    assert decayed == {path for path in start if not any(name in path for name in names)}
    model.save(tmp_path / "model")
    again = nl.load_model(tmp_path / "model")
    for one in (model, again):
        one.fit(X, Y, epochs=2, verbose=0)
    np.testing.assert_array_equal(again.parameters.values, model.parameters.values)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_metric_that_is_there_twice_among_others(place):
    twice = nl.metrics.MeanAbsoluteError()
    metrics = [nl.metrics.RootMeanSquaredError(), nl.metrics.R2Score()]
    metrics.insert(place, twice)
    model = make()
    model.compile("sgd", "mse", metrics=[*metrics, twice])
    with pytest.raises(nl.errors.ConfigurationError, match="there twice"):
        model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("weighted", [0, 1, 2])
def test_an_area_of_batches_of_which_one_has_weights(weighted):
    y, p = RNG.integers(0, 2, (30, 1)), RNG.uniform(size=(30, 1))
    w = RNG.integers(0, 4, 30).astype(float)
    weight = np.ones(30)
    metric, whole = nl.metrics.AUC(), nl.metrics.AUC()
    for i in range(3):
        at = slice(10 * i, 10 * i + 10)
        if i == weighted:
            weight[at] = w[at]
            metric.update_state(y[at], p[at], w[at])
        else:
            metric.update_state(y[at], p[at])
    whole.update_state(y, p, weight)
    assert metric.result() == whole.result() > 0
    p[weighted] = np.nan
    metric.update_state(y, p)
    assert np.isnan(metric.result())


@pytest.mark.parametrize("make_metric", [nl.metrics.R2Score, nl.metrics.ExplainedVariance])
def test_one_output_whose_targets_are_all_the_same(make_metric):
    t = RNG.normal(size=(20, 3))
    p = t + 0.3 * RNG.normal(size=t.shape)
    t[:, 1] = 2.0
    single = make_metric(None)(t, p)
    assert single[1] == 0
    variance = t.var(axis=0)
    expected = (variance[0] * single[0] + variance[2] * single[2]) / (variance[0] + variance[2])
    assert make_metric("variance_weighted_average")(t, p) == pytest.approx(expected)
    assert make_metric("uniform_average")(t, p) == pytest.approx(single.mean())
    constant = np.full((20, 3), 2.0)
    assert make_metric("variance_weighted_average")(constant, p) == 0
    assert make_metric("variance_weighted_average")(constant, constant) == 1


@pytest.mark.parametrize("place", [0, 5, 11])
def test_lbfgs_ends_at_one_gradient_that_is_not_finite(place):
    model = make()
    model.build((None, 3))

    class Broken:
        reduction = "sum"

        def forward(self, y_true, y_pred, sample_weight=None):
            self._shape = y_pred.shape
            return 1.0

        def backward(self):
            d = np.zeros(self._shape)
            d[place] = np.nan
            return d

    before = model.parameters.values.copy()
    model.compile("sgd", Broken())
    with pytest.raises(nl.errors.NonFiniteError):
        model.fit_lbfgs(X, Y, verbose=0)
    np.testing.assert_array_equal(model.parameters.values, before)
