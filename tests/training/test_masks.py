"""The mask of the output of a model in losses and metrics."""

import numpy as np
import pytest

import netlayers as nl

L = nl.layers
RNG = np.random.default_rng(0)
WORDS = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [1, 1, 2, 3, 4]])
THERE = WORDS != 0
Y = RNG.normal(size=(3, 5, 2))
CLASSES = RNG.integers(0, 3, (3, 5))


def tagger(units=2, activation=None, **options):
    model = nl.Sequential(
        [
            L.Embedding(6, 3, mask_zero=True),
            L.GRU(4, return_sequences=True),
            L.Dense(units, activation),
        ],
        seed=0,
        dtype="float64",
    )
    model.compile(nl.optimizers.SGD(0.1), **options)
    return model


@pytest.mark.parametrize("weight", [None, np.array([1.0, 2.0, 0.5])])
def test_the_loss_is_the_mean_over_the_steps_that_are_there(weight):
    model = tagger(loss="mse", metrics=["mae"], weighted_metrics=["mse"])
    logs = model.evaluate(WORDS, Y, sample_weight=weight, batch_size=2, verbose=0, return_dict=True)
    e = Y - model.predict(WORDS)
    w = np.ones((3, 5)) if weight is None else np.repeat(weight[:, None], 5, axis=1)
    squares, count = (e**2).mean(axis=-1), THERE.sum()
    assert logs["loss"] == pytest.approx((squares * w)[THERE].sum() / count)
    assert logs["mae"] == pytest.approx(np.abs(e[THERE]).mean())
    assert logs["mse" if "mse" in logs else "mean_squared_error"] == pytest.approx(
        (squares * w)[THERE].sum() / w[THERE].sum()
    )


def test_values_where_nothing_is_do_not_matter():
    first, second = tagger(loss="mse"), tagger(loss="mse")
    other = Y.copy()
    other[~THERE] = 77.0
    for model, y in ((first, Y), (second, other)):
        model.fit(WORDS, y, batch_size=2, epochs=2, verbose=0, shuffle=False)
    np.testing.assert_array_equal(first.parameters.values, second.parameters.values)


@pytest.mark.parametrize("padding", [0, 4])
def test_more_padding_changes_no_step(padding):
    words = np.pad(WORDS, ((0, 0), (0, padding)))
    classes = np.pad(CLASSES, ((0, 0), (0, padding)), constant_values=2)
    model = tagger(3, "softmax", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    value = model.train_on_batch(words, classes)
    plain = tagger(3, "softmax", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    p = plain.predict(WORDS)
    logs = plain.train_on_batch(WORDS, CLASSES)
    np.testing.assert_allclose(value, logs, rtol=1e-12)
    np.testing.assert_allclose(model.parameters.values, plain.parameters.values, rtol=1e-10)
    chosen = np.take_along_axis(p, CLASSES[..., None], axis=-1)[..., 0]
    assert np.ravel(value)[0] == pytest.approx(-np.log(chosen[THERE]).mean())


def test_accumulated_gradients_are_those_of_all_steps():
    whole = tagger(loss="mse")
    parts = tagger(loss="mse")
    parts.compile(nl.optimizers.SGD(0.1, gradient_accumulation_steps=3), loss="mse")
    whole.train_on_batch(WORDS, Y)
    for i in range(3):
        parts.train_on_batch(WORDS[i : i + 1], Y[i : i + 1])
    np.testing.assert_allclose(parts.parameters.values, whole.parameters.values, rtol=1e-12)


def test_sums_and_several_outputs():
    x = nl.Input((5,), dtype="int64")
    hidden = L.LSTM(3, return_sequences=True)(L.Embedding(6, 3, mask_zero=True)(x))
    model = nl.Model(x, [L.Dense(2, name="a")(hidden), L.Dense(1, name="b")(hidden)], seed=0)
    loss = {"a": "mse", "b": nl.losses.MeanSquaredError(reduction="sum")}
    model.compile("sgd", loss, metrics={"a": "mae"})
    y = {"a": Y, "b": Y[..., :1]}
    logs = model.evaluate(WORDS, y, verbose=0, return_dict=True)
    a, b = model.predict(WORDS)
    assert logs["a_loss"] == pytest.approx((((Y - a) ** 2)[THERE]).mean(), rel=1e-5)
    assert logs["b_loss"] == pytest.approx((((Y[..., :1] - b) ** 2)[THERE]).sum(), rel=1e-5)
    name = next(n for n in logs if n.startswith("a_m"))
    assert logs[name] == pytest.approx(np.abs(Y - a)[THERE].mean(), rel=1e-5)


def test_gradients_of_takes_the_mask_into_account():
    model = tagger(loss="mse")
    d = model.gradients_of(["gru"], WORDS, Y)["gru"]
    assert (d[~THERE] == 0).all()
    assert (d[THERE] != 0).any()


def test_masking():
    x = RNG.normal(size=(3, 5, 2))
    x[~THERE] = -1
    model = nl.Sequential([L.Masking(-1), L.LSTM(3, return_sequences=True), L.Dense(2)], seed=0)
    model.compile("sgd", "mse")
    p = model.predict(x)
    expected = ((Y - p) ** 2)[THERE].mean()
    assert model.evaluate(x, Y, verbose=0) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(model.compute_mask(x), THERE)
