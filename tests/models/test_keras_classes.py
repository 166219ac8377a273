"""What is written for Keras works: constraints and initializers with ``__call__``, errors."""

import errno
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import DataTypeError, MissingFileError, MissingMethodError, ShapeError

X = np.ones((4, 3))


class Clipped(nl.constraints.Constraint):
    def __init__(self, limit=0.25):
        self.limit = limit

    def __call__(self, w):
        return np.clip(w, -self.limit, self.limit)


class Counted(nl.initializers.Initializer):
    def __init__(self, step=1.0):
        self.step = step

    def __call__(self, shape, dtype=None, **kwargs):
        return self.step * np.arange(np.prod(shape)).reshape(shape)


class Flat(nl.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return np.zeros(np.prod(shape))


def make(**arguments):
    model = nl.Sequential([nl.layers.Dense(2, **arguments)], seed=0)
    model.compile(nl.optimizers.SGD(0.1), "mse")
    return model


def test_a_constraint_with_call():
    model = make(kernel_constraint=Clipped(), kernel_initializer="ones")
    model.fit(X, np.ones((4, 2)), verbose=0)
    np.testing.assert_array_equal(model.layers[0].kernel, np.full((3, 2), 0.25, np.float32))
    weights = np.array([[1.0, -1.0]])
    np.testing.assert_array_equal(Clipped(0.5)(weights), [[0.5, -0.5]])
    np.testing.assert_array_equal(weights, [[1.0, -1.0]])


def test_an_initializer_with_call():
    model = make(kernel_initializer=Counted(0.5))
    model.build((None, 3))
    assert model.layers[0].kernel.tolist() == [[0, 0.5], [1, 1.5], [2, 2.5]]
    with pytest.raises(ShapeError, match=r"Flat: .* of that shape, \(3, 2\), got \(6,\)"):
        make(kernel_initializer=Flat()).build((None, 3))


def test_they_are_in_files(tmp_path):
    model = make(kernel_constraint=Clipped(0.5), kernel_initializer=Counted(2.0))
    model.fit(X, np.ones((4, 2)), verbose=0)
    model.save(tmp_path / "m.safetensors")
    own = {"Clipped": Clipped, "Counted": Counted}
    loaded = nl.load_model(tmp_path / "m.safetensors", custom_objects=own)
    assert loaded.layers[0].kernel_constraint.limit == 0.5
    assert loaded.layers[0].kernel_initializer.step == 2.0
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_the_base_classes_alone():
    weights = np.array([1.0, -2.0])
    np.testing.assert_array_equal(nl.constraints.Constraint()(weights), weights)
    with pytest.raises(MissingMethodError, match="apply"):
        make(kernel_constraint=nl.constraints.Constraint())
    with pytest.raises(NotImplementedError, match="fill"):
        nl.initializers.Initializer()((2, 2))


@pytest.mark.parametrize("load", ["load_model", "load_weights"])
def test_a_file_that_is_not_there(load, tmp_path):
    path = tmp_path / "none.safetensors"
    model = make()
    model.build((None, 3))
    with pytest.raises(MissingFileError, match=r"none.safetensors: No such file") as caught:
        nl.load_model(path) if load == "load_model" else model.load_weights(path)
    error = pickle.loads(pickle.dumps(caught.value))
    for its in (caught.value, error):
        assert isinstance(its, (ValueError, FileNotFoundError))
        assert (its.errno, its.filename, its.path) == (errno.ENOENT, str(path), str(path))
        assert str(its) == str(caught.value)


def test_a_number_as_data():
    with pytest.raises(DataTypeError, match="the single number 42") as caught:
        nl.layers.Normalization().adapt(42)
    assert isinstance(caught.value, (TypeError, ValueError))


def made_of_layers(base):
    class Block(base):
        def __init__(self, units):
            super().__init__()
            self.dense = nl.layers.Dense(units)

        def forward(self, x, training=False):
            return self.dense.forward(self.prepare(x), training)

        def backward(self, dy):
            return self.dense.backward(dy)

    return Block(2)


class Holds(nl.layers.Layer):
    def __init__(self, held):
        super().__init__()
        self.held = held

    def forward(self, x, training=False):
        return self.held.forward(self.prepare(x), training)


class Builds(Holds):
    """As Keras's guide has it: ``build`` builds the layers of the layer."""

    def __init__(self):
        super().__init__(nl.layers.Dense(2))

    def build(self, input_shape):
        self.held.build(input_shape)
        self.add_weight("scale", (2,))


def test_a_layer_made_of_layers_is_a_model():
    dense = nl.layers.Dense
    for block in (made_of_layers(nl.layers.Layer), Builds(), Holds([dense(2), dense(2)])):
        with pytest.raises(nl.errors.ConfigurationError, match=r"dense' .* derived from nl\.Model"):
            nl.Sequential([block]).predict(X)
    held = dense(2)
    held(X)
    with pytest.raises(nl.errors.ConfigurationError, match="'dense' would be neither trained nor"):
        Holds(held)(X)
    other = nl.Sequential([dense(2)], seed=0)
    other.build((None, 3))
    assert Holds(other.layers[0])(X).shape == (4, 2)  # it is trained and saved with its model
    model = nl.Sequential([made_of_layers(nl.Model), nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    assert model.predict(X).shape == (4, 1)
    assert nl.check_gradients(model, X, X[:, :1]).passed


def test_an_argument_that_is_not_kept_is_named():
    block = made_of_layers(nl.Model)
    assert repr(block) == "Block()"
    with pytest.raises(nl.errors.ConfigurationError, match=r"write self\.units = units in __init"):
        block.get_config()


def test_a_model_without_values_or_configuration():
    with pytest.raises(TypeError, match=r"^Model\(inputs, outputs\) takes"):
        nl.Model(nl.Input((2,)))
    with pytest.raises(nl.errors.ConfigurationError, match="no calls and no inputs and no outputs"):
        nl.models.Functional.from_config({"layers": []})
