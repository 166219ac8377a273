"""Lists, tuples and dicts: several inputs and targets, by place or by name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers.arrays.spec import InputSpec
from netlayers.data.structure import arrays_by_name, flatten
from netlayers.errors import ConfigurationError, DataError
from tests.data.kinds import ByDLPack, Lazy, Loader, Tensor, TwoInputs

RNG = np.random.default_rng(0)
A = RNG.normal(size=(24, 3)).astype(np.float32)
B = RNG.normal(size=(24, 2)).astype(np.float32)
Y = RNG.integers(0, 2, 24)
W = RNG.random(24)


def make():
    layers = [nl.layers.Dense(4, activation="tanh"), nl.layers.Dense(2, activation="softmax")]
    model = TwoInputs(layers, seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def single():
    model = nl.Sequential([nl.layers.Dense(2, activation="softmax")], seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def frame(values):
    return pytest.importorskip("pandas").DataFrame(values)


STRUCTURES = {
    "list": [A, B],
    "tuple": (A, B),
    "dict": {"a": A, "b": B},
    "dict in another order": {"b": B, "a": A},
    "nested": ([A], [[B]]),
    "dict of lists of one": {"a": [A], "b": (B,)},
    "lists of numbers": [A.tolist(), B.tolist()],
    "dict of lists of numbers": {"a": A.tolist(), "b": B.tolist()},
    "tensors": [Tensor(A), Tensor(B)],
    "lazy": {"a": Lazy(A), "b": Lazy(B, True)},
    "dlpack and float64": (ByDLPack(A), B.astype(float)),
}


@pytest.mark.parametrize("kind", [*STRUCTURES, "frames"])
def test_every_structure_gives_the_same_bits(kind):
    x = [frame(A), frame(B)] if kind == "frames" else STRUCTURES[kind]
    results = []
    for given_x in ([A, B], x):
        model = make()
        model.train_on_batch(given_x, Y, W)
        model.fit(given_x, Y, 7, sample_weight=W, validation_split=0.25, verbose=0)
        model.fit(given_x, Y, 7, validation_data=(given_x, Y), class_weight={1: 2.0}, verbose=0)
        model.fit(given_x, Y, 7, stratify=True, validation_split=0.25, verbose=0)
        result = [model.parameters.values.copy(), model.evaluate(given_x, Y, verbose=0)]
        result += [model.predict(given_x, 5), model.predict_on_batch(given_x)]
        result += [model.test_on_batch(given_x, Y)]
        results.append(result)
    for got, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("kind", ["list", "tuple", "dict", "nested", "tensors"])
def test_in_batches(kind, ahead):
    def cut(value, rows):
        if isinstance(value, dict):
            return {name: cut(part, rows) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(cut(part, rows) for part in value)
        return Tensor(value.values[rows]) if isinstance(value, Tensor) else value[rows]

    def batches():
        for i in range(0, 24, 8):
            yield cut(STRUCTURES[kind], slice(i, i + 8)), Y[i : i + 8], W[i : i + 8]

    plain, model = make(), make()
    plain.fit([A, B], Y, 8, sample_weight=W, shuffle=False, verbose=0)
    model.fit(batches, verbose=0, read_ahead=ahead)
    assert model.parameters.values.tobytes() == plain.parameters.values.tobytes()
    expected = plain.evaluate([A, B], Y, sample_weight=W, verbose=0)
    assert model.evaluate(list(batches()), verbose=0) == pytest.approx(expected, rel=1e-6)
    pairs = ((x,) for x, _, _ in batches())
    np.testing.assert_allclose(model.predict(pairs), plain.predict([A, B]), rtol=1e-5)


def test_all_rows_at_once_and_the_diagnostics():
    batches = [([A, B], Y)]
    for x, y in (([A, B], Y), (batches, None)):
        model = make()
        model.fit_lbfgs(x, y, 2, verbose=0)
        assert model.loss_surface(x, y, size=2).loss.shape == (2, 2)
        assert len(nl.find_learning_rate(model, x, y, steps=3).losses) == 3


def test_a_loader_of_dicts():
    plain, model = make(), make()
    plain.fit([A, B], Y, 8, shuffle=False, verbose=0)
    loader = Loader(A, B, Y)
    source = [({"a": a, "b": b}, y) for a, b, y in loader]
    model.fit(source, shuffle=False, verbose=0)
    assert model.parameters.values.tobytes() == plain.parameters.values.tobytes()


MODEL = r"the model has 2 inputs, 'a', 'b', but "
WRONG = {
    "one array": (A, MODEL + r"x is one array\. Give a list of one array for each"),
    "a list of one": ([A], MODEL + "x is a list of one array"),
    "three": ([A, B, A], MODEL + "x is a list of 3 arrays"),
    "a missing name": ({"a": A}, MODEL + "the dict x has no 'b'"),
    "a name too many": ({"a": A, "b": B, "c": A}, MODEL + "the dict x has 'c', which it does not"),
    "other names": ({"a": A, "B": B}, "has no 'b' and has 'B', which"),
    "several for one": ({"a": [A, A], "b": B}, r"x\['a'\] is a list of 2 arrays"),
    "a dict within": ([{"a": A}, B], "x contains a dict within a list"),
    "rows": ([A, B[:5]], r"x\[0\] has 24 rows, x\[1\] has 5 rows, y has 24 rows"),
    "NaN": ([A, np.where(np.arange(24)[:, None] == 3, np.nan, B)], r"x\['b'\] contains NaN.*row 3"),
}


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused(case, method):
    x, message = WRONG[case]
    model = make()
    options = {"verbose": 0} if method in ("fit", "evaluate") else {}
    with pytest.raises(DataError, match=f"{method}: .*{message}"):
        getattr(model, method)(x, Y, **options)
    assert not model.built
    model.fit([A, B], Y, verbose=0)


ONE = "the model has one input, 'x', but "
ONE_WRONG = {
    "list": ([A, A], ONE + r"x is a list of 2 arrays\. .*np.stack\(x\)"),
    "tuple": ((A, A, A), ONE + "x is a tuple of 3 arrays"),
    "nested": ([[A], [A]], ONE + "x is a list of 2 arrays"),
    "dict": ({"a": A}, ONE + "the dict x has no 'x' and has 'a', which it does not take"),
    "two names": ({"x": A, "z": A}, ONE + "the dict x has 'z'.*np.column_stack"),
    "dicts": ([{"x": A}], ONE + "x contains a dict within a list"),
}


@pytest.mark.parametrize(
    "method",
    ["fit", "evaluate", "predict", "predict_on_batch", "train_on_batch", "check_gradients"],
)
@pytest.mark.parametrize("case", ONE_WRONG)
def test_several_inputs_for_a_model_with_one(case, method):
    x, message = ONE_WRONG[case]
    model = single()
    targets = [] if method.startswith("predict") else [Y]
    options = {"verbose": 0} if method in ("fit", "evaluate") else {}
    function = getattr(model, method, lambda *data: nl.check_gradients(model, *data))
    with pytest.raises(DataError, match=message):
        function(x, *targets, **options)
    assert not model.built


def test_several_targets_for_one_output():
    model = single()
    for y in ([Y, Y], {"y": Y, "z": Y}, (Y[:, None], Y)):
        with pytest.raises(DataError, match="the model has one output, 'y', but"):
            model.fit(A, y, verbose=0)
        with pytest.raises(DataError, match="the model has one output, 'y', but"):
            model.train_on_batch(A, y)
    model.fit(A, [Y], verbose=0)
    model.fit(A, {"y": Y.tolist()}, verbose=0)


def test_targets_of_several_outputs_need_their_own_weights():
    class Both(nl.Sequential):
        _output_count = 2

    model = Both([nl.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ConfigurationError, match="class_weight needs the classes of one output"):
        model.train_on_batch(A, [Y, Y], class_weight={0: 1.0})
    with pytest.raises(DataError, match="the model has 2 outputs, 'y_0', 'y_1', but y is one"):
        model.train_on_batch(A, Y)


def test_the_name_of_an_input_layer():
    model = nl.Sequential([nl.layers.Input((3,), name="pixels"), nl.layers.Dense(1)])
    assert model.predict({"pixels": A}).shape == (24, 1)
    with pytest.raises(DataError, match="has no 'pixels' and has 'x'"):
        model.predict({"x": A})


def test_no_rows():
    model = make()
    model.fit([A, B], Y, verbose=0)
    assert model.predict([A[:0], B[:0]]).shape == (0, 2)


# Any nesting ---------------------------------------------------------------------------------

ARRAY = st.integers(0, 99).map(lambda i: np.full((2, 1), i))
NUMBERS = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=2), min_size=1, max_size=2)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        ARRAY, lambda inner: st.lists(inner, min_size=1, max_size=3) | st.tuples(inner, inner)
    ),
    st.integers(0, 2),
)
def test_nested_structures_are_flattened_in_order(tree, more):
    def leaves(node):
        if isinstance(node, np.ndarray):
            return [node]
        return [leaf for part in node for leaf in leaves(part)]

    expected = leaves(tree)
    got = flatten(tree)
    assert len(got) == len(expected)
    assert all(a is b for a, b in zip(got, expected, strict=True))
    names = [f"x_{i}" for i in range(len(expected) + more)]
    if more:
        with pytest.raises(DataError, match=f"the model has {len(names)} inputs"):
            arrays_by_name("fit", "x", tree, names)
    else:
        assert all(
            a is b for a, b in zip(arrays_by_name("fit", "x", tree, names), expected, strict=True)
        )


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=3), ARRAY | NUMBERS, min_size=1), st.randoms())
def test_dicts_go_by_their_names(values, random):
    names = list(values)
    random.shuffle(names)
    found = arrays_by_name("fit", "x", values, names)
    assert all(a is values[name] for a, name in zip(found, names, strict=True))
    with pytest.raises(DataError, match="which it does not take"):
        arrays_by_name("fit", "x", values, ["another name"])


@settings(max_examples=50, deadline=None)
@given(NUMBERS)
def test_lists_of_numbers_stay_rows(rows):
    assert flatten(rows) == [rows]
    assert arrays_by_name("fit", "x", rows, ["x"]) == [rows]


# Layers with two inputs ----------------------------------------------------------------------


class Gate(nl.layers.Layer):
    """``y = a sigmoid(b)``, with learned factors for b."""

    input_spec = (InputSpec(name="a"), InputSpec(name="b"))

    def build(self, input_shape):
        self.add_weight("scale", (input_shape[1][-1],), initializer="ones")

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def forward(self, x, training=False):
        a, b = self.prepare(x)
        gate = 1 / (1 + np.exp(-b * self.scale))
        if training:
            self.cache.parts = a, b, gate
        return a * gate

    def backward(self, dy):
        a, b, gate = self.cache.parts
        slope = dy * a * gate * (1 - gate)
        np.sum(slope * b, axis=0, out=self.d_scale)
        return dy * gate, slope * self.scale


def test_a_layer_with_two_inputs_in_a_sequential():
    model = nl.Sequential([Gate(), nl.layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    model.fit({"a": A, "b": A}, Y[:, None], epochs=2, verbose=0)
    expected = model.predict([A, A])
    np.testing.assert_array_equal(model.predict({"b": A, "a": A}), expected)
    assert nl.check_gradients(model, [A, A], Y[:, None]).passed
    with pytest.raises(DataError, match=MODEL):
        model.predict(A)


def test_a_layer_with_two_inputs_must_say_what_shape_it_gives():
    class Both(nl.layers.Layer):
        input_spec = Gate.input_spec

        def forward(self, x, training=False):
            return self.prepare(x)[0]

    with pytest.raises(ConfigurationError, match="must define compute_output_shape"):
        Both().forward((A, A))


def test_an_embedding_in_a_sequential():
    class Lookup(nl.layers.Layer):
        input_spec = InputSpec(dtype="integer", gradient=False)
        seen = None

        def forward(self, x, training=False):
            type(self).seen = self.prepare(x)
            return np.zeros((*x.shape, 2), np.float32)

        def compute_output_shape(self, input_shape):
            return (*input_shape, 2)

        def backward(self, dy):
            return None

    model = nl.Sequential([Lookup(), nl.layers.Flatten(), nl.layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    index = np.full((4, 2), 16_777_217, np.int32)
    for x in (index, index.astype(np.float64)):
        model.fit(x, np.ones((4, 1)), verbose=0)
        assert Lookup.seen.dtype.kind == "i"
        assert (Lookup.seen == 16_777_217).all()


def test_one_batch_of_inputs_of_different_shapes():
    x = [np.ones((2, 3, 4)), np.ones((2, 4, 1))]
    inputs = [nl.Input(its.shape[1:]) for its in x]
    model = nl.Model(inputs, nl.layers.Dot((2, 1))(inputs))
    np.testing.assert_array_equal(model.predict_on_batch(x), np.full((2, 3, 1), 4))
