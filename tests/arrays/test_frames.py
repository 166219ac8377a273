"""Frames and series of pandas: their numbers, by place; named columns where there are none."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import DataError

pd = pytest.importorskip("pandas")

RNG = np.random.default_rng(0)
N = 40
FRAME = pd.DataFrame(
    {
        "age": RNG.integers(0, 90, N),
        "height": RNG.normal(size=N),
        "weight": RNG.normal(size=N).astype(np.float32),
        "member": RNG.integers(0, 2, N).astype(bool),
    },
    index=RNG.permutation(N) + 100,
)
DENSE = np.column_stack([FRAME[c].to_numpy().astype(np.float64) for c in FRAME])
Y = RNG.integers(0, 2, N)
W = RNG.random(N)


def make():
    layers = [nl.layers.Dense(4, activation="tanh"), nl.layers.Dense(2, activation="softmax")]
    model = nl.Sequential(layers, seed=0)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def run(x, y, w):
    model = make()
    model.train_on_batch(x, y, w)
    model.fit(x, y, sample_weight=w, validation_data=(x, y, w), verbose=0)
    model.fit(lambda: iter([(x[:20], y[:20], w[:20])]), verbose=0)
    result = np.array(model.evaluate(x, y, sample_weight=w, verbose=0))
    prediction = model.predict(x)
    assert type(prediction) is np.ndarray
    return [result, prediction, model.forward(x), model.parameters.values]


@pytest.mark.parametrize("y", [pd.Series(Y, index=FRAME.index), pd.DataFrame({"y": Y})])
def test_bits_of_the_plain_arrays(y):
    frame, before = FRAME, FRAME.copy()
    got = run(frame, y, pd.Series(W, index=FRAME.index[::-1]))
    expected = run(DENSE, Y if y.ndim == 1 else Y[:, None], W)
    assert [a.tobytes() for a in got] == [b.tobytes() for b in expected]
    pd.testing.assert_frame_equal(frame, before)


def test_the_dtype_holds_all_columns():
    from netlayers.arrays.frames import frame_values

    for columns, dtype in [
        (["age", "member"], np.int64),
        (["weight", "member"], np.float32),
        (["age", "weight"], np.float64),
        (["member"], bool),
    ]:
        values = frame_values("fit", "x", FRAME[columns])
        assert values.dtype == dtype
        np.testing.assert_array_equal(values, FRAME[columns].to_numpy(dtype=dtype))


@pytest.mark.parametrize("dtype", ["Int64", "Float32", "boolean", pd.SparseDtype("float64", 0.0)])
def test_dtypes_of_pandas(dtype):
    numbers = RNG.integers(0, 2, N)
    frame = FRAME.assign(age=pd.Series(numbers, index=FRAME.index).astype(dtype))
    expected = DENSE.copy()
    expected[:, 0] = numbers
    model = make()
    model.build((None, 4))
    assert model.predict(frame).tobytes() == model.predict(expected).tobytes()


def test_names_may_come_twice():
    frame = FRAME.set_axis(["a", "a", "b", "b"], axis=1)
    model = make()
    model.build((None, 4))
    assert model.predict(frame).tobytes() == model.predict(DENSE).tobytes()


text = ["a", "b"] * (N // 2)
WRONG = {
    "text": (FRAME.assign(city=text), ["'city' (", "get_dummies"]),
    "object": (FRAME.assign(city=pd.Series(text, FRAME.index, dtype=object)), ["'city' (object)"]),
    "category": (FRAME.assign(kind=pd.Categorical(text)), ["'kind' (category)", "factorize"]),
    "two": (FRAME.assign(kind=pd.Categorical(text), z=text), ["numeric: 'kind'", "'z'"]),
    "dates": (FRAME.assign(day=pd.Timestamp("2020-01-01")), ["'day' (datetime64"]),
    "intervals": (FRAME.assign(i=pd.interval_range(0, N).array), ["'i' (interval"]),
    "complex": (FRAME.assign(c=1j), ["'c' (complex128)"]),
    "NA": (
        FRAME.assign(n=pd.array([1, None] * (N // 2), dtype="Int64")),
        ["missing values (NA)", "the column 'n' (Int64, 20 of them)", "x.fillna(0)"],
    ),
    "NaN": (FRAME.assign(height=np.where(np.arange(N) == 3, np.nan, 1.0)), ["NaN", "row 3"]),
    "no rows": (FRAME[:0], ["x is empty"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_number_is_named(case):
    frame, parts = WRONG[case]
    model = make()
    with pytest.raises(DataError) as raised:
        model.fit(frame, np.zeros(len(frame), int), verbose=0)
    for part in ["fit", *parts]:
        assert part in str(raised.value)
    assert not model.built


def test_targets_are_named_too():
    model = make()
    with pytest.raises(DataError, match=r"fit: y .*'label' .*pandas.factorize\(y\)\[0\]"):
        model.fit(FRAME, pd.Series(text, name="label"), verbose=0)
    with pytest.raises(
        DataError, match=r"y .* not numeric: an unnamed column \(category\)\. .*\(y\)"
    ):
        model.fit(FRAME, pd.Series(text, dtype="category"), verbose=0)
    with pytest.raises(
        DataError, match=r"y has missing values \(NA\) in an unnamed column \(Int64,"
    ):
        model.fit(FRAME, pd.Series([1, None] * (N // 2), dtype="Int64"), verbose=0)
