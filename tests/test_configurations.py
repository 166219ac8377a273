"""What get_config() returns: Keras's tuples, which come back from JSON as they were."""

import json

import pytest

import netlayers as nl
from tests.classes import KINDS, concrete

L = nl.layers


def in_tuples(value):
    """Return a value with tuples for lists, those of configurations excepted."""
    if isinstance(value, list) and not any(isinstance(item, dict) for item in value):
        return tuple(in_tuples(item) for item in value)
    return value


# Graph keeps the outputs that it is given; the index of GetItem has lists for slices.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "callback"])
def test_a_copy_from_json_has_the_same_configuration(kind):
    for cls in concrete(kind):
        if cls in (L.GetItem, L.graph.Graph):
            continue
        for example in cls.examples():
            arguments = example[0] if isinstance(example, tuple) else example
            for change in (lambda value: value, in_tuples):
                it = cls(**{name: change(value) for name, value in arguments.items()})
                config = it.get_config()
                again = cls.from_config(json.loads(json.dumps(config)))
                assert again.get_config() == config, cls
                assert repr(again) == repr(it)


def test_tuples_of_keras():  # each as Keras 3.15.1 returns it
    for layer, expected in (
        (L.AdaptiveAveragePooling1D(32), {"output_size": (32,)}),
        (L.AdaptiveMaxPooling2D([8, 16]), {"output_size": (8, 16)}),
        (L.AdaptiveAveragePooling3D(16), {"output_size": (16, 16, 16)}),
        (L.Conv2D(4, 3), {"kernel_size": (3, 3), "strides": (1, 1), "dilation_rate": (1, 1)}),
        (L.MaxPooling2D(), {"pool_size": (2, 2), "strides": (2, 2)}),
        (L.ZeroPadding2D([[1, 2], [3, 4]]), {"padding": ((1, 2), (3, 4))}),
        (L.Reshape([2, 3]), {"target_shape": (2, 3)}),
        (L.Permute([2, 1]), {"dims": (2, 1)}),
        (L.Dot((2, 1)), {"axes": (2, 1)}),
        (L.LayerNormalization((1, 2)), {"axis": [1, 2]}),
        (L.PReLU(shared_axes=(1, 2)), {"shared_axes": [1, 2]}),
    ):
        config = layer.get_config()
        assert {name: config[name] for name in expected} == expected


def test_a_list_for_a_tuple_is_the_default():
    assert repr(L.Residual([], name="residual")) == "Residual()"
    assert repr(L.Conv2D(2, [3, 3], strides=[1, 1])) == repr(L.Conv2D(2, 3))
