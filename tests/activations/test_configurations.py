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
