"""A configuration may name a function of the module as well as a class."""

import pytest

import netlayers as nl


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"class_name": "relu", "config": {}}, "ReLU()"),
        ({"class_name": "leaky_relu", "config": {}}, "LeakyReLU(negative_slope=0.2)"),
        ({"class_name": "ReLU", "config": {"max_value": 6.0}}, "ReLU(max_value=6.0)"),
    ],
)
def test_names_of_functions_and_classes(config, shown):
    assert repr(nl.activations.get(config)) == shown


def test_a_function_is_equal_to_what_its_name_stands_for():
    a = nl.activations
    assert a.get("relu") == a.relu == a.get("relu")
    assert a.get(None) == a.linear
    assert nl.layers.Dense(2, "tanh").activation == a.tanh != nl.layers.Dense(2).activation
    assert a.get("leaky_relu") == a.leaky_relu  # with the slope of the function
    assert a.leaky_relu != nl.layers.LeakyReLU(0.5)
    assert a.relu != a.get({"class_name": "ReLU", "config": {"max_value": 6.0}})
    assert a.relu != "relu"
    assert len({a.relu, a.tanh, a.relu}) == 2
