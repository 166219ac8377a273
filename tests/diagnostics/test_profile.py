"""Where the time of a step goes."""

import re

import numpy as np
import pytest

import netlayers as nl
from netlayers.diagnostics.profiling import ProfileReport, ProfileRow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 32)


class Slow(nl.layers.Layer):
    """Waits, forward and backward."""

    def __init__(self, forward=0.0, backward=0.0, **kwargs):
        super().__init__(**kwargs)
        self.waits = forward, backward

    def forward(self, x, training=False):
        wait(self.waits[0])
        return self.prepare(x)

    def backward(self, dy):
        wait(self.waits[1])
        return dy


class Clock:
    """Stands still but for what :func:`wait` adds, so that times are exact on any machine."""

    now = 0.0


@pytest.fixture
def clock(monkeypatch):
    Clock.now = 0.0
    monkeypatch.setattr("netlayers.diagnostics.profiling.time.perf_counter", lambda: Clock.now)


def wait(seconds):
    Clock.now += seconds


def compiled(*layers, optimizer="adam", loss="sparse_categorical_crossentropy", metrics=None):
    model = nl.Sequential([*layers], seed=0, name="net")
    model.compile(optimizer, loss, metrics=metrics)
    return model


def rows(report):
    return {row.name: row for row in report.rows}


def test_time_is_put_down_to_the_part_that_took_it(clock):
    inner = nl.layers.Residual([Slow(2e-3, 5e-3, name="inner")], name="block")
    model = compiled(
        nl.layers.Dense(6), inner, Slow(1e-3, 0, name="one"), nl.layers.Dense(3, "softmax")
    )
    report = model.profile(X, Y, steps=7)
    # What waits in a container is not the container's time, nor the model's: they have no rows.
    assert {row.name: (row.forward, row.backward) for row in report.rows if row.seconds} == {
        "block/inner": pytest.approx((2e-3, 5e-3)),
        "one": pytest.approx((1e-3, 0)),
    }
    assert report.step == pytest.approx(8e-3)


def test_slow_losses_metrics_and_optimizers_are_seen(clock):
    class SlowLoss(nl.losses.MeanSquaredError):
        def forward(self, *args):
            wait(1e-3)
            return super().forward(*args)

        def backward(self):
            wait(2e-3)
            return super().backward()

    class SlowMetric(nl.metrics.MeanAbsoluteError):
        def update_state(self, *args):
            wait(1.5e-3)
            super().update_state(*args)

    class SlowSGD(nl.optimizers.SGD):
        def step(self, *args):
            wait(3e-3)
            return super().step(*args)

    model = compiled(
        nl.layers.Dense(1), optimizer=SlowSGD(), loss=SlowLoss(), metrics=[SlowMetric(name="far")]
    )
    found = rows(model.profile(X, X[:, :1], steps=7))
    assert found["loss"].forward == pytest.approx(1e-3)
    assert found["loss"].backward == pytest.approx(2e-3)
    assert found["metric far"].forward == pytest.approx(1.5e-3)
    assert found["optimizer"].update == pytest.approx(3e-3)
    assert "the rest of the step" not in found


def test_operations_of_dense_are_counted():
    model = compiled(
        nl.layers.Dense(8, "relu"), nl.layers.Dense(8), nl.layers.Dense(3, "softmax", name="out")
    )
    found = rows(model.profile(X, Y, steps=2))
    # 2 m n k for each product; the first layer needs no gradient of its input.
    assert found["dense"].flop == 2 * 2 * 32 * 6 * 8
    assert found["dense_1"].flop == 3 * 2 * 32 * 8 * 8
    assert found["out"].flop == 3 * 2 * 32 * 8 * 3
    assert found["dense (ReLU)"].flop is None
    assert "out (Softmax)" not in found  # computed with the loss


def test_a_frozen_layer_makes_one_product_less():
    frozen = nl.layers.Dense(8, trainable=False, name="frozen")
    model = compiled(nl.layers.Dense(6), frozen, nl.layers.Dense(3, "softmax"))
    assert rows(model.profile(X, Y, steps=2))["frozen"].flop == 2 * 2 * 32 * 6 * 8


def test_rows_of_a_sequence_and_a_sparse_matrix():
    import scipy.sparse

    model = compiled(nl.layers.Dense(5), nl.layers.Flatten(), nl.layers.Dense(3, "softmax"))
    found = rows(model.profile(X.reshape(16, 4, 3), Y[:16], steps=2))
    assert found["dense"].flop == 2 * 2 * 16 * 4 * 3 * 5
    entries = scipy.sparse.random(32, 50, density=0.1, format="csr", random_state=0)
    model = compiled(nl.layers.Dense(5), nl.layers.Dense(3, "softmax"))
    report = model.profile(entries, Y, steps=2)
    assert rows(report)["dense"].flop == 2 * 2 * entries.nnz * 5


def test_the_model_stays_as_it_is():
    def trained():
        model = compiled(
            nl.layers.Dense(8),
            nl.layers.BatchNormalization(),
            nl.layers.Dropout(0.5),
            nl.layers.Dense(3, "softmax"),
            metrics=["accuracy"],
        )
        model.fit(X, Y, epochs=2, verbose=0)
        return model

    watched, alone = trained(), trained()
    before = [w.copy() for w in watched.get_weights()]
    logs = watched.history.history
    watched.profile(X, Y, steps=3)
    for a, b in zip(watched.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert watched.history.history is logs
    for model in (watched, alone):  # and so do its random numbers and its optimizer
        model.fit(X, Y, epochs=1, verbose=0)
    for a, b in zip(watched.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_that_is_not_built_stays_so():
    model = compiled(nl.layers.Dense(3, "softmax"))
    model.profile(X, Y, steps=1)
    assert not model.built


def test_the_rows_add_up_to_the_step(clock):
    model = compiled(nl.layers.Dense(6, "tanh"), Slow(1e-3, 1e-3), nl.layers.Dense(3, "softmax"))
    report = model.profile(X, Y, steps=20)
    assert report.seconds == pytest.approx(report.step) == pytest.approx(2e-3)
    assert sum(report.share(row) for row in report.rows) == pytest.approx(1)


def test_the_table():
    first = ProfileRow("dense", "Dense", 2e-5, 6e-5, flop=8_000_000)
    report = ProfileReport(
        64, 30, 1.1e-4, 5e-6, [first, ProfileRow("optimizer", "Adam", update=2e-5)]
    )
    lines = str(report).splitlines()
    assert re.split(r"\s{2,}", lines[2]) == [
        *("dense", "Dense", "20.0", "60.0", "-", "80.0%", "8.00", "100.0")
    ]
    assert re.split(r"\s{2,}", lines[3]) == [
        *("optimizer", "Adam", "-", "-", "20.0", "20.0%", "-", "-")
    ]
    assert re.split(r"\s{2,}", lines[5]) == [
        *("all", "20.0", "60.0", "20.0", "100.0%", "8.00", "80.0")
    ]
    assert "64 rows takes 110.0 µs (mean of the middle half of 30)" in lines[6]
    assert "5.0 µs more" in lines[6]


def test_bad_input():
    model = compiled(nl.layers.Dense(3, "softmax"))
    with pytest.raises(nl.errors.ConfigurationError, match="y is missing"):
        model.profile(X, None)
    with pytest.raises(nl.errors.ConfigurationError, match="steps"):
        model.profile(X, Y, steps=0)
    with pytest.raises(nl.errors.NotCompiledError):
        nl.Sequential([nl.layers.Dense(3)]).profile(X, Y)
