"""One bad entry among many good ones is found, wherever it is."""

import re

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError
from tests.user_layers import MaskingEmbed

CHUNK = 1 << 20  # entries that are looked at in one go
ROWS = 600_000  # of 4 entries: more than two chunks
PLACES = [0, ROWS // 2, ROWS - 1]


def layouts(x):
    """The same numbers in memory of other kinds."""
    wide = np.zeros((len(x), 6), x.dtype)
    wide[:, :4] = x
    return {"rows": x, "columns": np.asfortranarray(x), "part": wide[:, :4]}


@pytest.fixture(scope="module")
def model():
    made = nl.Sequential([nl.layers.Dense(1)], seed=0)
    made.compile("sgd", "mse")
    made.build((None, 4))
    return made


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_one_entry_of_x_that_is_not_finite(model, bad, dtype):
    x = np.zeros((ROWS, 4), dtype)
    y = np.zeros(ROWS)
    assert x.size > 2 * CHUNK
    for row in PLACES:
        for kind, values in layouts(x).items():
            values[row, 3] = bad
            with pytest.raises(DataError, match=rf"first such row is row {row} \(1 of its 4"):
                model.fit(values, y, verbose=0)
            values[row, 3] = 0
            assert np.isfinite(values).all(), kind
    assert model.predict(x[:2]).shape == (2, 1)


@pytest.mark.parametrize("row", PLACES)
def test_one_target_or_weight_that_is_not_finite(model, row):
    x, y, w = np.zeros((ROWS, 4), "f4"), np.zeros((ROWS, 1)), np.ones(ROWS)
    y[row] = np.nan
    with pytest.raises(DataError, match=f"y contains NaN; the first such row is row {row} "):
        model.fit(x, y, verbose=0)
    y[row], w[row] = 0, np.inf
    with pytest.raises(DataError, match=f"sample_weight contains an inf.* row is row {row} "):
        model.fit(x, y, sample_weight=w, verbose=0)
    w[row] = -1
    with pytest.raises(DataError, match=rf"negative, got -1.0 \(row {row}\)"):
        model.fit(x, y, sample_weight=w, verbose=0)


@pytest.mark.parametrize("row", PLACES)
def test_one_entry_too_large_for_float32(model, row):
    x = np.zeros((ROWS, 4))
    x[row, 1] = -1e39
    with pytest.raises(DataError, match="too large for float32") as raised:
        model.fit(x, np.zeros(ROWS), verbose=0)
    start, stop = map(int, re.search(r"rows (\d+) to (\d+)", str(raised.value)).groups())
    assert start <= row <= stop


def test_large_finite_numbers_whose_squares_overflow_pass(model):
    x = np.full((ROWS, 4), 3e38, "f4")
    with np.errstate(over="ignore"):
        assert model.predict(x[:8]).shape == (8, 1)
    with pytest.raises(DataError, match="y has 1 rows"):  # the check of x comes first
        model.fit(x, [0.0], verbose=0)
    target = np.zeros(ROWS)
    target[-1] = np.nan
    with pytest.raises(DataError, match=f"y contains NaN.*row {ROWS - 1} "):
        model.fit(x, target, verbose=0)


@pytest.mark.parametrize("argument", ["x", "y", "sample_weight"])
def test_one_masked_entry_among_others(model, argument):
    data = {"x": np.zeros((6, 4)), "y": np.zeros((6, 1)), "sample_weight": np.ones(6)}
    masked = np.ma.masked_array(data[argument], np.zeros(data[argument].shape, bool))
    model.fit(**{**data, argument: masked}, verbose=0)  # nothing is masked
    masked[4] = np.ma.masked
    count = 4 if argument == "x" else 1
    with pytest.raises(DataError, match=f"{argument} has {count} masked entries"):
        model.fit(**{**data, argument: masked}, verbose=0)


@pytest.mark.parametrize("place", [0, 3, 5])
def test_one_label_that_is_no_class(place):
    labels = np.array([0, 1, 2, 0, 1, 2])
    p = np.full((6, 3), 1 / 3)
    for wrong in (-1, 3, 0.5):
        y = labels.astype(float)
        y[place] = wrong
        with pytest.raises(DataError, match=f"{wrong}"):
            nl.losses.SparseCategoricalCrossentropy().forward(y, p)
        with pytest.raises(DataError, match=f"{wrong}"):
            nl.metrics.ConfusionMatrix().update_state(y, p)
        with pytest.raises(DataError, match=f"got {wrong}"):
            nl.utils.to_categorical(y, 3)


@pytest.mark.parametrize("place", [(0, 0), (2, 1), (5, 2)])
def test_one_label_that_is_neither_0_nor_1(place):
    y, p = np.eye(3)[[0, 1, 2, 0, 1, 2]], np.full((6, 3), 0.5)
    y[place] = -1
    for metric in (nl.metrics.Precision(), nl.metrics.AUC(), nl.metrics.F1Score()):
        with pytest.raises(DataError, match="-1"):
            metric.update_state(y, p)
    for loss in (nl.losses.BinaryCrossentropy(), nl.losses.CategoricalCrossentropy()):
        with pytest.raises(DataError, match="-1"):
            loss.forward(y, p)


@pytest.mark.parametrize("make", [nl.constraints.MaxNorm, nl.constraints.UnitNorm])
@pytest.mark.parametrize("axis", [(0, 5), (5, 0), (0, -3), 2, -3, [1, 2]])
def test_one_axis_that_weights_do_not_have(make, axis):
    layer = nl.layers.Dense(2, kernel_constraint=make(axis=axis))
    with pytest.raises(ConfigurationError, match=r"has no axis .*between -2 and 1"):
        nl.Sequential([layer]).build((None, 3))
    with pytest.raises(ConfigurationError, match=r"no axis"):
        nl.constraints.MinMaxNorm(axis=axis).check_shape("kernel", (3, 2))


@pytest.mark.parametrize("values", [[["a", "b"]], [[1j, 2j]], [[1, None]]], ids=str)
def test_what_is_no_number_is_named_for_layers_of_integers_too(values):
    for first in (MaskingEmbed(6, 3), nl.layers.Flatten()):
        model = nl.Sequential([first, nl.layers.Flatten(), nl.layers.Dense(1)])
        model.build((None, 2))
        with pytest.raises(DataError, match=r"^predict: x must hold real numbers, got"):
            model.predict(np.array(values))
        with pytest.raises(DataError, match=r"^predict_on_batch: x must hold real numbers, got"):
            model.predict_on_batch(np.array(values))
