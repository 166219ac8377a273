"""Gradients by rows: the same updates as those of the dense form."""

import copy
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers import optimizers as opt
from netlayers.core.gradients import RowGradient
from netlayers.diagnostics.layer_statistics import StepMeasures
from netlayers.errors import ConfigurationError, NonFiniteError
from netlayers.testing.values import peak_of
from tests.optimizers.networks import RULES

ROWS = 11


class Table(nl.layers.Layer):
    """Rows of a table by their numbers, with a gradient by rows or a dense one."""

    def __init__(self, rows=ROWS, units=3, by_rows=True, regularizer=None, constraint=None, **kw):
        super().__init__(**kw)
        self.rows, self.units, self.by_rows = rows, units, by_rows
        self.regularizer, self.constraint = regularizer, constraint

    def build(self, input_shape):
        self.add_weight(
            "table",
            (self.rows, self.units),
            "normal",
            self.regularizer,
            constraint=self.constraint,
            row_gradient=self.by_rows,
        )

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.units)

    def forward(self, x, training=False):
        x = self.prepare(x)
        at = x.astype(np.intp)
        if training:
            self.cache.at = at
        return self.table[at]

    def backward(self, dy):
        at = self.cache.at.reshape(-1)
        dy = dy.reshape(-1, self.units)
        if self.by_rows:
            self.d_table.set(at, dy)
        else:
            self.d_table[...] = 0
            np.add.at(self.d_table, at, dy)
        return np.zeros(self.cache.at.shape, dy.dtype)


def network(by_rows, optimizer, loss="mse", dtype="float32", **options):
    layers = [Table(by_rows=by_rows, name="words", **options), nl.layers.Flatten()]
    layers += [nl.layers.Dense(4, "tanh"), nl.layers.Dense(2)]
    model = nl.Sequential(layers, seed=1, dtype=dtype)
    model.compile(optimizer, loss)
    return model


def data(seed=0, n=24, steps=4):
    rng = np.random.default_rng(seed)
    return rng.integers(0, ROWS - 3, (n, steps)).astype("float32"), rng.normal(size=(n, 2))


def trained(by_rows, make, options, epochs=2, dtype="float32"):
    x, y = data()
    model = network(by_rows, make(), dtype=dtype, **options)
    model.fit(x, y, 5, epochs=epochs, verbose=0)
    return model


SETTINGS = [
    {},
    {"weight_decay": 0.1},
    {"clipnorm": 0.01},
    {"clipvalue": 0.001},
    {"global_clipnorm": 0.01},
    {"gradient_accumulation_steps": 3, "global_clipnorm": 0.05},
    {"use_ema": True, "ema_overwrite_frequency": 3},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", sorted(set(RULES) - {"LazyAdam"}))
def test_the_updates_are_those_of_the_dense_form(name, settings):
    models = [
        trained(by_rows, lambda: getattr(opt, name)(0.05, **settings), {}, dtype="float64")
        for by_rows in (True, False)
    ]
    assert models[0].optimizer.iterations > 0
    for got, expected in zip(*(model.get_weights() for model in models), strict=True):
        exact = name in ("SGD", "Adagrad") and not {"clipnorm", "global_clipnorm"} & set(settings)
        if exact:
            assert got.tobytes() == expected.tobytes()
        else:  # a norm adds up its squares in another order
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    for key, vector in models[0].optimizer.state.items():
        if key != "gradient_sum":
            np.testing.assert_allclose(
                vector, models[1].optimizer.state[key], rtol=1e-9, atol=1e-12
            )


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "Adam"])
@pytest.mark.parametrize("options", [{"regularizer": "l2"}, {"constraint": "unit_norm"}], ids=str)
def test_penalties_and_constraints(name, options):
    for more in ({}, {"gradient_accumulation_steps": 2}):
        models = [
            trained(by_rows, lambda s=more: getattr(opt, name)(0.05, **s), options)
            for by_rows in (True, False)
        ]
        for got, expected in zip(*(model.get_weights() for model in models), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)


def test_only_touched_rows_change():
    x, y = data()
    model = network(True, opt.Adagrad(0.1))
    model.build((None, 4))
    before = model.layers[0].table.copy()
    model.train_on_batch(x, y)
    changed = (model.layers[0].table != before).any(axis=1)
    assert set(np.flatnonzero(changed)) == set(np.unique(x).astype(int))
    assert model.layers[0].d_table.rows.tolist() == sorted(np.unique(x).astype(int))
    assert model.parameters.gradients.size == model.parameters.values.size - ROWS * 3


@given(st.integers(0, 99), st.integers(0, 40), st.sampled_from([(), (1,), (3,), (2, 2)]))
@settings(max_examples=50, deadline=None)
def test_repeats_are_added_in_their_order(seed, count, shape):
    rng = np.random.default_rng(seed)
    rows, values = rng.integers(0, 5, count), rng.normal(size=(count, *shape)).astype("float32")
    dense = np.zeros((5, *shape), "float32")
    np.add.at(dense, rows, values)
    gradient = RowGradient((5, *shape), np.dtype("float32"))
    gradient.set(rows, values)
    assert gradient.dense().tobytes() == dense.tobytes()
    assert np.asarray(gradient).tobytes() == dense.tobytes()
    assert (np.diff(gradient.rows) > 0).all()
    gradient.clear()
    assert not gradient.dense().any()
    assert not len(gradient.rows)


@given(st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_a_sum_of_two_does_not_depend_on_their_order(seed):
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(2):
        count = rng.integers(0, 9)
        part = RowGradient((6, 2), np.dtype("float32"))
        part.set(rng.integers(0, 6, count), rng.normal(size=(count, 2)))
        parts.append(part)
    sums = []
    for first, second in (parts, parts[::-1]):
        total = copy.deepcopy(first)
        total.add(second.rows, second.values)
        sums.append(total)
    assert sums[0].rows.tolist() == sums[1].rows.tolist()
    assert sums[0].values.tobytes() == sums[1].values.tobytes()
    np.testing.assert_array_equal(sums[0].dense(), parts[0].dense() + parts[1].dense())


@pytest.mark.parametrize("policy", ["raise", "skip"])
def test_a_gradient_that_is_not_finite(policy):
    model = network(True, "sgd")
    model.build((None, 4))
    optimizer, before = opt.SGD(0.1, on_nonfinite=policy), model.layers[0].table.copy()
    model.layers[0].d_table.set([4, 1], [[1, 2, 3], [1, np.nan, 3]])
    if policy == "raise":
        with pytest.raises(NonFiniteError, match=r"'table' of layer 'words' is not finite .1 of"):
            optimizer.step(model.parameters)
    else:
        assert not optimizer.step(model.parameters)
        assert optimizer.skipped == 1
    assert model.layers[0].table.tobytes() == before.tobytes()


@pytest.mark.parametrize("after", [1, 2, 3])
def test_saved_and_resumed(tmp_path, after):
    x, y = data()
    model = network(True, opt.Adam(0.1, gradient_accumulation_steps=2, use_ema=True))
    for _ in range(after):
        model.train_on_batch(x, y)
    model.save(tmp_path / "m.safetensors")
    other = nl.load_model(tmp_path / "m.safetensors", custom_objects={"Table": Table})
    for _ in range(3):
        model.train_on_batch(x, y)
        other.train_on_batch(x, y)
    assert other.parameters.values.tobytes() == model.parameters.values.tobytes()


def test_the_order_in_a_file_is_that_of_the_layers():
    """Also where the vector has another one: state of a dense layer before and behind a table."""
    x, y = data()
    models = [network(by_rows, opt.Adam(0.1), dtype="float64") for by_rows in (True, False)]
    for model in models:
        model.train_on_batch(x, y)
    by_rows, dense = models
    table = by_rows.parameters.all[0]
    assert (table.slice.start, by_rows.parameters.own_slice(table).start) == (
        by_rows.parameters.gradients.size,
        0,
    )
    for key in ("m", "v"):
        np.testing.assert_allclose(
            by_rows.optimizer.state[key], dense.optimizer.state[key], rtol=1e-9, atol=1e-15
        )


def test_gradients_are_checked_measured_and_traced():
    x, y = data()
    model = network(True, opt.SGD(0.1, global_clipnorm=0.01), dtype="float64")
    report = nl.check_gradients(model, x + 0.5, y, loss="mse")  # no integer is crossed
    assert report.passed, report
    twin = network(False, opt.SGD(0.1, global_clipnorm=0.01), dtype="float64")
    values = []
    for each in (model, twin):
        each.build((None, 4))
        step = StepMeasures(each, each.optimizer)
        with step:
            each.train_on_batch(x, y)
        values.append(step.values)
    for measure in ("gradient_norm", "update_ratio", "clipped"):
        assert values[0][measure]["words"] == pytest.approx(values[1][measure]["words"])
    model.trace(x[:4], y[:4])


def test_a_large_table_that_is_made_dense_warns_once():
    x, y = data()
    model = network(True, opt.Adam(), rows=1 << 19)
    with pytest.warns(UserWarning, match=r"Adam.*'words/table'.*6 MiB in addition"):
        model.fit(x, y, verbose=0)
    model.layers[2].trainable = False
    model.fit(x, y, verbose=0)
    network(True, opt.Adagrad(), rows=1 << 19).fit(x, y, verbose=0)


def test_frozen_and_thawed():
    x, y = data()
    model = network(True, opt.SGD(0.1))
    model.layers[0].trainable = False
    model.fit(x, y, verbose=0)
    before = model.layers[0].table.copy()
    model.layers[0].trainable = True
    model.fit(x, y, verbose=0)
    assert (model.layers[0].table != before).any()


LAZY = [
    lambda: opt.SGD(0.1),
    lambda: opt.Adagrad(0.1),
    lambda: opt.LazyAdam(0.1, amsgrad=True),
    lambda: opt.LazyAdam(0.1, clipnorm=1.0),
]


@pytest.mark.parametrize("make", LAZY)
def test_unused_rows_are_neither_changed_nor_copied(make):
    rows, units = 100_000, 8
    layers = [nl.layers.Embedding(rows, units, name="words"), nl.layers.Dense(1)]
    model = nl.Sequential(layers, seed=0)
    model.compile(make(), "mse")
    x, y = np.arange(100, 116), np.ones((16, 1))
    model.train_on_batch(x, y)
    weights, optimizer = model.parameters.all[0], model.optimizer
    tables = [weights.value, *optimizer.state.values()]
    tables = [t.reshape(-1)[: rows * units].reshape(rows, units) for t in tables]
    for table in tables:  # what any arithmetic, or the removal of denormal numbers, would change
        table[:100], table[116:] = 1e-42, -0.0
    before = [table.copy() for table in tables]
    step = functools.partial(model.train_on_batch, x, y)
    for _ in range(120):
        step()
    for table, kept in zip(tables, before, strict=True):
        assert table[:100].tobytes() == kept[:100].tobytes()
        assert table[116:].tobytes() == kept[116:].tobytes()
        assert (table[100:116] != kept[100:116]).any(axis=1).all()
    assert peak_of(step) < weights.value.nbytes / 50


def test_lazy_adam_leaves_the_moments_of_unused_rows():
    """Rows 0 and 1, and rows 1 and 2, in turns, by the formulas; a dense weight is as in Adam."""
    model = nl.Sequential([nl.layers.Embedding(3, 2), nl.layers.Dense(1)], dtype="float64", seed=3)
    model.compile(opt.LazyAdam(0.1), "mse")
    twin = nl.Sequential([nl.layers.Embedding(3, 2), nl.layers.Dense(1)], dtype="float64", seed=3)
    twin.compile(opt.SGD(0.1), "mse")
    y = np.array([[1.0], [-2.0]])
    model.build((None,))
    twin.build((None,))
    sizes = [p.size for p in model.parameters.all]
    m, v = np.zeros(sum(sizes)), np.zeros(sum(sizes))
    for t in range(1, 7):
        x = np.array([0, 1]) + t % 2
        twin.set_weights(model.get_weights())
        w = np.concatenate([each.ravel() for each in model.get_weights()])
        twin.train_on_batch(x, y)
        g = np.concatenate([np.asarray(p.gradient).ravel() for p in twin.parameters.all])
        used = np.ones(len(g), bool)
        used[:6] = np.repeat(np.isin(np.arange(3), x), 2)
        m = np.where(used, 0.9 * m + 0.1 * g, m)
        v = np.where(used, 0.999 * v + 0.001 * g * g, v)
        alpha = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        model.train_on_batch(x, y)
        now = np.concatenate([each.ravel() for each in model.get_weights()])
        expected = np.where(used, w - alpha * m / (np.sqrt(v) + 1e-7), w)
        np.testing.assert_allclose(now, expected, rtol=1e-9)


def test_what_can_have_no_gradient_by_rows():
    class Wrong(nl.layers.Layer):
        def build(self, input_shape):
            self.add_weight("w", (2, 2), statistic=True, row_gradient=True)

    with pytest.raises(ConfigurationError, match="row_gradient"):
        Wrong().build((None, 2))


def test_lbfgs_takes_them():
    pytest.importorskip("scipy")
    x, y = data()
    ends = []
    for by_rows in (True, False):
        model = network(by_rows, "sgd", dtype="float64")
        model.fit_lbfgs(x, y, max_iterations=5, verbose=0)
        ends.append(model.get_weights())
    for got, expected in zip(*ends, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-9)
