"""Layers of categories: known values of Keras, missing values, data that are refused."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError, ShapeError

L = nl.layers
NAMES = [["omar"], ["stringer"], ["marlo"], ["wire"], ["skywalker"]]


def saved(model, path):
    model.save(path / "m.safetensors")
    return nl.load_model(path / "m.safetensors")


# CategoryEncoding: the values of Keras's documentation and tests ---------------------------------


def test_encodings():
    x = np.array([[0, 1], [0, 0], [1, 2], [3, 1]])
    assert L.CategoryEncoding(4, "multi_hot")(x).tolist() == [
        [1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 0, 1],
    ]  # fmt: skip
    assert L.CategoryEncoding(4, "count")(x)[1].tolist() == [2, 0, 0, 0]
    np.testing.assert_array_equal(L.CategoryEncoding(4, "one_hot")(x), np.eye(4)[x])
    np.testing.assert_array_equal(L.CategoryEncoding(4, "one_hot")(x[:, :1]), np.eye(4)[x[:, 0]])
    for mode in ("one_hot", "multi_hot", "count"):
        np.testing.assert_array_equal(L.CategoryEncoding(4, mode)(x[:, 0]), np.eye(4)[x[:, 0]])
    assert L.CategoryEncoding(4, "binary").output_mode == "multi_hot"


def test_count_weights():
    x = np.array([[0, 1], [0, 0], [1, 2], [3, 1]])
    weights = np.array([[0.1, 0.2], [0.1, 0.1], [0.2, 0.3], [0.4, 0.2]])
    y = L.CategoryEncoding(4, "count")(x, count_weights=weights)
    expected = [[0.1, 0.2, 0, 0], [0.2, 0, 0, 0], [0, 0.2, 0.3, 0], [0, 0.2, 0, 0.4]]
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    with pytest.raises(ConfigurationError, match=r"count_weights has no effect with .*'multi_hot'"):
        L.CategoryEncoding(4)(x, count_weights=weights)
    with pytest.raises(ShapeError, match=r"count_weights must have the shape of x, \(4, 2\)"):
        L.CategoryEncoding(4, "count")(x, count_weights=weights[0])


@pytest.mark.parametrize("x", [[[0, 4]], [[-1, 0]], [[0.5, 1]], [[np.nan, 1]]])
def test_no_category(x):
    with pytest.raises(DataError, match=r"layer 'kinds'.*(0 to 3|must hold integers)"):
        L.CategoryEncoding(4, name="kinds")(x)


def test_arguments():
    with pytest.raises(ConfigurationError, match=r"num_tokens.*IntegerLookup"):
        L.CategoryEncoding()
    with pytest.raises(ConfigurationError, match="output_mode must be"):
        L.CategoryEncoding(3, "int")
    with pytest.raises(ConfigurationError, match="sparse must be False"):
        L.Hashing(3, output_mode="one_hot", sparse=True)
    with pytest.raises(ConfigurationError, match="salt must be an integer, or a list of two"):
        L.Hashing(3, salt=[1, 2, 3])
    with pytest.raises(ConfigurationError, match=r"give num_bins, for .*; got neither"):
        L.Discretization()
    with pytest.raises(ConfigurationError, match="got both"):
        L.Discretization([1.0], 3)
    with pytest.raises(ConfigurationError, match="must increase"):
        L.Discretization([1.0, 0.5])
    with pytest.raises(ConfigurationError, match="must be a list"):
        L.Discretization("abc")


# Hashing: the values of Keras's tests, which hold on all machines --------------------------------


@pytest.mark.parametrize(
    ("arguments", "x", "expected"),
    [
        ({"num_bins": 3}, [["A"], ["B"], ["C"], ["D"], ["E"]], [1, 0, 1, 1, 2]),
        (
            {"num_bins": 3, "mask_value": ""},
            [["A"], ["B"], [""], ["C"], ["D"]],
            [1, 1, 0, 2, 2],
        ),
        ({"num_bins": 3, "salt": [133, 137]}, [["A"], ["B"], ["C"], ["D"], ["E"]], [1, 2, 1, 0, 2]),
        ({"num_bins": 3, "salt": 133}, [["A"], ["B"], ["C"], ["D"], ["E"]], [0, 0, 2, 1, 0]),
        ({"num_bins": 1}, NAMES, [0, 0, 0, 0, 0]),
        ({"num_bins": 2}, NAMES, [0, 0, 1, 0, 0]),
        ({"num_bins": 3, "mask_value": "omar"}, NAMES, [0, 1, 2, 1, 1]),
        ({"num_bins": 2, "salt": [211, 137]}, NAMES, [1, 0, 1, 0, 1]),
        ({"num_bins": 3}, [[0], [1], [2], [3], [4]], [1, 0, 1, 0, 2]),
        ({"num_bins": 3}, np.arange(5.0)[:, None], [1, 0, 1, 0, 2]),
        ({"num_bins": 3, "salt": [133, 137]}, [[0], [1], [2], [3], [4]], [1, 1, 2, 0, 1]),
    ],
)
def test_hashes_of_keras(arguments, x, expected):
    layer = L.Hashing(**arguments)
    assert layer(x).ravel().tolist() == expected
    assert layer(np.array(x, object)).ravel().tolist() == expected


def test_hashes_of_bytes_and_of_numpys_strings():
    texts = np.array(["A", "B", "C"])
    for x in (texts, texts.astype("S"), texts.astype(object), texts.astype("T")):
        assert L.Hashing(3)(x).tolist() == [1, 0, 1]


def test_missing_values_are_hashed_as_empty_or_masked():
    x = np.array([["A"], [None], [""], [np.nan]], object)
    assert L.Hashing(7)(x)[1:].ravel().tolist() == [L.Hashing(7)([[""]]).item()] * 3
    hashed = L.Hashing(7, mask_value="A")(x).ravel().tolist()
    assert (hashed[0], hashed[1], hashed[3]) == (0, 0, 0)
    assert hashed[2] > 0  # the empty text is a category
    numbers = L.Hashing(7, mask_value=3)(np.array([[3.0], [np.nan], [4.0]]))
    assert numbers.ravel().tolist() == [0, 0, 1 + L.Hashing(6)([[4]]).item()]


def test_crossings_of_keras():
    first = np.array(["A", "B", "A", "B", "A"])
    second = np.array([101, 101, 101, 102, 102])
    assert L.HashedCrossing(5)((first, second)).tolist() == [1, 4, 1, 1, 3]
    y = L.HashedCrossing(5, "one_hot")([first[:, None], second[:, None]])
    np.testing.assert_array_equal(y, np.eye(5)[[1, 4, 1, 1, 3]])
    three = L.HashedCrossing(10)
    assert three((first, second, first)).shape == (5,)
    assert three.num_inputs == 3
    with pytest.raises(ShapeError, match="inputs should have shape"):
        L.HashedCrossing(5)((np.ones((2, 2), int), np.ones((2, 2), int)))
    with pytest.raises(DataError, match=r"must hold strings or integers, got 50.5"):
        L.HashedCrossing(5)((first, second * 0.5))


# Discretization ----------------------------------------------------------------------------------

NUMBERS = np.array([[-1.5, 1.0, 3.4, 0.5], [0.0, 3.0, 1.3, 0.0]])


def test_bins_of_keras():
    layer = L.Discretization([0.0, 1.0, 2.0])
    assert layer(NUMBERS).tolist() == [[0, 2, 3, 1], [1, 3, 2, 1]]
    layer = L.Discretization(num_bins=4, epsilon=0.01)
    layer.adapt(NUMBERS)
    assert layer(NUMBERS).tolist() == [[0, 2, 3, 2], [1, 3, 3, 1]]
    one_hot = L.Discretization([0.0, 1.0, 2.0], output_mode="one_hot")
    np.testing.assert_array_equal(one_hot(NUMBERS), np.eye(4)[layer_of(NUMBERS)])


def layer_of(x):
    return L.Discretization([0.0, 1.0, 2.0])(x)


@pytest.mark.parametrize("batches", [1, 7, 40])
def test_bins_of_adapt_hold_equally_many(batches):
    data = np.random.default_rng(0).lognormal(size=(40_000, 1))
    layer = L.Discretization(num_bins=8, epsilon=0.01)
    parts = np.array_split(data, batches)
    layer.adapt(data if batches == 1 else (lambda: iter(parts)), batch_size=500)
    counts = np.bincount(layer(data).ravel(), minlength=8)
    assert abs(counts / len(data) - 1 / 8).max() < 0.01
    assert layer.bin_boundaries == sorted(layer.bin_boundaries)


def test_adapt_is_refused():
    with pytest.raises(ConfigurationError, match="bin_boundaries was given"):
        L.Discretization([1.0]).adapt(NUMBERS)
    with pytest.raises(DataError, match="data are empty"):
        L.Discretization(num_bins=2).adapt(np.empty((0, 2)))
    with pytest.raises(DataError, match="NaN"):
        L.Discretization(num_bins=2).adapt([[1.0], [np.nan]])
    with pytest.raises(ConfigurationError, match="call adapt"):
        L.Discretization(num_bins=2, name="age")(NUMBERS)


def test_a_list_of_arrays_is_one_of_batches():
    layer = L.Discretization(num_bins=3)
    layer.adapt([np.arange(4.0), np.arange(4.0, 9.0)])
    whole = L.Discretization(num_bins=3)
    whole.adapt(np.arange(9.0))
    assert layer.bin_boundaries == whole.bin_boundaries


def test_steps_of_adapt():
    layer = L.Discretization(num_bins=2)
    layer.adapt([np.zeros((4, 1)), np.ones((4, 1))], steps=1)
    assert layer.bin_boundaries == [0.0]


def test_a_network_of_bins_is_trained_and_saved(tmp_path):
    x = np.random.default_rng(1).normal(size=(200, 1))
    layer = L.Discretization(num_bins=5)
    layer.adapt(x)
    model = nl.Sequential([layer, L.Embedding(5, 2), L.Flatten(), L.Dense(1)], seed=0)
    model.compile("adam", "mse")
    model.fit(x, np.abs(x), epochs=2, verbose=0)
    again = saved(model, tmp_path)
    assert again.layers[0].bin_boundaries == layer.bin_boundaries
    assert again.layers[0].get_config()["bin_boundaries"] is None
    assert again.predict(x).tobytes() == model.predict(x).tobytes()


def test_a_network_of_strings_is_trained_and_saved(tmp_path):
    x = np.array(NAMES * 8)
    y = (x == "wire").astype("float32")
    for data in (x, x.astype(object), x.tolist()):
        model = nl.Sequential([L.Hashing(50, output_mode="one_hot"), L.Dense(1)], seed=0)
        model.compile(nl.optimizers.Adam(0.1), "mse")
        history = model.fit(data, y, epochs=40, verbose=0)
        assert history.history["loss"][-1] < 0.05
        assert saved(model, tmp_path).predict(data).tobytes() == model.predict(x).tobytes()
    model.train_on_batch(x[:4], y[:4])
    assert model.evaluate(x, y, verbose=0) < 0.05


def test_frames_of_categories():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": ["x", None, "y"], "b": ["u", "v", pd.NA]})
    assert L.Hashing(9)(frame).tolist() == L.Hashing(9)([["x", "u"], ["", "v"], ["y", ""]]).tolist()
    numbers = pd.Series([3, None, 5], dtype="Int64")
    assert L.Hashing(9)(numbers).tolist() == L.Hashing(9)(["3", "", "5"]).tolist()


def test_bins_are_exact_as_long_as_few_numbers_are_kept():
    data = np.sin(np.arange(40.0)).reshape(8, 5)
    exact = nl.layers.Discretization(num_bins=4)
    exact.adapt(data)
    for batch_size in (2, 8, None):
        layer = nl.layers.Discretization(num_bins=4, epsilon=0.3)
        layer.adapt(data, batch_size=batch_size)
        assert layer.bin_boundaries == exact.bin_boundaries, batch_size


@pytest.mark.parametrize("n", [1, 3])
def test_weighted_counts_in_a_graph(n):
    rng = np.random.default_rng(0)
    x, w = rng.integers(0, 4, (5, n)), rng.normal(size=(5, n)).astype(np.float32)
    layer = nl.layers.CategoryEncoding(4, "count")
    inputs = [nl.Input((n,), dtype="int32"), nl.Input((n,))]
    model = nl.Model(inputs, layer(inputs[0], count_weights=inputs[1]))
    np.testing.assert_allclose(
        model.predict([x, w]), layer(x, count_weights=w), rtol=1e-6, atol=1e-6
    )
    with pytest.raises(ConfigurationError, match="use 'count'"):
        nl.layers.CategoryEncoding(4)(inputs[0], count_weights=inputs[1])
    with pytest.raises(ShapeError, match="must both have the shape"):
        layer(inputs[0], count_weights=nl.Input((n + 1,)))
    with pytest.raises(ConfigurationError, match="cannot be mixed"):
        layer(inputs[0], count_weights=w)
