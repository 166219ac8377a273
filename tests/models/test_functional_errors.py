"""Mistakes in functional models, named in their messages."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.errors import ConfigurationError, DataError
from tests.models.test_functional import A, K, Y, losses, two_outputs


def test_an_input_that_is_left_out_is_named():
    a, b = nl.Input((3,), name="a"), nl.Input((3,), name="b")
    with pytest.raises(ConfigurationError, match="depend on the input 'b'"):
        nl.Model(a, a + b)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (float, "cannot be turned into a number"),
        (np.tanh, "no numbers yet"),
        (lambda x: np.ones(3) * x, "no numbers yet"),
        (list, "cannot be iterated over"),
        (lambda x: x / x, "write Lambda"),
        (lambda x: x**0.5, "raised to 0.5"),
        (lambda x: L.Add()([x, np.ones((1, 3))]), "cannot be mixed"),
        (lambda x: L.Dense(2)(x, training=True), "no argument of a symbolic call"),
        (lambda x: nl.Model(np.ones(3), x), "inputs must be what Input"),
        (lambda x: nl.Model([x, x], x), "listed twice"),
        (lambda x: nl.Input((3,), batch_size=0), "batch_size must be an integer >= 1"),
        (lambda x: nl.Input((3,), optional=True), "optional=True is not supported"),
        (lambda x: nl.Input(), "shape is missing"),
        (lambda x: nl.Input((3,), dtype="complex64"), "dtype must be"),
    ],
)
def test_what_a_symbolic_value_cannot_do(use, message):
    with pytest.raises((ConfigurationError, TypeError), match=message):
        use(nl.Input((3,)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": {"prise": "mse"}}, "no output. Did you mean 'price'"),
        ({"loss": ["mse"]}, "an entry for each of the 2 outputs"),
        ({"loss": {"price": None}}, "a loss for at least one output"),
        (losses(loss_weights=[1.0]), "loss_weights must have an entry"),
        (losses(loss_weights=2.0), "loss_weights must be a list of 2 numbers"),
        (losses(metrics=["mae"]), "metrics must be a dict of metrics by output"),
        (losses(metrics={"size": "mae"}), "no output with a loss"),
    ],
)
def test_losses_that_do_not_match_the_outputs(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        two_outputs().compile("sgd", **arguments)


def test_targets_that_do_not_match_the_outputs():
    model = two_outputs()
    model.compile("sgd", **losses())
    with pytest.raises(DataError, match="2 outputs, 'price', 'kind'"):
        model.fit(A, Y, verbose=0)
    with pytest.raises(DataError, match="output 'kind'"):
        model.fit(A, [Y, K + 5], verbose=0)
    assert not model.optimizer.iterations


def test_an_output_of_a_layer_called_twice_is_ambiguous():
    x = nl.Input((3,))
    layer = L.Dense(3)
    model = nl.Model(x, layer(layer(x)))
    with pytest.raises(ConfigurationError, match="called 2 times"):
        _ = model.layers[1].output
