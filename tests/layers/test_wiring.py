"""Names of shared layers, and networks that run as graphs where the last activation is fused."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError
from netlayers.layers.graph import Graph
from tests.snapshots import numbers
from tests.user_layers import Gate, MaskedMean, MaskingEmbed

L = nl.layers


# Names ----------------------------------------------------------------------------------------


def names(model):
    return [layer.name for layer in model.layers]


def test_automatic_names_are_numbered_in_their_order():
    model = nl.Sequential([L.Dense(1), L.ReLU(), L.Dense(1), L.Dense(1), L.ReLU()])
    assert names(model) == ["dense", "re_lu", "dense_1", "dense_2", "re_lu_1"]
    model = nl.Sequential([L.Dense(1), L.Dense(1, name="dense_1"), L.Dense(1), L.Dense(1)])
    assert names(model) == ["dense", "dense_1", "dense_2", "dense_3"]


def test_a_shared_layer_keeps_its_name_and_the_other_yields():
    first = nl.Sequential([L.Dense(2, name="dense")], name="first")
    (shared,) = first.layers
    other = nl.Sequential([shared, L.Dense(2), L.Dense(2)])
    assert names(other) == ["dense", "dense_1", "dense_2"]
    later = nl.Sequential([L.Dense(2), L.Dense(2), shared])
    assert names(later) == ["dense_2", "dense_1", "dense"]
    assert [layer.path for layer in later.layers[:2]] == ["dense_2", "dense_1"]
    third = nl.Sequential([L.Dense(2)])
    (automatic,) = third.layers
    both = nl.Sequential([L.Dense(2), automatic])
    assert names(both) == ["dense_1", "dense"]
    inside = nl.Sequential([nl.Sequential([L.Dense(2), automatic], name="in"), L.Dense(1)])
    assert [layer.path for layer in inside.layers[0].layers] == ["in/dense_1", "in/dense"]


def test_chosen_names_that_clash_are_refused():
    first = nl.Sequential([L.Dense(2, name="x")])
    (shared,) = first.layers
    with pytest.raises(ConfigurationError, match="two layers are named 'x'"):
        nl.Sequential([L.Dense(2, name="x"), shared])
    with pytest.raises(ConfigurationError, match="two layers are named 'x'"):
        nl.Sequential([shared, L.Dense(2, name="x")])
    with pytest.raises(ConfigurationError, match="two layers are named 'x'"):
        nl.Sequential([L.Dense(2, name="x"), L.Dense(2, name="x")])
    models = [nl.Sequential([L.Dense(2)]) for _ in range(2)]
    one, two = (model.layers[0] for model in models)
    with pytest.raises(ConfigurationError, match="two layers are named 'dense'"):
        nl.Sequential([one, two])
    assert (one.name, two.name) == ("dense", "dense")


def test_a_chosen_name_makes_an_automatic_one_of_this_model_no_other():
    with pytest.raises(ConfigurationError, match="two layers are named 'dense'"):
        nl.Sequential([L.Dense(2), L.Dense(2, name="dense")])


# The last activation and the loss as one ---------------------------------------------------------

REPEATED = [(0, [(0, None)]), (1, [(1, None)]), (1, [(2, None)]), (2, [(3, None), (1, None)])]


def graph(last="softmax"):
    parts = [L.Dense(3, "tanh", name="a"), L.Dense(3, "tanh", name="b"), Gate(name="gate")]
    calls = [*REPEATED, (3, [(4, None)])]
    return Graph([*parts, L.Dense(3, last, name="end")], calls, name="graph")


NETWORKS = {
    "graph": (lambda last: [graph(last)], numbers(4, 3)),
    "graph in a chain": (
        lambda last: [nl.Sequential([L.Dense(3), nl.Sequential([graph(last)])])], numbers(4, 3)
    ),
    "mask": (
        lambda last: [MaskingEmbed(6, 3), MaskedMean(), L.Dense(4, "tanh"), L.Dense(3, last)],
        np.array([[1, 2, 0], [3, 0, 0], [4, 5, 1], [2, 0, 0]]),
    ),
    "mask within": (
        lambda last: [MaskingEmbed(6, 3), nl.Sequential([MaskedMean(), L.Dense(3, last)])],
        np.array([[1, 2, 0], [3, 0, 0], [4, 5, 1], [2, 0, 0]]),
    ),
    "chain": (lambda last: [L.Dense(4, "tanh"), L.Dense(3, last)], numbers(4, 3)),
}  # fmt: skip
Y = np.eye(3)[[0, 2, 1, 1]]


def gradients(name, last, loss, **options):
    make, x = NETWORKS[name]
    model = nl.Sequential(make(last), seed=0, dtype="float64")
    model.compile(nl.optimizers.SGD(1.0), loss, **options)
    model.build((None, *x.shape[1:]))
    model.parameters.values[...] = numbers(model.parameters.size)
    before = model.parameters.values.copy()
    fused = model._make_steps(Y.shape).fused
    value = model.train_on_batch(x, Y)
    return fused, float(np.ravel(value)[0]), before - model.parameters.values


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    ("last", "loss"),
    [("softmax", nl.losses.CategoricalCrossentropy), ("sigmoid", nl.losses.BinaryCrossentropy)],
)
def test_a_fused_activation_gives_the_gradients_of_logits(name, last, loss):
    fused, value, gradient = gradients(name, last, loss())
    plain, expected, wanted = gradients(name, None, loss(from_logits=True))
    assert (fused, plain) == (True, False)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-9, atol=1e-14)


def test_what_changes_in_training():
    model = nl.Sequential([nl.Sequential([L.Dropout(0.5)]), L.Dense(1)], seed=0)
    model.build((None, 2))
    assert model._changes_in_training
    plain = nl.Sequential([nl.Sequential([L.Dense(1)]), L.Dense(1)], seed=0)
    plain.build((None, 2))
    assert not plain._changes_in_training
    statistics = nl.Sequential([nl.Sequential([L.BatchNormalization()])], seed=0)
    statistics.build((None, 2))
    assert statistics._changes_in_training
