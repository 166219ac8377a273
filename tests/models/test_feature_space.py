"""Columns of tables: types, crosses, missing values, frames, networks, files."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, DataError

L = nl.layers
FeatureSpace = nl.utils.FeatureSpace

TYPES = (
    "float", "float_normalized", "float_rescaled", "float_discretized", "integer_categorical",
    "string_categorical", "integer_hashed", "string_hashed",
)  # fmt: skip
DATA = {
    "age": [22.0, 38.0, 26.0, 35.0],
    "fare": [7.25, 71.28, 7.92, 53.1],
    "class": [3, 1, 3, 1],
    "port": ["S", "C", "S", "Q"],
}
FEATURES = {
    "age": "float_normalized",
    "fare": FeatureSpace.float_rescaled(0.5, 1.0),
    "class": "integer_categorical",
    "port": "string_categorical",
}


def adapted(features=None, **options):
    space = FeatureSpace(dict(features or FEATURES), **options)
    space.adapt(DATA)
    return space


def fresh():
    return {**FEATURES, "fare": FeatureSpace.float_rescaled(0.5, 1.0)}


def test_columns_in_alphabetical_order():
    space = adapted(fresh())
    y = space(DATA)
    age = (np.array(DATA["age"]) - np.mean(DATA["age"])) / np.std(DATA["age"])
    np.testing.assert_allclose(y[:, 0], age, rtol=1e-5)
    assert space.preprocessors["class"].get_vocabulary() == [-1, 3, 1]
    np.testing.assert_array_equal(y[:, 1:4], np.eye(3)[[1, 2, 1, 2]])
    np.testing.assert_allclose(y[:, 4], np.array(DATA["fare"]) * 0.5 + 1, rtol=1e-6)
    np.testing.assert_array_equal(y[:, 5:], np.eye(4)[[1, 3, 1, 2]])
    assert y.shape == (4, 9)


def test_one_row_has_no_batch():
    space = adapted(fresh())
    row = {name: values[1] for name, values in DATA.items()}
    np.testing.assert_array_equal(space(row), space(DATA)[1])
    as_dict = adapted(fresh(), output_mode="dict")(row)
    assert list(as_dict) == sorted(DATA)
    assert as_dict["port"].shape == (4,)


def test_crosses():
    cross = FeatureSpace.cross(("port", "class"), 7, output_mode="int")
    features = {
        "port": FeatureSpace.string_categorical(output_mode="int"),
        "class": "integer_hashed",
    }
    space = adapted(
        features, crosses=[cross, ("class", "port")], crossing_dim=5, output_mode="dict"
    )
    y = space(DATA)
    assert list(y) == ["class", "port", "class_X_port", "port_X_class"]
    found = (y["port"], space.preprocessors["class"](np.array(DATA["class"])[:, None]))
    np.testing.assert_array_equal(y["port_X_class"], L.HashedCrossing(7)(found))
    expected = np.eye(5)[L.HashedCrossing(5)(found[::-1]).ravel()]
    np.testing.assert_array_equal(y["class_X_port"], expected)


@pytest.mark.parametrize("name", TYPES)
def test_every_type_by_name_and_as_an_object(name):
    column = "port" if name.startswith("string") else "class"
    options = {"hashing_dim": 6, "num_discretization_bins": 2}
    space = adapted({column: name}, **options)
    arguments = (6,) if "hashed" in name else (2,) if "discretized" in name else ()
    made = getattr(FeatureSpace, name)(*arguments, name="mine")
    assert made.preprocessor.name == "mine_preprocessor"
    np.testing.assert_array_equal(space(DATA), adapted({column: made})(DATA))
    again = FeatureSpace.from_config(space.get_config())
    again.adapt(DATA)
    np.testing.assert_array_equal(space(DATA), again(DATA))


def test_a_layer_of_your_own():
    words = L.TextVectorization(output_mode="count")
    feature = FeatureSpace.feature("string", words, "float")
    space = FeatureSpace({"text": feature})
    space.adapt({"text": ["a b", "b"]})
    assert space({"text": ["b b", "c"]}).tolist() == [[0, 2, 0], [1, 0, 0]]


def test_missing_categories_are_like_unseen_ones():
    space = adapted({"port": "string_categorical", "class": "integer_categorical"})
    y = space({"port": ["S", None, "new"], "class": [1, np.nan, 9]})
    np.testing.assert_array_equal(y[1], y[2])
    assert y[1].tolist() == [1, 0, 0, 1, 0, 0, 0]
    with pytest.raises(DataError, match="NaN"):
        nl.Sequential([adapted({"age": "float"}), L.Dense(1)]).predict({"age": [1.0, np.nan]})


@pytest.mark.parametrize("form", ["frame", "stream", "batches", "extra"])
def test_data_of_adapt(form):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({**DATA, "id": range(4)})
    halves = [{n: np.array(v[i : i + 2]) for n, v in DATA.items()} for i in (0, 2)]
    data = {
        "frame": frame,
        "stream": lambda: iter(halves),
        "batches": [(half, np.zeros(2)) for half in halves],
        "extra": dict(frame),
    }[form]
    space = FeatureSpace(fresh())
    space.adapt(data)
    np.testing.assert_allclose(space(frame), adapted(fresh())(DATA), rtol=1e-6)


def network(space):
    model = nl.Sequential([space, L.Dense(4, "relu"), L.Dense(1)], seed=0)
    model.compile(nl.optimizers.Adam(0.05), "mse")
    return model


def table(rows=64):
    rng = np.random.default_rng(0)
    data = {
        "age": rng.normal(30, 9, rows),
        "fare": rng.normal(size=rows),
        "class": rng.integers(1, 4, rows),
        "port": rng.choice(["S", "C", "Q"], rows).astype(object),
    }
    data["port"][:5] = None
    return data, (data["port"] == "S").astype(float) + data["class"]


def test_a_network_learns_from_a_dict_and_from_a_frame(tmp_path):
    pd = pytest.importorskip("pandas")
    x, y = table()
    space = FeatureSpace(fresh(), crosses=[("class", "port")])
    space.adapt(x)
    model = network(space)
    assert model.fit(x, y, epochs=60, verbose=0).history["loss"][-1] < 0.05
    model.save(tmp_path / "m.safetensors")
    again = nl.load_model(tmp_path / "m.safetensors")
    frame = pd.DataFrame(x)
    assert again.predict(frame).tobytes() == model.predict(x).tobytes()
    other = network(FeatureSpace(fresh()))
    other.layers[0].adapt(frame)
    other.fit(frame, y, epochs=2, verbose=0, validation_split=0.25)
    with pytest.raises(DataError, match="'id', which it does not take"):
        other.predict(frame.assign(id=1))


@pytest.mark.parametrize("mode", ["concat", "dict"])
def test_a_functional_model(mode, tmp_path):
    x, y = table()
    space = FeatureSpace(fresh(), crosses=[("class", "port")], output_mode=mode)
    space.adapt(x)
    inputs, encoded = space.get_inputs(), space.get_encoded_features()
    assert list(inputs) == list(FEATURES)
    both = encoded if mode == "concat" else L.Concatenate()([encoded["age"], encoded["port"]])
    model = nl.Model(inputs, L.Dense(1)(L.Dense(16, "relu")(both)))
    model.compile(nl.optimizers.Adam(0.05), "mse")
    losses = model.fit(x, y, epochs=60, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    model.save(tmp_path / "m.safetensors")
    assert (
        nl.load_model(tmp_path / "m.safetensors").predict(x).tobytes() == model.predict(x).tobytes()
    )


@pytest.mark.parametrize("mode", ["concat", "dict"])
def test_a_space_is_saved_alone(mode, tmp_path):
    space = adapted(fresh(), crosses=[("port", "class")], output_mode=mode)
    kept = space(DATA)
    space.save(tmp_path / "space.safetensors")
    again = nl.load_model(tmp_path / "space.safetensors")
    found = again(DATA)
    assert again.features.keys() == FEATURES.keys()
    for name in kept if mode == "dict" else [slice(None)]:
        assert found[name].tobytes() == kept[name].tobytes()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: FeatureSpace({}), "features must be a dict"),
        (lambda: FeatureSpace({"a": "string"}), "type of 'a' must be .*string_categorical"),
        (lambda: FeatureSpace({"a": "float"}, "list"), "output_mode"),
        (lambda: FeatureSpace({"a": "float"}, crosses=[("a", "b")]), "two or more of the features"),
        (lambda: FeatureSpace({"a": "float"}, crosses=["ab"]), "a cross must be a tuple"),
        (lambda: FeatureSpace.feature("string", 3, "int"), "preprocessor must be a layer"),
        (lambda: FeatureSpace.string_hashed(3, "hot"), "output_mode"),
        (
            lambda: FeatureSpace({"age": "float_normalized"})(DATA),
            r"call adapt\(\).*'age' has no mean",
        ),
        (lambda: FeatureSpace({"port": "string_categorical"})(DATA), r"call adapt\(\)"),
        (
            lambda: adapted({"port": FeatureSpace.string_hashed(3, "int")})(DATA),
            "'port' is not encoded",
        ),
        (
            lambda: adapted({"age": FeatureSpace.feature("float32", L.Identity(), "one_hot")})(
                DATA
            ),
            "must return integers of a known range",
        ),
    ],
)
def test_arguments(make, text):
    with pytest.raises(ConfigurationError, match=text):
        make()


def test_data_that_lack_a_column():
    space = adapted(fresh())
    with pytest.raises(DataError, match="no column 'fare'"):
        space({name: v for name, v in DATA.items() if name != "fare"})
    with pytest.raises(DataError, match=r"adapt\(\): .*expected a dict of arrays, or a frame"):
        space.adapt([1, 2])
