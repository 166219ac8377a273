"""``InputLayer`` with Keras's arguments, and ``layers`` of a ``Sequential`` without it."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError

InputLayer = nl.layers.InputLayer


def test_arguments_of_keras():
    layer = InputLayer((2, 3), 4, dtype="float64", sparse=False, name="it")
    assert (layer.batch_shape, layer.dtype, layer.sparse, layer.ragged) == (
        (4, 2, 3),
        "float64",
        False,
        False,
    )
    again = InputLayer.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.batch_shape == (4, 2, 3)
    assert InputLayer(batch_shape=(None, 5)).get_config()["shape"] == (5,)
    assert InputLayer((3,), dtype="int32").kind == "integer"
    assert nl.Input((3,), batch_size=4).shape == (None, 3)


def test_a_batch_size_is_a_hint():
    model = nl.Sequential([nl.Input((3,), batch_size=4), nl.layers.Dense(2)], seed=0)
    assert model.predict(np.ones((7, 3))).shape == (7, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "shape is missing"),
        ({"shape": (2,), "batch_shape": (None, 2)}, "not both"),
        ({"batch_size": 3, "batch_shape": (3, 2)}, "not both"),
        ({"batch_shape": ()}, "the batch first"),
        ({"shape": (2,), "ragged": True}, "ragged=True is not supported"),
        ({"shape": (2,), "input_tensor": np.ones(2)}, "input_tensor=array.* is not supported"),
        ({"shape": (2,), "optional": True}, "optional=True is not supported"),
        ({"shape": (2,), "dtype": "complex64"}, "dtype must be"),
        ({"shape": (2,), "dtype": {"a": "b"}}, "dtype must be"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        InputLayer(**arguments)


def test_layers_of_a_sequential_leave_the_input_out():
    first, second = nl.layers.Dense(4), nl.layers.Dense(2)
    model = nl.Sequential([nl.Input((3,)), first, second], seed=0)
    assert model.layers == [first, second]
    assert model.get_layer(index=0) is first
    assert isinstance(model.get_layer("input_layer"), InputLayer)
    again = nl.Sequential.from_config(model.get_config())
    assert again.input_shape == (None, 3)
    assert len(again.layers) == 2
    model.layers.clear()  # a list of the caller's
    assert len(model.layers) == 2
    assert nl.Sequential([nl.Input((3,))]).layers == []
    functional = nl.Model(model.inputs, model.outputs)
    assert isinstance(functional.layers[0], InputLayer)
    copy = nl.models.clone_model(model, clone_function=lambda layer: nl.layers.Dense(layer.units))
    assert copy.input_shape == (None, 3)
